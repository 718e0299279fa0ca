"""
What the operating system tells of changes below a folder, as short notices; what they mean is not decided here.

How this works
--------------
On Linux one inotify instance (watchdog's) watches the folders that are named to it, each by itself, so that a database that is written
all the time or a big checkout beside the watched files costs nothing. It asks for the end of a write and not for each write: so the
content is whole when the notice comes. Elsewhere watchdog's observer watches the whole tree, and names are filtered here.
The notices come in threads of watchdog's; `put` must be quick and must not raise.
"""

import os
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.inotify_c import InotifyEvent

type What = Literal["written", "made", "gone", "folder", "overflow", "lost"]
"""
`written` a file is whole, or was moved here · `made` a file appeared and is perhaps still written to · `gone` a file went · `folder` a
folder appeared or went, and all below with it · `overflow` notices were lost · `lost` the root itself went.
"""

_JOIN_SECONDS: Final = 5.0


class Notice(NamedTuple):
    """Something happened at a path (relative to the root, with slashes)."""

    what: What
    path: str


class Notices(Protocol):
    """A source of notices."""

    def watch(self, folder: str) -> None:
        """
        Watch one more folder (empty: the root); one that is watched already stays so.

        Raises:
            OSError: it can't be watched: gone, not readable, or a limit of the system.
        """

    def forget(self, folder: str) -> None:
        """Watch a folder and all below it no longer."""

    def alive(self) -> bool:
        """Whether notices can still come."""

    def close(self) -> None:
        """End; no notice comes afterwards."""


class InotifyNotices:
    """Notices by inotify, one watch a folder. Raises OSError where the system gives no more instances."""

    def __init__(self, root: str, put: Callable[[Notice], None]) -> None:
        from watchdog.observers.inotify_c import InotifyConstants, InotifyFD

        self._root = root
        self._put = put
        self._folders: dict[str, _Folder] = {}
        self._ids = count(1)
        constants = InotifyConstants
        self._mask = (
            constants.IN_CLOSE_WRITE
            | constants.IN_CREATE
            | constants.IN_DELETE
            | constants.IN_MOVE
            | constants.IN_DELETE_SELF
            | constants.IN_MOVE_SELF
            | constants.IN_ONLYDIR
            | constants.IN_DONT_FOLLOW
        )
        self._instance = InotifyFD()
        self._instance.start()

    def watch(self, folder: str) -> None:
        """Watch one more folder; see `Notices`."""
        from watchdog.observers.inotify_c import CallbackId, Mask

        if folder in self._folders:
            return
        callback = _Folder(folder, self._put)
        number = CallbackId(next(self._ids))
        watch = self._instance.add_callback(os.fsencode(Path(self._root, folder)), Mask(self._mask), callback, number)
        if watch < 0:  # not readable: watchdog passes over it in silence
            callback.closed = True
            raise PermissionError(f"{folder or self._root}: not readable")
        callback.forget = lambda: self._instance.remove_callbacks([(watch, number)])
        self._folders[folder] = callback

    def forget(self, folder: str) -> None:
        """Watch a folder and all below it no longer."""
        for path in [path for path in self._folders if path == folder or path.startswith(f"{folder}/") or not folder]:
            callback = self._folders.pop(path)
            callback.closed = True
            callback.forget()

    def alive(self) -> bool:
        """Whether notices can still come."""
        return self._instance.is_alive()

    def close(self) -> None:
        """End; no notice comes afterwards."""
        for callback in self._folders.values():
            callback.closed = True
        self._instance.stop()
        self._instance.join(_JOIN_SECONDS)


class _Folder:
    """What inotify calls for one folder."""

    def __init__(self, path: str, put: Callable[[Notice], None]) -> None:
        self.path = path
        self.closed = False
        self.forget: Callable[[], None] = lambda: None
        self._put = put

    def on_event(self, event: "InotifyEvent") -> None:
        """Something happened in the folder or to it."""
        if self.closed:
            return
        if event.is_delete_self or event.is_move_self:
            self._tell_self()
            return
        if not event.name:
            return
        name = os.fsdecode(event.name)
        path = f"{self.path}/{name}" if self.path else name
        if event.is_directory:
            self._put(Notice("folder", path))
        elif event.is_delete or event.is_moved_from:
            self._put(Notice("gone", path))
        elif event.is_create:
            self._put(Notice("made", path))
        else:
            self._put(Notice("written", path))

    def on_watch_deleted(self, wd: int) -> None:  # noqa: ARG002
        """The folder is gone, or lies on a disk that was taken away."""
        if not self.closed:
            self._tell_self()

    def on_queue_overflow(self) -> None:
        """Notices were lost; called for each folder, one call is enough."""
        if not self.closed and not self.path:
            self._put(Notice("overflow", ""))

    def _tell_self(self) -> None:
        self.closed = True
        self._put(Notice("folder", self.path) if self.path else Notice("lost", ""))


class ObserverNotices:
    """Notices by whatever the system has, over the whole tree."""

    def __init__(self, root: str, put: Callable[[Notice], None]) -> None:
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: "FileSystemEvent") -> None:
                tell(event)

        self._root = f"{root.rstrip(os.sep)}{os.sep}"
        self._put = put
        self._closed = threading.Event()
        tell = self._tell
        self._observer = Observer()
        self._observer.schedule(Handler(), root, recursive=True)
        self._observer.start()

    def watch(self, folder: str) -> None:
        """Do nothing: all folders are watched."""

    def forget(self, folder: str) -> None:
        """Do nothing, likewise."""

    def alive(self) -> bool:
        """Whether notices can still come."""
        return self._observer.is_alive()

    def close(self) -> None:
        """End; no notice comes afterwards."""
        self._closed.set()
        self._observer.stop()
        self._observer.join(_JOIN_SECONDS)

    def _tell(self, event: "FileSystemEvent") -> None:
        if self._closed.is_set() or event.event_type in {"opened", "closed_no_write"}:
            return
        self._tell_of(os.fsdecode(event.src_path), event.event_type, folder=event.is_directory)
        if event.dest_path:
            self._tell_of(os.fsdecode(event.dest_path), "closed", folder=event.is_directory)

    def _tell_of(self, path: str, happened: str, *, folder: bool) -> None:
        if f"{path.rstrip(os.sep)}{os.sep}" == self._root:
            if happened in {"deleted", "moved"}:
                self._put(Notice("lost", ""))
            return
        if not path.startswith(self._root):
            return
        inside = path.removeprefix(self._root).replace(os.sep, "/")
        if folder:
            if happened != "modified":
                self._put(Notice("folder", inside))
        elif happened in {"deleted", "moved"}:
            self._put(Notice("gone", inside))
        elif happened == "closed":
            self._put(Notice("written", inside))
        else:
            self._put(Notice("made", inside))


def open_notices(root: str, put: Callable[[Notice], None]) -> Notices:
    """
    Give the best source of notices that this system has.

    Raises:
        OSError: it gives none (a limit on instances).
    """
    return InotifyNotices(root, put) if sys.platform == "linux" else ObserverNotices(root, put)

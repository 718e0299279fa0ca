"""
Which files of a workspace changed while we recorded, and what they held then.

How this works
--------------
A thread takes notices (`notices`), reads what they name at once (`opening`) and gives a `Change`. A file that was written and closed, or
moved into place, is read within about a millisecond; one that was only made, or that went, after a short wait, because an editor that saves
through a second file takes the first one away for a moment. What holds the same bytes as before is no change. Two writes faster than we read
are one change with the last content: that can't be otherwise.

Notices are not all: the queue of the system can overflow, a file can be held open and written to, a network disk tells nothing. So every
few seconds the files' sizes and times are looked at, and what differs without a notice is given with a note that says so. The same look
comes after an overflow, after the workspace was gone for a while, and at the end. Where the system gives no notices, looking must do.
"""

import os
import queue
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.capture.notices import Notice, Notices, open_notices
from replay.capture.opening import Seen, Signature, read_below, signature_of, walk_below
from replay.capture.watched import is_entered, is_secret, is_watched
from replay.model import UsageError

FOUND_BY_LOOKING: Final = "found by looking again; no notice came"
FOUND_AFTER_LOSS: Final = "found by looking again; notices were lost before"

_NOTICES_MAX: Final = 50_000
"""So many may wait; beyond, they are dropped and everything is looked at again."""
_HOLD_SECONDS_MAX: Final = 0.1
"""A path that keeps coming and going is read after this at the latest."""
_LOOK_SHARE: Final = 50
"""After a look there is a pause of so many times its length, so that a big workspace costs no more than a small part of a core."""
_PAUSE_SECONDS_MAX: Final = 60.0
_STOP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is no longer as it was."""

    path: str
    """Inside the workspace, with slashes; bytes that are no UTF-8 as U+DC80..U+DCFF."""
    at: float
    """When it was read or missed."""
    modified_at: float | None
    """The file's own time of change; None where it is gone, and only there."""
    digest: str | None
    """SHA-256 of the content; None where it is gone, or was not read to its end (`note`)."""
    content: bytes | None
    """None: gone, or left out (`note`)."""
    note: str = ""

    @property
    def gone(self) -> bool:
        """Whether there is nothing at the path any more."""
        return self.modified_at is None


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """How much is read and held, and how often is looked."""

    content_bytes_max: int = 4 * 1024 * 1024
    """A bigger file is given by its digest."""
    digest_bytes_max: int = 256 * 1024 * 1024
    """A bigger one is not read at all."""
    files_max: int = 20_000
    """So many files are known; of others only noticed changes are given, and equal content is given again."""
    listed_max: int = 200_000
    """Files and folders that are looked at, watched or not."""
    look_every_s: float = 2.0
    settle_s: float = 0.03
    """How long a file that was only made, or went, is left alone."""


@dataclass(slots=True)
class WatchFigures:
    """What the watcher says of itself."""

    files: int = 0
    """How many are known now."""
    found_by_looking: int = 0
    looks: int = 0
    look_ms_last: float = 0.0


@dataclass(frozen=True, slots=True)
class _Known:
    signature: Signature | None
    mark: str
    """The digest, or what stands for it where the file is not read."""


@dataclass(slots=True)
class _Pending:
    since: float
    due: float
    note: str = ""


class WorkspaceWatcher:
    """
    Watches the workspace at *root* from `start` to `stop`, in a thread of its own.

    *on_change* gets each change in that thread; *on_trouble* gets in words what makes the record incomplete: the workspace is gone, the
    system gives no notices, a folder can't be read, there are too many files, *on_change* failed.
    """

    def __init__(
        self,
        root: Path | str,
        on_change: Callable[[Change], None],
        on_trouble: Callable[[str], None],
        *,
        limits: WatchLimits | None = None,
        source: Callable[[str, Callable[[Notice], None]], Notices] = open_notices,
    ) -> None:
        self.root = Path(root).absolute()
        self.figures = WatchFigures()
        self.ready = threading.Event()
        """Set once the first state of all files is known; changes after `start` are given even if they came before."""
        self._on_change = on_change
        self._on_trouble = on_trouble
        self._limits = limits or WatchLimits()
        self._source = source
        self._real_root = ""
        self._place: tuple[int, int] | None = None
        self._notices: Notices | None = None
        self._queue: queue.SimpleQueue[Notice | None] = queue.SimpleQueue()
        self._overflowed = threading.Event()
        self._known: dict[str, _Known] = {}
        self._pending: dict[str, _Pending] = {}
        self._said: set[str] = set()
        self._first: list[tuple[str, os.stat_result]] = []
        self._forced: set[str] = set()
        """Files that changed before their first state was known."""
        self._thread = threading.Thread(target=self._run, name="parity-watch", daemon=True)

    def start(self) -> None:
        """
        Begin to watch; returns as soon as notices come in, before the first state of all files is known (`ready`).

        Raises:
            UsageError: *root* is no folder.
        """
        if not self.root.is_dir():
            raise UsageError(f"{self.root}: no such folder; name the daemon's workspace ($SIGNET_PATH)")
        self._open()
        self._first = self._walk("")
        self._thread.start()

    def stop(self, timeout_s: float = _STOP_SECONDS) -> bool:
        """Look a last time, give what changed, end; False where that took longer than *timeout_s* (a hanging disk)."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- the thread ---

    def _run(self) -> None:
        try:
            self._begin()
            next_look = time.monotonic() + self._pause()
            while self._take(self._wait_seconds(next_look)):
                if self._overflowed.is_set():
                    self._overflowed.clear()
                    self._trouble("more changes at once than the system tells of; looking at all files instead", again=True)
                    if self._notices is not None:
                        self._notices.forget("")  # which folders came and went is not known
                    self._look("", FOUND_AFTER_LOSS)
                self._give_due(time.monotonic())
                if time.monotonic() >= next_look:
                    self._check_root()
                    self._look("", FOUND_BY_LOOKING)
                    next_look = time.monotonic() + self._pause()
            self._check_root()
            self._look("", FOUND_BY_LOOKING)
            self._give_due(float("inf"))
        except Exception as error:  # noqa: BLE001  # a bug of ours must not end in silence
            self._trouble(f"the watch broke off ({error!r})")
        finally:
            self.ready.set()
            if self._notices is not None:
                self._notices.close()

    def _begin(self) -> None:
        """Learn the first state; a file that changed since it was listed, or was noticed meanwhile, counts as changed whatever it holds."""
        first, self._first = self._first, []
        for path, status in first:
            if not is_watched(path) or stat.S_ISDIR(status.st_mode) or not self._has_room(path):
                continue
            seen = self._see(path)
            if seen.signature in {None, signature_of(status)} and seen.kind != "gone":
                self._known[path] = _Known(seen.signature or signature_of(status), _mark(seen))
            else:
                self._forced.add(path)
                self._hold(path, 0.0)
        for _ in range(self._queue.qsize()):
            notice = self._queue.get()
            if notice is None:
                self._queue.put(None)
                break
            if notice.what in {"written", "made", "gone"}:
                self._known.pop(notice.path, None)
                self._forced.add(notice.path)
            self._take_notice(notice)
        self._count()
        self.ready.set()

    def _take(self, timeout_s: float) -> bool:
        """Take all notices that wait, or the first that comes; False at the end."""
        try:
            notice = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return True
        while notice is not None:
            self._take_notice(notice)
            if self._queue.empty():
                return True
            notice = self._queue.get()
        return False

    def _take_notice(self, notice: Notice) -> None:
        match notice.what:
            case "written":
                self._hold(notice.path, 0.0)
            case "made" | "gone":
                self._hold(notice.path, self._limits.settle_s)
            case "folder" if is_entered(notice.path):
                if self._notices is not None:
                    self._notices.forget(notice.path)  # a folder that moved away is watched under its old name
                self._look(notice.path, "")
            case "folder":
                pass
            case "overflow":
                self._overflowed.set()
            case "lost":
                self._check_root(lost=True)

    def _hold(self, path: str, seconds: float, note: str = "") -> None:
        """Have a path read after a moment."""
        now = time.monotonic()
        held = self._pending.get(path)
        if held is None:
            self._pending[path] = _Pending(now, now + seconds, note)
        else:
            held.note = note
            held.due = min(now + seconds, held.since + _HOLD_SECONDS_MAX)

    def _wait_seconds(self, next_look: float) -> float:
        due = min((held.due for held in self._pending.values()), default=next_look)
        return max(0.0, min(due, next_look) - time.monotonic())

    def _give_due(self, now: float) -> None:
        for path in [path for path, held in self._pending.items() if held.due <= now]:
            self._give(path, self._pending.pop(path).note)
        self._count()

    def _give(self, path: str, note: str) -> None:
        seen = self._see(path)
        known = self._known.get(path)
        gone = seen.kind in {"gone", "folder"}
        forced = path in self._forced
        self._forced.discard(path)
        if gone:
            if known is None and not forced and len(self._known) < self._limits.files_max:
                return  # came and went
            self._known.pop(path, None)
        else:
            mark = _mark(seen)
            if self._has_room(path):
                self._known[path] = _Known(seen.signature, mark)
            if known is not None and known.mark == mark:
                return
        notes = [text for text in ("" if gone else seen.note, note) if text]
        modified_at = None if gone else seen.modified_at or 0.0
        change = Change(path, time.time(), modified_at, seen.digest, None if gone else seen.content, "; ".join(notes))
        self.figures.found_by_looking += note in {FOUND_BY_LOOKING, FOUND_AFTER_LOSS}
        try:
            self._on_change(change)
        except Exception as error:  # noqa: BLE001  # it is the caller's, and the watch goes on
            self._trouble(f"{path}: the change could not be handed on ({error!r})", again=True)

    def _see(self, path: str) -> Seen:
        limits = self._limits
        secret = is_secret(path)
        seen = read_below(
            self._real_root,
            path,
            content_bytes_max=limits.content_bytes_max,
            digest_bytes_max=limits.digest_bytes_max,
            read=not secret,
        )
        return Seen("file", seen.signature, seen.modified_at, note="secret: never opened") if secret and seen.kind == "file" else seen

    # --- looking ---

    def _look(self, start: str, note: str) -> None:
        """Compare what is below a folder with what is known; what differs is read after a moment, if no notice comes before."""
        if self._place is None:
            return
        begun = time.monotonic()
        unreadable: list[str] = []
        present: set[str] = set()
        for path, status in self._walk(start, unreadable):
            if not is_watched(path) or stat.S_ISDIR(status.st_mode):
                continue
            present.add(path)
            known = self._known.get(path)
            room = known is not None or self._has_room(path)
            if room and path not in self._pending and (known is None or known.signature != signature_of(status)):
                self._hold(path, self._limits.settle_s, note)
        blind = tuple(f"{folder}/" if folder else "" for folder in unreadable)
        for path in self._known:
            inside = not start or path.startswith(f"{start}/")
            if inside and path not in present and path not in self._pending and not path.startswith(blind):
                self._hold(path, self._limits.settle_s, note)
        if not start:
            self.figures.looks += 1
            self.figures.look_ms_last = (time.monotonic() - begun) * 1000

    def _walk(self, start: str, unreadable: list[str] | None = None) -> list[tuple[str, os.stat_result]]:
        """List a folder and those in it, and have them watched before they are read: so nothing falls between."""
        blind: list[str] = [] if unreadable is None else unreadable
        found: list[tuple[str, os.stat_result]] = []
        if not is_entered(start):
            return found
        self._watch(start)
        for path, status in walk_below(self._real_root, start, self._enter, blind):
            if len(found) >= self._limits.listed_max:
                self._trouble(
                    f"{self.root}: more than {self._limits.listed_max} files and folders; those beyond are neither watched nor looked at"
                )
                blind.append("")
                return found
            found.append((path, status))
        for folder in blind:
            self._trouble(f"{self.root / folder}: can't be read; what changes in it is not recorded")
        return found

    def _enter(self, folder: str) -> bool:
        if not is_entered(folder):
            return False
        self._watch(folder)
        return True

    def _watch(self, folder: str) -> None:
        if self._notices is None:
            return
        try:
            self._notices.watch(folder)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return  # gone meanwhile, or said by who walks it
        except OSError as error:
            self._trouble(f"{self.root}: the system gives no more notices ({error.strerror or error}); {self._slowly()}")

    def _pause(self) -> float:
        return max(self._limits.look_every_s, min(self.figures.look_ms_last / 1000 * _LOOK_SHARE, _PAUSE_SECONDS_MAX))

    def _slowly(self) -> str:
        return f"files are looked at every {self._limits.look_every_s:g} s instead"

    def _has_room(self, path: str) -> bool:
        if path in self._known or len(self._known) < self._limits.files_max:
            return True
        self._trouble(f"{self.root}: more than {self._limits.files_max} watched files; of those beyond, only noticed changes are recorded")
        return False

    # --- the root ---

    def _open(self) -> None:
        """Take the root as it is now; without notices, looking must do."""
        self._real_root = os.fspath(self.root.resolve())
        self._place = _place_of(self.root)
        try:
            self._notices = self._source(self._real_root, self._put)
            self._watch("")
        except ImportError:
            self._trouble(f"{self.root}: no library for notices is installed; {self._slowly()}")
        except OSError as error:
            self._notices = None
            self._trouble(f"{self.root}: the system gives no notices ({error.strerror or error}); {self._slowly()}")

    def _check_root(self, *, lost: bool = False) -> None:
        """Notice that the workspace went or was exchanged, and that it is back."""
        place = _place_of(self.root)
        alive = self._notices is None or self._notices.alive()
        if place == self._place and (place is None or (alive and not lost)):
            return
        if self._notices is not None:
            self._notices.close()
            self._notices = None
        self._place = None
        if place is None:
            self._trouble(f"{self.root}: the workspace is gone; nothing of it is recorded until it is back", again=True)
            return
        self._open()
        self._trouble(f"{self.root}: the workspace is watched again; what changed meanwhile is looked for", again=True)
        self._look("", FOUND_AFTER_LOSS)

    def _put(self, notice: Notice) -> None:
        """Take a notice from the system's thread."""
        if notice.what in {"written", "made", "gone"} and not is_watched(notice.path):
            return
        if self._queue.qsize() > _NOTICES_MAX:
            self._overflowed.set()
            return
        self._queue.put(notice)

    def _trouble(self, text: str, *, again: bool = False) -> None:
        """Say what is wrong, once where it does not end by itself."""
        if text in self._said and not again:
            return
        self._said.add(text)
        self._on_trouble(text)

    def _count(self) -> None:
        self.figures.files = len(self._known)


def _mark(seen: Seen) -> str:
    """Give what must differ for a file to count as changed."""
    if seen.digest is not None:
        return seen.digest
    return f"{seen.kind} {seen.note} {seen.signature if seen.kind == 'file' else ''}"


def _place_of(path: Path) -> tuple[int, int] | None:
    """Give device and inode of a folder; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None

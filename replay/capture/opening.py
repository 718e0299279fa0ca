"""
Reading what lies below a folder without being led out of it, held up, or made to swallow too much.

How this works
--------------
A path is descended by descriptors, one step at a time, and a step refuses a link: so nobody who swaps a folder for a link while we look
leads us out. The kind is looked at before anything is opened, so a pipe, socket or device is never touched; where one takes the file's
place in that very moment, it is opened without waiting and closed unread. What is read is bounded, and read again where it changed
meanwhile. Names are text with the bytes that are no UTF-8 as U+DC80..U+DCFF, as the operating system's own interface has them.
A hard link can't be told from a file: it is read.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

type Kind = Literal["file", "gone", "link", "folder", "special", "unreadable"]

type Signature = tuple[int, int, int, int, int]
"""Device, inode, size, time of change and time of status change: differs whenever somebody wrote."""

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
_PIECE_BYTES: Final = 1024 * 1024
_ATTEMPTS: Final = 3
_DEPTH_MAX: Final = 40
"""Folders in folders that are walked; each holds a descriptor meanwhile."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found at a path."""

    kind: Kind
    signature: Signature | None = None
    modified_at: float | None = None
    """Its own time of change, in seconds since the epoch; None where there is nothing."""
    digest: str | None = None
    """SHA-256 of a file's content; None where it was not read to its end."""
    content: bytes | None = None
    note: str = ""
    """Why there is no content, in words."""


def read_below(root: str, path: str, *, content_bytes_max: int, digest_bytes_max: int, read: bool = True) -> Seen:
    """
    Look at *path* (with slashes, relative to *root*), and read it if it is a regular file and *read* is set.

    A file beyond *content_bytes_max* has a digest and no content, one beyond *digest_bytes_max* neither. Never raises over what it finds.
    """
    *above, name = path.split("/")
    if name in {"", ".", ".."}:
        return Seen("unreadable", note="no name of a file")
    try:
        folder = _descend(root, above)
    except OSError as error:
        return _refusal(error)
    except ValueError as error:  # a NUL in the name
        return Seen("unreadable", note=str(error))
    try:
        return _read_in(folder, name, content_bytes_max, digest_bytes_max, read=read)
    except OSError as error:
        return _refusal(error)
    except ValueError as error:
        return Seen("unreadable", note=str(error))
    finally:
        os.close(folder)


def walk_below(root: str, start: str, enter: Callable[[str], bool], unreadable: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """
    Give every entry below the folder *start* (empty: *root* itself) with its status, links not followed, in no order.

    A folder is gone into where *enter* says so. Those that can't be read are added to *unreadable*; what vanishes meanwhile is passed over.
    """
    try:
        folder = _descend(root, start.split("/") if start else [])
    except OSError as error:
        if error.errno not in _GONE:
            unreadable.append(start)
        return
    yield from _walk(folder, start, enter, unreadable, _DEPTH_MAX)


def signature_of(status: os.stat_result) -> Signature:
    """Give what tells one state of a file from another without reading it."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _walk(folder: int, path: str, enter: Callable[[str], bool], unreadable: list[str], depth: int) -> Iterator[tuple[str, os.stat_result]]:
    """Walk an open folder, and close it."""
    try:
        try:
            names = os.listdir(folder)
        except OSError:
            unreadable.append(path)
            return
        for name in names:
            below = f"{path}/{name}" if path else name
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except OSError:
                continue
            yield below, status
            if not stat.S_ISDIR(status.st_mode) or not enter(below):
                continue
            if not depth:
                unreadable.append(below)
                continue
            try:
                inner = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
            except OSError as error:
                if error.errno not in _GONE:
                    unreadable.append(below)
                continue
            yield from _walk(inner, below, enter, unreadable, depth - 1)
    finally:
        os.close(folder)


def _descend(root: str, names: list[str]) -> int:
    """Open a folder below *root* without following a link."""
    folder = os.open(root, _FOLDER_FLAGS)
    for name in names:
        if name in {"", ".", ".."}:
            os.close(folder)
            raise OSError(errno.ELOOP, "no plain path")
        try:
            inner = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def _read_in(folder: int, name: str, content_bytes_max: int, digest_bytes_max: int, *, read: bool) -> Seen:
    for attempt in range(_ATTEMPTS):
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        other = _other_kind(folder, name, status)
        if other is not None:
            return other
        if not read:
            return Seen("file", signature_of(status), status.st_mtime)
        descriptor = os.open(name, _FILE_FLAGS, dir_fd=folder)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  # a descriptor
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                continue
            digest, content = _take(file.read, before.st_size, content_bytes_max, digest_bytes_max)
            after = os.fstat(descriptor)
        settled = signature_of(before) == signature_of(after)
        if settled or attempt == _ATTEMPTS - 1:
            notes = [] if settled else ["changed while it was read"]
            if content is None:
                notes.append(f"too big: {after.st_size} bytes")
            return Seen("file", signature_of(after), after.st_mtime, digest, content, "; ".join(notes))
    return Seen("unreadable", note="changed its kind while it was read")


def _take(read: Callable[[int], bytes | None], size: int, content_bytes_max: int, digest_bytes_max: int) -> tuple[str | None, bytes | None]:
    """Read to the end, within the bounds; give digest and content."""
    if size > digest_bytes_max:
        return None, None
    digest = hashlib.sha256()
    pieces: list[bytes] = []
    length = 0
    while piece := read(_PIECE_BYTES):
        digest.update(piece)
        length += len(piece)
        if length > digest_bytes_max:  # grows faster than it is read
            return None, None
        if length <= content_bytes_max:
            pieces.append(piece)
        else:
            pieces.clear()
    return digest.hexdigest(), b"".join(pieces) if length <= content_bytes_max else None


def _other_kind(folder: int, name: str, status: os.stat_result) -> Seen | None:
    """Describe what is no regular file; None for one that is."""
    if stat.S_ISREG(status.st_mode):
        return None
    if stat.S_ISDIR(status.st_mode):
        return Seen("folder", signature_of(status), status.st_mtime, note="a folder")
    if stat.S_ISLNK(status.st_mode):
        pointed = os.readlink(name, dir_fd=folder)
        return Seen("link", signature_of(status), status.st_mtime, note=f"a link to {pointed}, not followed")
    return Seen("special", signature_of(status), status.st_mtime, note="a socket, pipe or device, not opened")


def _refusal(error: OSError) -> Seen:
    if error.errno == errno.ELOOP:
        return Seen("link", note="a link on the way, not followed")
    if error.errno in _GONE:
        return Seen("gone", note="not there")
    return Seen("unreadable", note=f"not readable ({error.strerror or error})")

"""
Files that a request names by path and the daemon opens: which, and what they held when the request had come.

How this works
--------------
`named_files` knows by route which fields of a body name a path of the daemon's machine. The table was read from the daemon's source: a
field is in it only where the daemon opens that path because of that request. So `workingDirectory` of a task (a program's), `sourcePath`
of a memory and `project` of a hook (labels), `source_url` (HTTP alone) and the filesystem connector's `sync` (the path came with
`POST /api/connectors`) are not.

`read_attachments` reads them, and only below folders that were allowed by name: both are resolved first, then the file is opened step by
step without following a link (`opening`). A folder is given as a list of what lies in it, and its files one by one, within bounds.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.capture.opening import read_below, walk_below
from replay.content import parse
from replay.routes import match

_TRANSCRIPT: Final = (("transcriptPath",),)

NAMED_BY_ROUTE: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "POST /api/hooks/user-prompt-submit": _TRANSCRIPT,
    "POST /api/hooks/session-end": _TRANSCRIPT,
    "POST /api/hooks/session-checkpoint-extract": _TRANSCRIPT,
    "POST /api/hooks/pre-compaction": (("transcriptPath", "transcript_path"),),
    "POST /api/sources/obsidian": (("root", "path"),),
    "POST /api/sources/discord": (("desktopCachePath",),),
    "POST /api/connectors": (("settings.rootPath",),),
    "POST /api/graphiq/index": (("path",),),
}
"""By route, the fields that name a path; of a group the first that is there counts, as in the daemon."""

_ONLY_WHERE: Final = {"POST /api/connectors": ("provider", "filesystem"), "POST /api/sources/discord": ("syncMode", "desktop-cache")}
"""By route, a field and the value without which the daemon opens nothing."""

OUTSIDE: Final = "outside the allowed roots"
RELATIVE: Final = "relative path, not resolved"
HOME: Final = "relative to the daemon's home, not resolved"
NOT_THERE: Final = "not there"
TOO_MANY: Final = "too many files"

_PATH_CHARACTERS_MAX: Final = 4096
_LEFT_OUT: Final = frozenset({".git", ".obsidian", ".trash", "node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True)
class AttachmentLimits:
    """How much is read for one named path."""

    content_bytes_max: int = 16 * 1024 * 1024
    """A bigger file is given by its digest."""
    digest_bytes_max: int = 256 * 1024 * 1024
    """A bigger one is not read at all."""
    files_max: int = 500
    """Files of a folder; beyond, they are only listed."""
    folder_bytes_max: int = 64 * 1024 * 1024
    """Their contents summed."""
    listed_max: int = 20_000
    """Names in a folder's list."""


@dataclass(frozen=True, slots=True)
class Found:
    """A named file as it was found."""

    path: str
    """As the request names it; for a file in a named folder, the folder's path with the rest behind it."""
    digest: str | None
    """SHA-256 of the content; None where it was not read to its end."""
    content: bytes | None
    """A folder's is a JSON list of the paths in it. None: left out (`note`)."""
    note: str = ""


def named_files(method: str, target: str, body: bytes, content_type: bytes | None) -> tuple[str, ...]:
    """
    Give the paths of the daemon's machine that a request names and the daemon opens, as they are written; mostly none.

    Never raises: a body that can't be read names nothing.
    """
    if not body:
        return ()
    route = match(method, target).name
    groups = NAMED_BY_ROUTE.get(route)
    if groups is None:
        return ()
    content = parse(body, content_type)
    if content.kind != "json" or not isinstance(content.value, dict):
        return ()
    condition = _ONLY_WHERE.get(route)
    if condition is not None and content.value.get(condition[0]) != condition[1]:
        return ()
    named = (_first(content.value, group) for group in groups)
    return tuple(dict.fromkeys(path for path in named if path))


def read_attachments(
    path: str, roots: Sequence[Path], limits: AttachmentLimits | None = None, *, workspace: Path | None = None
) -> tuple[Found, ...]:
    """
    Read a named file, or a folder and the files in it, where it lies below one of *roots*; one entry at least, with a note where not.

    A relative path is looked for in *workspace* alone: which folder the daemon works in is not known. Never raises over what it finds.
    """
    limits = limits or AttachmentLimits()
    if "\0" in path or len(path) > _PATH_CHARACTERS_MAX:
        return (Found(path, None, None, "no path"),)
    if path == "~" or path.startswith("~/"):
        return (Found(path, None, None, HOME),)
    try:
        place = _place_of(path, workspace)
        if place is None:
            return (Found(path, None, None, RELATIVE),)
        real = place.resolve()
        root = _root_of(real, roots)
        if root is None:
            return (Found(path, None, None, OUTSIDE),)
        if stat.S_ISDIR(real.lstat().st_mode):
            return tuple(_read_folder(path, root, real, limits))
    except (FileNotFoundError, NotADirectoryError):
        return (Found(path, None, None, NOT_THERE),)
    except (OSError, RuntimeError, ValueError) as error:  # rights, a ring of links, a name that can't be one
        return (Found(path, None, None, f"not readable ({getattr(error, 'strerror', None) or error})"),)
    return (_read_file(path, root, _below(root, real), limits, limits.content_bytes_max),)


def _first(body: dict[str, Any], group: Sequence[str]) -> str | None:
    """Give the first field of a group that is there and not null, if it is a text."""
    for field in group:
        value: Any = body
        for step in field.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            return value if isinstance(value, str) else None
    return None


def _place_of(path: str, workspace: Path | None) -> Path | None:
    if Path(path).is_absolute():
        return Path(path)
    return workspace / path if workspace is not None and os.path.lexists(workspace / path) else None


def _root_of(real: Path, roots: Sequence[Path]) -> Path | None:
    """Give the allowed folder that a resolved path lies in, resolved itself; None where it lies in none."""
    return next((root for root in (root.resolve() for root in roots) if real.is_relative_to(root)), None)


def _below(root: Path, real: Path) -> str:
    return "" if real == root else real.relative_to(root).as_posix()


def _read_file(path: str, root: Path, below: str, limits: AttachmentLimits, content_bytes_max: int) -> Found:
    seen = read_below(os.fspath(root), below, content_bytes_max=content_bytes_max, digest_bytes_max=limits.digest_bytes_max)
    return Found(path, seen.digest, seen.content, NOT_THERE if seen.kind == "gone" else seen.note)


def _read_folder(path: str, root: Path, real: Path, limits: AttachmentLimits) -> Iterator[Found]:
    """Give the folder's list, then its files in the order of their names, as far as the bounds go."""
    start = _below(root, real)
    unreadable: list[str] = []
    entries = walk_below(os.fspath(root), start, lambda folder: folder.rpartition("/")[2] not in _LEFT_OUT, unreadable)
    files: list[str] = []
    whole = True
    for below, status in entries:
        if len(files) >= limits.listed_max:
            whole = False
            break
        if stat.S_ISREG(status.st_mode):
            files.append(below)
    files.sort()
    names = [below.removeprefix(f"{start}/") if start else below for below in files]
    listing = json.dumps(names).encode()
    notes = [f"a folder with {len(files)}{'' if whole else ' or more'} files"]
    if len(files) > limits.files_max:
        notes.append(f"{TOO_MANY}: the first {limits.files_max} are read")
    if unreadable:
        notes.append(f"{len(unreadable)} folders in it are not readable")
    yield Found(path, hashlib.sha256(listing).hexdigest(), listing, "; ".join(notes))
    room = limits.folder_bytes_max
    for below, name in zip(files[: limits.files_max], names, strict=False):
        found = _read_file(f"{path.rstrip('/')}/{name}", root, below, limits, min(limits.content_bytes_max, room))
        room -= len(found.content or b"")
        yield found

"""
Replacing secrets in the files of a copied workspace, and in their names.

Databases go through their cells, git's objects are kept or left out as a whole, everything else is text or at least searched as if it were.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from replay.capture.snapshots.compressed import check_compressed
from replay.capture.snapshots.history import HOLDS_SECRETS, check_history, forget_history, repositories
from replay.capture.snapshots.masking import Masking
from replay.model import ParityError
from replay.workspace import is_sqlite, scrub_database
from replay.workspace.copies import MAIN_DATABASE, SECRETS_FOLDER
from replay.workspace.tokens import AUTH_SECRET_FILE

_PIECE_BYTES: Final = 4 << 20
_LINE_BYTES_MAX: Final = 64 << 20
"""A piece ends at a line's end, or here."""


def scrub_tree(root: Path, scratch: Path, masking: Masking) -> tuple[str, ...]:
    """
    Replace every secret below *root*, a copy, and give what was left out on the way. *scratch* is a folder beside it.

    Raises:
        ParityError: the main database can't be scrubbed.
        OSError: a file can't be read or written.
    """
    _open_folders(root)
    left_out = [*_scrub_histories(root, scratch, masking)]
    for path in sorted(_files(root)):
        name = path.relative_to(root)
        if name.parts[0] == SECRETS_FOLDER or name.as_posix() == AUTH_SECRET_FILE:
            continue
        if _is_git_binary(name):
            left_out += _drop_index(path, name, masking)
            continue
        if is_sqlite(path):
            left_out += _scrub_copy(path, name, masking)
        elif trouble := check_compressed(path, lambda content: masking.text(content) == content):
            path.unlink()
            left_out.append(f"{name.as_posix()}: {trouble}")
        else:
            _scrub_file(path, PurePosixPath(name), masking)
    _rename(root, masking)
    return tuple(masked_words(line, masking) for line in left_out)


def _scrub_histories(root: Path, scratch: Path, masking: Masking) -> Iterator[str]:
    for repository in list(repositories(root)):
        before = masking.counts.copy()
        why = check_history(repository, scratch, lambda content: masking.text(content) == content)
        # What was found is not replaced one by one: the history stays or goes as a whole.
        masking.counts = before
        if why:
            forget_history(repository)
            masking.counts["git-history"] += why == HOLDS_SECRETS
            yield f"{repository.relative_to(root).as_posix()}: the repository's history: {why}"


def _scrub_copy(path: Path, name: Path, masking: Masking) -> Iterator[str]:
    try:
        for note in scrub_database(path, masking.cell):
            yield f"{name.as_posix()}: {note}"
    except ParityError as error:
        if name.as_posix() == MAIN_DATABASE:
            raise
        path.unlink()
        yield f"{name.as_posix()}: {error}"


def _open_folders(root: Path) -> None:
    """Let the owner work in every folder: a copy keeps its source's modes."""
    for folder, _, _ in os.walk(root, followlinks=False):
        mode = stat.S_IMODE(Path(folder).stat().st_mode)
        if mode & 0o700 != 0o700:
            Path(folder).chmod(mode | 0o700)


def _files(root: Path) -> Iterator[Path]:
    for folder, _, files in os.walk(root, followlinks=False):
        for name in files:
            path = Path(folder) / name
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _is_git_binary(name: Path) -> bool:
    """Whether it is a git object or index: the one is looked through before, the other holds names and hashes."""
    parts = name.parts
    return ".git" in parts and ("objects" in parts[parts.index(".git") :] or parts[-1] == "index")


def _drop_index(path: Path, name: Path, masking: Masking) -> Iterator[str]:
    """Remove a git index that holds a secret in a file's name: it is under a checksum, and git does without."""
    if path.name != "index" or "objects" in name.parts:
        return
    content = path.read_bytes()
    before = masking.counts.copy()
    if masking.text(content) != content:
        path.unlink()
        yield f"{name.as_posix()}: {HOLDS_SECRETS}"
    masking.counts = before


def _scrub_file(path: Path, name: PurePosixPath, masking: Masking) -> None:
    """Go through a file; one that changes is put in place whole, with its mode and times."""
    status = path.stat()
    draft = path.with_name(f".{path.name[:200]}.scrubbed")
    changed = False
    try:
        with path.open("rb") as file:
            if status.st_size <= _PIECE_BYTES:
                content = file.read()
                clean = masking.document(name, content)
                changed = clean != content
                if changed:
                    draft.write_bytes(clean)
            else:
                with draft.open("xb") as out:
                    for piece in _pieces(file):
                        clean = masking.document(name, piece)
                        changed = changed or clean != piece
                        out.write(clean)
        if changed:
            draft.chmod(stat.S_IMODE(status.st_mode))
            os.utime(draft, ns=(status.st_atime_ns, status.st_mtime_ns))
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Give a file in pieces that end with a line."""
    held = b""
    while data := file.read(_PIECE_BYTES):
        held += data
        end = held.rfind(b"\n") + 1
        if len(held) >= _PIECE_BYTES and (end or len(held) > _LINE_BYTES_MAX):
            cut = end or len(held)
            yield held[:cut]
            held = held[cut:]
    if held:
        yield held


def _rename(root: Path, masking: Masking) -> None:
    """Give files, folders and links whose names hold a secret the name with its placeholder; the deepest first."""
    for folder, names, files in os.walk(root, topdown=False, followlinks=False):
        for name in (*names, *files):
            path = Path(folder) / name
            if path.is_symlink():
                pointed = os.fsencode(path.readlink())
                clean = masking.text(pointed)
                if clean != pointed:
                    path.unlink()
                    path.symlink_to(os.fsdecode(clean))
            new = masking.text(os.fsencode(name))
            if new != os.fsencode(name):
                path.rename(path.with_name(os.fsdecode(new)))


def masked_words(line: str, masking: Masking) -> str:
    """Give words that may hold a secret (a file's name) without it."""
    return masking.text(os.fsencode(line)).decode(errors="replace")

"""
SQLite files of the daemon, without touching them.

How this works
--------------
A database in WAL mode is three files, and even a read-only connection makes `-wal` and `-shm` where they are missing. So a
database that nobody has open is opened as immutable, one that is open is joined under SQLite's own locks, and one that a
killed daemon left behind (`-wal` without `-shm`) is recovered in a scratch copy, never in place.
"""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from replay.model import ParityError

_MAGIC: Final = b"SQLite format 3\0"
_WAL_VERSION: Final = 2
_BESIDE: Final = ("-wal", "-shm", "-journal")


def is_sqlite(path: Path) -> bool:
    """Say whether *path* is a regular file with SQLite's header; an unreadable one is none."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def companions(path: Path) -> tuple[Path, ...]:
    """Name the files that belong to a database beside it, whether they are there or not."""
    return tuple(path.with_name(path.name + ending) for ending in _BESIDE)


def open_read_only(path: Path) -> sqlite3.Connection:
    """
    Open a database so that nothing can be written through the connection; the caller closes it.

    One that no process has open is read as it stands at this moment. The connection may be used from any one thread at a time.

    Raises:
        ParityError: it is not there or no database.
    """
    if not is_sqlite(path):
        raise ParityError(f"{path}: no SQLite database there; check the workspace's path")
    parameters = "mode=ro" if _is_in_use(path) else "mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?{parameters}", uri=True, timeout=5.0, check_same_thread=False)
    except sqlite3.Error as error:
        raise ParityError(f"{path}: can't be opened ({error}); check its permissions") from error
    connection.row_factory = sqlite3.Row
    return connection


def backup(source: Path, destination: Path) -> None:
    """
    Copy a database with SQLite's backup interface: one consistent state, even while a daemon writes. *source* stays as it is.

    The copy is a single file in rollback-journal mode, so that it can be read anywhere without writing beside it.

    Raises:
        ParityError: *source* is no database, is damaged, or *destination* can't be written.
    """
    if not is_sqlite(source):
        raise ParityError(f"{source}: no SQLite database there; check the workspace's path")
    wal, shared, journal = companions(source)
    left_behind = (wal.exists() and not shared.exists()) or journal.exists()
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if left_behind:
            with tempfile.TemporaryDirectory(prefix=".recover-", dir=destination.parent) as scratch:
                _backup_from(_copy_raw(source, Path(scratch)), destination, parameters="mode=rw")
        else:
            _backup_from(source, destination, parameters="mode=ro" if _is_in_use(source) else "mode=ro&immutable=1")
        destination.chmod(source.stat().st_mode & 0o777)
    except (sqlite3.Error, OSError) as error:
        raise ParityError(f"{source}: can't be copied to {destination} ({error}); check the database and the space") from error


def _is_in_use(path: Path) -> bool:
    wal, shared, journal = companions(path)
    with path.open("rb") as file:
        header = file.read(20)
    return wal.exists() or shared.exists() or journal.exists() or header[18:19] != bytes([_WAL_VERSION])


def _copy_raw(source: Path, folder: Path) -> Path:
    for path in (source, *companions(source)):
        if path.exists() and not path.name.endswith("-shm"):
            shutil.copyfile(path, folder / path.name)
    return folder / source.name


def _backup_from(source: Path, destination: Path, *, parameters: str) -> None:
    with (
        closing(sqlite3.connect(f"file:{quote(str(source.absolute()))}?{parameters}", uri=True, timeout=10.0)) as reader,
        closing(sqlite3.connect(destination)) as writer,
    ):
        reader.backup(writer)
        writer.execute("PRAGMA journal_mode=DELETE").fetchall()

"""
Where a player writes until its archive gets its place.

How this works
--------------
Beside the place: for `rust.parity` in the private folder `.rust.parity.partial`, which the cell shows writable. At the end, however the replay
ended, the archive moves to its place at once, by its name alone. Where the tool itself is killed the folder stays, and its lock is nobody's any
more: then `replay --resume` sets what is in it aside, and `inspect --salvage` opens it by the name of the place. Where the cell has something of
its own around the place (the recorded workspace, say) the player writes into the scratch folder instead, and the archive moves from there.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from replay.archive import is_archive
from replay.jobs.locking import hold, is_held, release
from replay.jobs.scratch import OUTBOX
from replay.model import UsageError


@dataclass(frozen=True, slots=True)
class Outbox:
    """A folder for one archive."""

    folder: Path
    written: Path
    """Where the player makes the archive."""
    held: tuple[int, ...]
    """A lock that the cell inherits."""
    note: str = ""
    """Why it is not beside the archive's own place."""


def partial_folder(observed: Path) -> Path:
    """Name the folder beside an archive's place in which it is written."""
    return observed.with_name(f".{observed.name}.partial")


def find_archive(path: Path) -> Path:
    """Give the path, or, where nothing is there, what a replay that was killed, or still runs, wrote for it."""
    written = partial_folder(path) / path.name
    return written if not path.exists() and is_archive(written) else path


def check_place(observed: Path) -> None:
    """
    Make sure that an archive can be made there; its parents are made.

    Raises:
        UsageError: something is there, or nothing can be, or another replay is at it.

    """
    try:
        if observed.is_symlink() or observed.exists():
            raise UsageError(f"{observed}: is there already; an observed archive is written once, so name another")
        observed.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(observed.parent, os.W_OK | os.X_OK):
            raise UsageError(f"{observed}: can't be made: {observed.parent} can't be written to; name another place")
        check_partial(observed)
    except OSError as error:
        raise UsageError(f"{observed}: can't be made: {error.strerror}; name another place") from error


def check_partial(observed: Path) -> None:
    """
    Make sure that no replay is writing for this place, and none that was killed left an archive; an empty folder of one goes.

    Raises:
        UsageError: otherwise.

    """
    folder = partial_folder(observed)
    if not folder.is_dir():
        return
    if is_held(folder):
        raise UsageError(f"{observed}: another replay is writing it just now, in {folder}; wait for its end, or name another place")
    if is_archive(folder / observed.name):
        raise UsageError(
            f"{observed}: a replay to this place was killed, and what it had observed is in {folder / observed.name}; --resume sets that aside "
            "and plays again"
        )
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def open_outbox(observed: Path, *, hidden: Sequence[str], scratch: Path) -> Iterator[Outbox]:
    """
    Have a place for the player to write; what is there at the end moves to *observed*.

    *hidden* are directories of which the cell has its own.

    Raises:
        UsageError: it can't be made; or, at the end, something is at the place by now, and the archive stays where it was written.

    """
    place = observed.absolute().parent.resolve()
    above = next((path for path in hidden if place == Path(path) or Path(path) in place.parents), None)
    if above is not None:
        folder = scratch / OUTBOX
        folder.mkdir(mode=0o700, exist_ok=True)
        outbox = Outbox(folder, folder / observed.name, (), f"written in {folder} first, for the cell has a {above} of its own")
    else:
        outbox = _beside(observed)
    try:
        yield outbox
    finally:
        try:
            if outbox.written.exists():
                bring_out(outbox.written, observed)
        finally:
            for descriptor in outbox.held:
                release(outbox.folder, descriptor)
            with suppress(OSError):  # what could not move is in it
                outbox.folder.rmdir()


def _beside(observed: Path) -> Outbox:
    folder = partial_folder(observed.absolute())
    try:
        # It shows itself with its lock, so that nobody takes it for an abandoned one.
        draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
        try:
            lock = hold(draft)
            draft.rename(folder)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        raise UsageError(f"{observed}: nothing can be written there: {error.strerror}; name another place") from error
    return Outbox(folder, folder / observed.name, (lock,))


def bring_out(written: Path, observed: Path) -> None:
    """
    Give an observed archive its place, at once and never into what came to be there meanwhile.

    Raises:
        UsageError: something is there by now, or the disk refuses; the archive stays where it was written.

    """
    draft = written
    try:
        if written.stat().st_dev != observed.parent.stat().st_dev:
            draft = observed.with_name(f".{observed.name}.draft-{os.getpid()}")
            shutil.copytree(written, draft)
        draft.rename(observed)
    except OSError as error:
        if draft != written:
            shutil.rmtree(draft, ignore_errors=True)
        why = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
        raise UsageError(f"{observed}: what was observed can't be put there ({why}); it is kept in {written}") from error

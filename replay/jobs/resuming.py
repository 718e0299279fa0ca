"""
What is at the place of an observed archive already, and what `--resume` makes of it.

A daemon's memory dies with it, so nothing is played on from the middle: a resumed replay starts a fresh cell from the snapshot and plays from
the start. What an earlier one had observed is kept beside the place, as `NAME.incomplete-1` and so on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from replay.archive import Archive, Keyring, is_archive, read
from replay.jobs.locking import is_held
from replay.jobs.outbox import check_place, partial_folder
from replay.model import ArchiveError, UsageError

_ORDERED: Final = "ordered"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is at an archive's place, or was left beside it."""

    path: Path
    archive: Archive

    @property
    def complete(self) -> bool:
        """Whether it was sealed when everything planned had been walked to its end."""
        return not self.archive.salvaged and self.archive.facts.get("complete") is True


def find_earlier(observed: Path, keys: Keyring) -> Earlier | None:
    """
    Find what an earlier replay left at a place or beside it; None where there is nothing.

    Raises:
        UsageError: what is there is no archive, or one that can't be read even in part.

    """
    partial = partial_folder(observed)
    path = observed
    if not observed.exists() and not observed.is_symlink():
        path = partial / observed.name
        if not is_archive(path) or is_held(partial):
            return None
    if not is_archive(path) or path.is_symlink():
        raise UsageError(f"{path}: is there already and no archive; name another place")
    try:
        return Earlier(path, read(path, salvage=True, keys=keys))
    except ArchiveError as error:
        raise UsageError(f"{path}: is there already and can't be read ({error}); move it away, or name another place") from error


def is_of(earlier: Earlier, recorded: Archive) -> bool:
    """Whether an earlier archive is a replay of this very recording."""
    return earlier.archive.facts.get("replay_of_digest") == recorded.digest


def expect_same_order(earlier: Earlier, recorded: Archive, ordered: Mapping[str, Any]) -> None:
    """
    Make sure that an earlier replay was asked for the same.

    Raises:
        UsageError: it is of another recording, or was made with another daemon or other options.

    """
    if not is_of(earlier, recorded):
        raise UsageError(f"{earlier.path}: is no replay of this recording, so there is nothing to resume; name another place")
    before = earlier.archive.facts.get(_ORDERED)
    before = before if isinstance(before, Mapping) else {}
    for name, value in ordered.items():
        if name in before and before[name] != value:
            raise UsageError(
                f"{earlier.path}: was made with {name} {before[name]!r}, and {value!r} is asked for now; say the same to resume it, or name "
                "another place"
            )


def set_aside(earlier: Earlier, observed: Path, why: str = "incomplete") -> Path:
    """
    Give an earlier archive another name, with *why* in it, so that its place is free; gives the new path.

    Raises:
        UsageError: the file system refuses.

    """
    try:
        for number in count(1):
            kept = observed.with_name(f"{observed.name}.{why}-{number}")
            if not kept.exists() and not kept.is_symlink():
                earlier.path.rename(kept)
                return kept
    except OSError as error:
        raise UsageError(f"{earlier.path}: can't be set aside: {error.strerror}; move it away, or name another place") from error
    raise AssertionError("numbers end")


@dataclass(frozen=True, slots=True)
class Room:
    """What was done so that an archive can be made at its place."""

    text: str = ""
    """What to say of it."""
    complete: bool = False
    """Whether the archive is there already, so that nothing is to be played."""


def make_room(recorded: Archive, observed: Path, ordered: Mapping[str, Any], *, resume: bool, keys: Keyring) -> Room:
    """
    Make sure that an archive can be made at its place; with *resume* an incomplete one of the same replay is set aside.

    Raises:
        UsageError: the place is taken, by something else than a replay of this recording that was asked for the same.

    """
    earlier = find_earlier(observed, keys)
    if earlier is None:
        check_place(observed)
        return Room()
    if not resume:
        hint = "" if earlier.complete or not is_of(earlier, recorded) else "; it is incomplete: --resume sets it aside and plays again"
        raise UsageError(f"{earlier.path}: is there already; an observed archive is written once, so name another{hint}")
    expect_same_order(earlier, recorded, ordered)
    exchanges = len(earlier.archive.exchanges())
    if earlier.complete:
        return Room(f"{observed}: is there, sealed and complete: {exchanges} exchanges; nothing was played", complete=True)
    kept = set_aside(earlier, observed)
    check_place(observed)
    return Room(
        f"an earlier, incomplete replay ({exchanges} exchanges) is kept as {kept}; a daemon's memory dies with it, so this one began with a "
        "fresh cell, from the start"
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """An archive that shall be made, and what its replay is asked for."""

    observed: Path
    ordered: Mapping[str, Any]


def make_room_for_pair(recorded: Archive, wanted: Sequence[Wanted], *, resume: bool, keys: Keyring) -> Room:
    """
    Make sure, as `make_room` does, that two archives can be made at once. Of an earlier pair both or none count as complete.

    Raises:
        UsageError: one of the places is taken.

    """
    earlier = [find_earlier(each.observed, keys) for each in wanted]
    if not resume or not any(earlier):
        for each in wanted:
            make_room(recorded, each.observed, each.ordered, resume=False, keys=keys)
        return Room()
    for each, found in zip(wanted, earlier, strict=True):
        if found is not None:
            expect_same_order(found, recorded, each.ordered)
    if all(found is not None and found.complete for found in earlier):
        return Room(f"{' and '.join(str(each.observed) for each in wanted)}: are there, sealed and complete; nothing was played", complete=True)
    kept = []
    for each, found in zip(wanted, earlier, strict=True):
        if found is not None:
            # One without the other was not timed under the same load.
            kept.append(str(set_aside(found, each.observed, "unpaired" if found.complete else "incomplete")))
        check_place(each.observed)
    return Room(f"of an earlier, incomplete pair is kept: {', '.join(kept)}; both began again with fresh cells, from the start")

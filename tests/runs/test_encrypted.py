"""A run that is encrypted, as the archives are of which it was made."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from replay.archive import Keyring, LockedError, make_key
from replay.model import ArchiveError, UsageError
from replay.runs import Party, Run, load, recipients_of, save

ONE, TWO = make_key(), make_key()
RING = Keyring.of([ONE])
PARTY = Party("recorded", "a-1", "rec.parity", "sha256:aa", "js 1", 1.5, 2)
RUN = Run(PARTY, PARTY, None, "fail", "what a body said \ud800", 2.5, 3, "t", (), (), (), (), ())


def test_it_comes_back_for_each_recipient(tmp_path: Path) -> None:
    """Both can read it, nobody else, and no file of it holds anything in clear but the public keys."""
    save(RUN, tmp_path / "run", recipients=[ONE.public, TWO.public])

    assert load(tmp_path / "run", keys=RING) == load(tmp_path / "run", keys=Keyring.of([TWO])) == RUN
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"run.json", "run.enc"}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "run").iterdir()} == {0o600}
    assert all(b"what a body said" not in path.read_bytes() for path in (tmp_path / "run").iterdir())
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == {"format": 2, "recipients": [ONE.public.hex(), TWO.public.hex()]}
    for keys in (None, Keyring(), Keyring.of([make_key()])):
        with pytest.raises(LockedError, match=f"{ONE.id}, {TWO.id}"):
            load(tmp_path / "run", keys=keys)


def test_saving_again_leaves_nothing_in_clear(tmp_path: Path) -> None:
    """An encrypted run takes a clear one's place, and the other way round, and no file of the earlier one stays."""
    for recipients, names in (((), 7), ((ONE.public,), 2), ((), 7)):
        save(RUN, tmp_path, recipients=recipients)
        assert recipients_of(tmp_path) == recipients
        assert len(list(tmp_path.iterdir())) == names
        assert load(tmp_path, keys=RING) == RUN


def test_a_full_disk_leaves_the_earlier_run(tmp_path: Path) -> None:
    """Where it can't be written whole, the one that was there still is, with nothing beside it."""
    save(RUN, tmp_path, recipients=[ONE.public])
    (tmp_path / "run.enc.draft").symlink_to("/dev/full")
    with pytest.raises(UsageError, match=r"can't be written \(No space left on device\)"):
        save(replace(RUN, verdict="pass"), tmp_path, recipients=[ONE.public])
    assert load(tmp_path, keys=RING) == RUN
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: (path / "run.enc").unlink(),
        lambda path: (path / "run.enc").write_bytes(b""),
        lambda path: (path / "run.enc").write_bytes((path / "run.enc").read_bytes()[:-1]),
        lambda path: (path / "run.json").write_text('{"recipients": []}'),
        lambda path: (path / "run.json").write_text('{"format": 99, "recipients": []}'),
    ],
)
def test_a_damaged_one_is_an_error_of_ours(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    """Missing, cut, changed or newer: told in words, never a crash and never a run."""
    save(RUN, tmp_path, recipients=[ONE.public])
    spoil(tmp_path)
    with pytest.raises((UsageError, ArchiveError), match=str(tmp_path)):
        load(tmp_path, keys=RING)


def test_whose_run_it_is_can_be_damaged(tmp_path: Path) -> None:
    """Recipients that are none are a damaged run."""
    save(RUN, tmp_path, recipients=[ONE.public])
    for text in ('{"format": 2, "recipients": ["zz"]}', '{"format": 2, "recipients": 7}', "[]", "{"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(UsageError, match="no run, or a damaged one"):
            recipients_of(tmp_path)

"""The append-only ledger."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.evidence import Entry, append, entry_from, head_path, read, verify
from replay.model import UsageError
from replay.runs import Run

Night = Callable[..., Entry]


@pytest.fixture
def ledger(tmp_path: Path, night: Night) -> Path:
    """Give a ledger of four nights."""
    path = tmp_path / "evidence" / "ledger.jsonl"
    for number in range(4):
        append(path, night(number))
    return path


def test_what_is_added_comes_back(tmp_path: Path, run: Run, night: Night) -> None:
    """Entries are read as they were added, oldest first, and the ledger holds together."""
    path = tmp_path / "ledger.jsonl"
    entries = (entry_from(run, name="runs/1"), night(1))
    for entry in entries:
        append(path, entry)
    assert read(path) == entries
    assert verify(path) == ()
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_entry_holds_what_it_rests_on(run: Run) -> None:
    """An entry has the digests of archives, rules and noise, tool and daemon, totals, domains, verdict and open causes."""
    entry = entry_from(run, name="runs/1")
    assert entry.parties["observed"] == {
        "archive": "a-2",
        "path": "rec.parity",
        "digest": "sha256:aa",
        "daemon": "rust 1",
        "cell": "namespace",
        "salvaged": False,
    }
    assert entry.daemon == "rust 1"
    assert entry.totals == {"planned": 108, "compared": 107, "identical": 104, "divergent": 3}
    assert entry.gaps == {"unsafe": 1}
    assert entry.open_clusters == ("c-open", "c-row")
    assert entry.domains["write"].open == 1
    assert entry.features["write"]["GET /write/1"].planned == 6


def test_each_line_holds_the_digest_of_the_one_before(ledger: Path) -> None:
    """The chain is in the file itself: previous is the digest of the line above."""
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, 4]
    assert [line["previous"] for line in lines] == ["", *(line["digest"] for line in lines[:-1])]


def _edit(lines: list[str]) -> list[str]:
    return [*lines[:1], lines[1].replace('"verdict":"pass"', '"verdict":"fail"'), *lines[2:]]


def _edit_last(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1].replace('"seed":1', '"seed":2')]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_edit, "line 2 was changed"),
        (_edit_last, "line 4 was changed"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "lines were moved"),
        (lambda lines: [*lines[:1], *lines[2:]], "line 2 says it is number 3"),
        (lambda lines: lines[1:], "line 1 does not follow"),
        (lambda lines: lines[:3], "1 of 4 lines are missing at the end"),
        (lambda lines: lines[:0], "4 of 4 lines are missing at the end"),
        (lambda lines: [*lines, lines[-1]], "line 5 says it is number 4"),
        (lambda lines: [*lines[:2], "{}", *lines[2:]], "line 3 is no entry"),
        (lambda lines: [*lines[:2], "", *lines[2:]], "line 3 is no entry"),
        (lambda lines: [lines[0].replace('"format":1', '"format":9'), *lines[1:]], "line 1 is of format 9"),
    ],
)
def test_tampering_is_found(ledger: Path, night: Night, spoil: Callable[[list[str]], list[str]], words: str) -> None:
    """Edited, moved, doubled, foreign and missing lines are found; nothing is read from or added to such a ledger."""
    spoiled = "".join(line + "\n" for line in spoil(ledger.read_text().splitlines()))
    ledger.write_text(spoiled)
    assert words in "; ".join(verify(ledger))
    with pytest.raises(UsageError, match="does not hold together"):
        read(ledger)
    with pytest.raises(UsageError, match="nothing is added"):
        append(ledger, night(9))
    assert ledger.read_text() == spoiled


@given(st.data())
def test_any_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whichever byte of the ledger is another one, verify says so."""
    path = tmp_path_factory.mktemp("l") / "ledger.jsonl"
    whole = _small_ledger(path)
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
    assert verify(path)


def _small_ledger(path: Path) -> bytes:
    for number in range(2):
        append(path, Entry(float(number), "r", "t", 1, "pass", "b", {}, "", "", {}, {}, {}, {}))
    return path.read_bytes()


def test_a_half_written_line_is_told_and_can_be_cut_off(ledger: Path, night: Night) -> None:
    """After a crash in mid-line verify says so, append refuses with the command that mends it, and after that it goes on."""
    whole = ledger.read_bytes()
    for length in (1, 100):
        ledger.write_bytes(whole + whole[:length])
        assert "line 5 is half written" in verify(ledger)[0]
        with pytest.raises(UsageError, match=f"truncate -s {len(whole)} "):
            append(ledger, night(5))
    with ledger.open("rb+") as file:
        file.truncate(len(whole))
    append(ledger, night(5))
    assert len(read(ledger)) == 5


def test_a_crash_before_the_head_was_written_loses_nothing(ledger: Path, night: Night) -> None:
    """A whole line that the head does not know yet counts, and the next one follows it."""
    head = head_path(ledger).read_text()
    append(ledger, night(4))
    head_path(ledger).write_text(head)
    assert verify(ledger) == ()
    append(ledger, night(5))
    assert len(read(ledger)) == 6


def test_a_missing_or_foreign_head_is_told(ledger: Path) -> None:
    """Without its head, or with one that can't be understood, the ledger can't prove its end."""
    head_path(ledger).write_text("what?\n")
    assert "can't be understood" in verify(ledger)[0]
    head_path(ledger).unlink()
    assert "is missing" in verify(ledger)[0]


def test_a_ledger_that_is_not_there(tmp_path: Path) -> None:
    """A missing ledger is a usage error, not an empty one; a directory can't be one."""
    with pytest.raises(UsageError, match="there is no ledger"):
        verify(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="can't be written"):
        append(tmp_path, Entry(0.0, "r", "t", 1, "pass", "b", {}, "", "", {}, {}, {}, {}))


def _add_many(path: Path, count: int) -> None:
    for number in range(count):
        append(path, Entry(float(number), "r", "t", 1, "pass", "b", {}, "", "", {}, {}, {}, {}))


def test_two_processes_may_append_at_once(tmp_path: Path) -> None:
    """Appends of several processes wait for each other: no line is lost or torn."""
    path = tmp_path / "ledger.jsonl"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_many, args=(path, 10)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(read(path)) == 30

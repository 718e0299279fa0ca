"""The judgement itself: archives with planted faults, written by the real writer."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from replay.archive import ArchiveWriter
from replay.model import Connection, Ended, EndReason, Gap, GapReason, Opened, Record, Request, Response
from tests.faults.client import Told
from tests.faults.judging import compare_served, gather, judge
from tests.faults.truth import Ask, answer_body, ask_of, draw

ASKS = [Ask(f"w-{number}", "post" if number % 2 else "small", sent=40 * (number % 2), size=90) for number in range(6)]
HEADERS = ((b"X-Ask", b"1"),)


def records_of(asks: Iterable[Ask]) -> list[Record]:
    """Give the records of a recorder that did all as it should."""
    records: list[Record] = []
    for number, ask in enumerate(asks, 1):
        event = 3 * number - 2
        request = Request(ask.method.encode(), ask.target.encode(), b"HTTP/1.1", ((b"X-Number", ask.id.encode()),))
        records.append(Opened(number, event, 1.0, Connection("c"), request))
        answer = Response(b"HTTP/1.1", 200, b"OK", HEADERS, answer_body(ask))
        records.append(Ended(number, event + 2, 2.0, EndReason.COMPLETE, answer, ask.body, headers_event=event + 1))
    return records


def told_of(asks: Iterable[Ask], ended_at: float = 2.0) -> list[Told]:
    """Give the log of a client that was served in all."""
    told = []
    for ask in asks:
        entry = Told(ask, 1.0, head_sent=True, sent=True, status=200, headers=HEADERS, body=answer_body(ask), whole=True)
        entry.settle()
        entry.ended_at = ended_at
        told.append(entry)
    return told


def write(folder: Path, records: Iterable[Record], *, event: int = 19) -> Path:
    """Write and seal an archive."""
    with_end = ArchiveWriter.create(folder / "out.parity", kind="recording", facts={})
    for record in records:
        with_end.append(record)
    with_end.seal(event=event, at=3.0, reason="done")
    return folder


def change_answer(records: list[Record]) -> None:
    """Flip a byte of an answer."""
    ended = records[5]
    assert isinstance(ended, Ended)
    assert isinstance(ended.outcome, Response)
    records[5] = replace(ended, outcome=replace(ended.outcome, body=(ended.outcome.body or b"").swapcase()))


def change_request(records: list[Record]) -> None:
    """Cut a request's body."""
    ended = records[3]
    assert isinstance(ended, Ended)
    records[3] = replace(ended, request_body=(ended.request_body or b"")[:-1])


def change_header(records: list[Record]) -> None:
    """Rename an answer's header."""
    ended = records[1]
    assert isinstance(ended, Ended)
    assert isinstance(ended.outcome, Response)
    records[1] = replace(ended, outcome=replace(ended.outcome, headers=((b"x-ask", b"1"),)))


def say_left(records: list[Record]) -> None:
    """Say that the client left where it got all."""
    ended = records[1]
    assert isinstance(ended, Ended)
    records[1] = replace(ended, end=EndReason.CLIENT_LEFT)


def lose_silently(records: list[Record]) -> None:
    """Leave an exchange out, and its event numbers too."""
    del records[4:6]


def lose_end(records: list[Record]) -> None:
    """Leave the end of an exchange out."""
    del records[5]


def count_too_little(records: list[Record]) -> None:
    """Leave two exchanges out, and count no more than one event."""
    records[4:8] = [Gap(GapReason.NOT_WRITTEN, event=7)]


def invent(records: list[Record]) -> None:
    """Give an exchange that nobody asked for."""
    opened = records[0]
    assert isinstance(opened, Opened)
    records[0] = replace(opened, request=replace(opened.request, target=Ask("nobody", "small").target.encode()))


def test_a_true_archive_is_not_blamed(tmp_path: Path) -> None:
    """Where all is there as the client knows it, nothing is wrong and nothing lost."""
    wrong, loss = judge(gather(write(tmp_path, records_of(ASKS))), told_of(ASKS))
    assert wrong == []
    assert (loss.lost, loss.listed, loss.unnamed) == (0, 0, 0)


@pytest.mark.parametrize("plant", [change_answer, change_request, change_header, say_left, lose_silently, lose_end, count_too_little, invent])
def test_a_planted_fault_is_found(plant: Callable[[list[Record]], None], tmp_path: Path) -> None:
    """Whatever is not as the client knows it is said."""
    records = records_of(ASKS)
    plant(records)
    assert judge(gather(write(tmp_path, records)), told_of(ASKS))[0]


def test_a_counted_loss_is_no_fault(tmp_path: Path) -> None:
    """Exchanges that a gap stands for are counted as lost, and nothing is wrong."""
    records = records_of(ASKS)
    records[4:8] = [Gap(GapReason.NOT_WRITTEN, event=7, count=6)]
    wrong, loss = judge(gather(write(tmp_path, records)), told_of(ASKS))
    assert wrong == []
    assert (loss.lost, loss.listed, loss.unnamed) == (2, 0, 2)


def test_a_cut_archive_may_lack_its_end_only(tmp_path: Path) -> None:
    """At a death the last second may lack; what the client had long finished may not."""
    asks = [Ask(f"w-{number}", "small", size=20) for number in range(100)]
    write(tmp_path, records_of(asks[:60]), event=181)
    part = tmp_path / "out.parity"
    (part / "manifest.json").unlink()
    parts = gather(tmp_path)
    assert not parts[0].sealed
    assert judge(parts, told_of(asks, ended_at=9.5), died_at=10.0)[0] == []
    assert (
        judge(parts, told_of(asks[:50], ended_at=5.0) + told_of(asks[50:70], ended_at=8.5) + told_of(asks[70:], ended_at=9.8), died_at=10.0)[0]
        == []
    )
    late = told_of(asks[:62], ended_at=5.0) + told_of(asks[62:], ended_at=9.5)
    assert [what for what in judge(parts, late, died_at=10.0)[0] if "before the death" in what]


def test_what_is_served_otherwise_is_found() -> None:
    """A changed status, header, body or end is said; how far a broken answer came is not."""
    bare, ours = told_of(ASKS), told_of(ASKS)
    assert compare_served(bare, ours, set()) == []
    ours[1].status = 502
    ours[2].headers = ((b"x-ask", b"1"),)
    ours[3].received -= 1
    ours[4].whole = False
    assert [what.split(" ", 1)[0] for what in compare_served(bare, ours, set())] == ["w-1", "w-2", "w-3", "w-4"]
    assert compare_served(bare, ours, {"w-1", "w-2", "w-3", "w-4"}) == []
    bare[0].whole = ours[0].whole = False
    ours[0].received = 3
    assert compare_served(bare[:1], ours[:1], set()) == []


def test_asks_are_drawn_the_same_way_each_time() -> None:
    """The seed decides all, and a target tells the server all but when the client leaves."""
    turns = draw("x", 300, dying=0.2, leaving=0.2)
    assert turns == draw("x", 300, dying=0.2, leaving=0.2)
    asks = [ask for turn in turns for ask in turn]
    assert {ask.kind for ask in asks} > {"small", "post", "big", "chunked", "head", "empty", "pair", "send-chunked", "stream"}
    assert {ask.die for ask in asks} == {"", "before", "head", "middle"}
    assert {ask.leave for ask in asks} == {"", "asking", "body", "half", "answer"}
    assert [ask_of(ask.target) for ask in asks] == [replace(ask, leave="") for ask in asks]

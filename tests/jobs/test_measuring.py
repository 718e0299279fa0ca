"""Noise measured from archives: every pair of them, with chances."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Archive, ArchiveWriter, read
from replay.jobs.judging import measure_noise
from replay.judge import noise_text
from replay.model import Connection, Ended, EndReason, Opened, Request, Response, UsageError

AT = 1_763_900_000.0


def run(path: Path, answers: Sequence[Any], **facts: Any) -> Archive:
    """Write an archive of one client that asks for health now and again, and is given these answers."""
    with ArchiveWriter.create(path, kind="observed" if "replay_of" in facts else "recording", facts=facts) as writer:
        for number, answer in enumerate(answers, 1):
            at = AT + 10 * number
            writer.append(Opened(number, 3 * number - 2, at, Connection("c"), Request(b"GET", b"/health", b"HTTP/1.1", ((b"host", b"x"),), b"")))
            response = Response(b"HTTP/1.1", 200, b"", ((b"content-type", b"application/json"),), json.dumps(answer).encode())
            writer.append(Ended(number, 3 * number, at + 0.1, EndReason.COMPLETE, response, b"", headers_event=3 * number - 1))
        writer.seal(event=3 * len(answers) + 1, at=AT, reason="test")
    return read(path)


def silent(_what: str, _done: int, _of: int) -> None:
    """Take progress and say nothing."""


def answers(*counts: int) -> list[Any]:
    """Make answers with a count that races, an uptime, and a version that never changes."""
    return [{"open": count, "uptime": 12.5 + count, "version": "1.2", "list": [{"size": count}, {"size": 7}]} for count in counts]


def test_each_archive_is_laid_beside_each_other(tmp_path: Path) -> None:
    """A recording and two replays are three pairs of runs: what only the replays differ in is learned, too, however they are given."""
    first = run(tmp_path / "a.parity", answers(3, 3))
    replays = [run(tmp_path / f"{name}.parity", answers(*counts), replay_of=first.id) for name, counts in (("b", (3, 4)), ("c", (5, 4)))]
    told: list[tuple[int, int]] = []
    model = measure_noise([replays[0], first, replays[1]], lambda _what, done, of: told.append((done, of)))
    fact = model.facts["GET /health", "$.open", "value"]

    assert told == [(1, 3), (2, 3), (3, 3)]
    assert (fact.runs, fact.runs_differing, fact.pairs, fact.differing, fact.most) == (3, 3, 6, 4, 2)
    assert (fact.instances, fact.changed, fact.low, fact.high, fact.widest) == (6, 4, 3.0, 5.0, 2.0)
    assert model.archives == (replays[0].digest, first.digest, replays[1].digest)


def test_chances_are_counted_by_place(tmp_path: Path) -> None:
    """A place that an answer has twice has twice the chances; one that never differed is no fact of its own."""
    one, two = (run(tmp_path / f"{name}.parity", answers(*counts)) for name, counts in (("a", (3, 3, 3)), ("b", (4, 3, 3))))
    model = measure_noise([one, two], silent)

    assert model.facts["GET /health", "$.list[*].size", "value"].instances == 6
    assert ("GET /health", "$.version", "value") not in model.facts


def test_what_is_measured_by_nature_is_learned_without_a_finding(tmp_path: Path) -> None:
    """Uptimes differ in each run and are no finding: how far they lay apart is learned all the same, and tells a far one."""
    one, two = (run(tmp_path / f"{name}.parity", answers(*counts)) for name, counts in (("a", (1, 2)), ("b", (2, 3))))
    model = measure_noise([one, two], silent)
    fact = model.facts["GET /health", "$.uptime", "amount"]

    assert (fact.low, fact.high) == (13.5, 15.5)
    assert model.within("GET /health", "$.uptime", "13.5", "14.5")
    assert not model.within("GET /health", "$.uptime", "13.5", "99.5")


def test_the_same_archives_make_the_same_file(tmp_path: Path) -> None:
    """Noise is a fact of its archives: measured again it is the same to the byte."""
    one, two = (run(tmp_path / f"{name}.parity", answers(*counts)) for name, counts in (("a", (1, 2, 5)), ("b", (2, 3, 1))))

    assert noise_text(measure_noise([one, two], silent)) == noise_text(measure_noise([one, two], silent))


def test_an_archive_given_twice_is_refused(tmp_path: Path) -> None:
    """One run beside itself would count as a pair of runs that agree in everything."""
    one, two = (run(tmp_path / f"{name}.parity", answers(1)) for name in "ab")
    with pytest.raises(UsageError, match="twice"):
        measure_noise([one, two, one], silent)

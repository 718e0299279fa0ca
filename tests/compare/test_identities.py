"""A daemon that mixes up its ids: whatever breaks the one renaming of a replay is a finding."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Archive, ArchiveWriter, read
from replay.compare import Comparison, compare_archives
from replay.identity import Bindings, learn
from replay.model import Ended, Exchange, Finding, Opened, Response

type Maker = Callable[..., Exchange]
R1, R2, R3 = (f"{digit * 8}-0000-4000-8000-00000000000{digit}" for digit in "123")
O1, O2, O3 = (f"{digit * 8}-0000-4000-8000-00000000000{digit}" for digit in "abc")
SSE, MARKDOWN, LINES = b"text/event-stream", b"text/markdown", b"application/x-ndjson"


def write(path: Path, exchanges: Sequence[Exchange], bindings: Bindings, **facts: Any) -> Archive:
    """Write exchanges and bindings as an archive and open it."""
    with ArchiveWriter.create(path, kind="observed" if facts else "recording", facts=facts) as writer:
        for item in exchanges:
            writer.append(Opened(item.id, item.opened_event, item.started_at, item.connection, replace(item.request, body=b""), item.lane))
            writer.append(Ended(item.id, item.ended_event, item.ended_at, item.end, item.outcome, b"", note=item.note))
        for binding in bindings.records():
            writer.append(binding)
        writer.seal(event=100, at=0.0, reason="test")
    return read(path)


def replayed(folder: Path, recorded: Sequence[Exchange], observed: Sequence[Exchange]) -> tuple[Comparison, Bindings]:
    """Learn as a player does, and compare."""
    bindings = Bindings()
    for one, two in zip(recorded, observed, strict=True):
        assert isinstance(one.outcome, Response)
        assert isinstance(two.outcome, Response)
        learn(one.outcome, two.outcome, bindings, one.id)
    first = write(folder / "r.parity", recorded, Bindings())
    second = write(folder / "o.parity", observed, bindings, replay_of=first.id)
    return compare_archives(first, second, [], lambda _done, _of: None), bindings


def structural(made: Comparison) -> list[tuple[str, str]]:
    """Give exchange and kind of each structural finding."""
    return [(item.subject.id, item.kind) for item in made.findings if item.difference == "structural"]


@pytest.mark.parametrize(
    ("media", "recorded", "observed"),
    [
        (b"application/json", f'{{"id":"{R1}"}}', f'{{"id":"{O2}"}}'),
        (b"application/json", f'{{"job":{{"memory_id":"{R1}","n":1}}}}', f'{{"job":{{"memory_id":"{O3}","n":1}}}}'),
        (b"application/json", f'{{"memory_id":"{R3}"}}', f'{{"memory_id":"{O1}"}}'),
        (b"application/json", f'{{"id":"{R1}"}}', f'{{"id":"{R1}"}}'),
        (b"application/json", f'{{"text":"{{\\"id\\":\\"{R1}\\"}}"}}', f'{{"text":"{{\\"id\\":\\"{O2}\\"}}"}}'),
        (b"application/json", f'{{"ratings":{{"{R1}":1}}}}', f'{{"ratings":{{"{O2}":1}}}}'),
        (b"application/json", f'{{"path":"temporal:memory:{R1}:valid"}}', f'{{"path":"temporal:memory:{O2}:valid"}}'),
        (MARKDOWN, f"see [it](memory/{R1}.md) there", f"see [it](memory/{O2}.md) there"),
        (SSE, f'event: meta\ndata: {{"id":"{R1}"}}\n\n', f'event: meta\ndata: {{"id":"{O2}"}}\n\n'),
        (LINES, f'{{"id":"{R1}"}}\n', f'{{"id":"{O2}"}}\n'),
    ],
    ids=["another", "dangling", "two became one", "the recorded one", "json in a string", "key", "composed", "markdown", "stream", "lines"],
)
def test_contradictions_are_findings(exchange: Maker, tmp_path: Path, media: bytes, recorded: str, observed: str) -> None:
    """Where two ids are known, an answer that breaks their renaming makes one structural finding, in its own exchange."""
    known = [{"id": R1, "n": 1}, {"id": R2, "n": 2}], [{"id": O1, "n": 1}, {"id": O2, "n": 2}]
    made, _ = replayed(
        tmp_path,
        [exchange(1, known[0]), exchange(2, raw=recorded.encode(), media=media)],
        [exchange(1, known[1]), exchange(2, raw=observed.encode(), media=media)],
    )
    found = structural(made)
    assert found
    assert {subject for subject, _ in found} == {"2"}
    assert all(not item.derived_from for item in made.findings)


def test_a_header_that_contradicts(exchange: Maker, tmp_path: Path) -> None:
    """An id in a header is held to the same renaming."""
    one = exchange(2, {}, headers=((b"location", f"/api/memory/{R1}".encode()),))
    two = exchange(2, {}, headers=((b"location", f"/api/memory/{O2}".encode()),))
    known = [{"id": R1, "n": 1}, {"id": R2, "n": 2}], [{"id": O1, "n": 1}, {"id": O2, "n": 2}]
    made, bindings = replayed(tmp_path, [exchange(1, known[0]), one], [exchange(1, known[1]), two])
    assert structural(made) == [("2", "header")]
    assert len(bindings.contradictions) == 1


@pytest.mark.parametrize("other", ["m-0017", "key_WXQLVNI5hcmmMHei"])
def test_ids_of_another_form(exchange: Maker, tmp_path: Path, other: str) -> None:
    """An id that the replay can use and that looks otherwise is a finding of its form, wherever it stands, and of nothing else."""
    recorded = [exchange(1, {"id": R1}), exchange(2, {"memory": {"id": R1, "n": 1}})]
    made, bindings = replayed(tmp_path, recorded, [exchange(1, {"id": other}), exchange(2, {"memory": {"id": other, "n": 1}})])
    assert bindings.observed_for(R1) == other
    assert [(item.kind, item.quirk, item.path) for item in made.findings] == [
        ("format", "q-id-format", "$.id"),
        ("format", "q-id-format", "$.memory.id"),
    ]


def test_two_things_with_one_id_in_a_list(exchange: Maker, tmp_path: Path) -> None:
    """Things that the recording tells apart and the candidate gives one id are found, be they alike or not."""
    for number, names in enumerate((("one", "two"), ("same", "same"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        left = [{"id": R1, "content": names[0]}, {"id": R2, "content": names[1]}]
        right = [{"id": O1, "content": names[0]}, {"id": O1, "content": names[1]}]
        made, _ = replayed(folder, [exchange(1, left)], [exchange(1, right)])
        assert [kind for _, kind in structural(made)] == ["identity"]


def noted(found: Sequence[Finding]) -> list[tuple[str, bool]]:
    """Give each finding's kind, and whether it follows from another."""
    return [(item.kind, bool(item.derived_from)) for item in found if item.subject.id == "2"]


@pytest.mark.parametrize(("total", "follows"), [(1, True), (0, False)])
def test_an_id_that_was_not_given_again(exchange: Maker, tmp_path: Path, total: int, follows: bool) -> None:  # noqa: FBT001  # a case
    """What a later answer lacks of a thing, and a count of just that, follow from the answer that gave no id; what else it lacks does not."""
    kept = {"id": R2, "content": "kept", "n": 1}
    recorded = [exchange(1, {"id": R1}), exchange(2, {"items": [{"id": R1, "content": "gone"}, kept], "total": 2})]
    lost = replace(exchange(2, {"items": [{**kept, "id": O2}], "total": total}), note=f"{R1} was not given again by #1")
    made, _ = replayed(tmp_path, recorded, [exchange(1, {}), lost])
    assert noted(made.findings) == [("missing-item", True), ("value", follows)]


def test_several_ids_that_were_not_given_again(exchange: Maker, tmp_path: Path) -> None:
    """Each of the ids that the player names counts."""
    recorded = [exchange(1, {"id": R1, "other": R3}), exchange(2, {"one": {"id": R1}, "two": R3, "three": R2})]
    lost = replace(exchange(2, {}), note=f"{R1} was not given again by #1; {R3} was not given again by #1")
    made, _ = replayed(tmp_path, recorded, [exchange(1, {}), lost])
    assert noted(made.findings) == [("missing-key", True), ("missing-key", True), ("missing-key", False)]


@pytest.mark.parametrize(("other", "kind"), [(O1.upper(), "format"), ("00000000-0000-0000-0000-000000000000", "identity")])
def test_a_new_id_of_another_form(exchange: Maker, tmp_path: Path, other: str, kind: str) -> None:
    """An id that is written in capitals, or is the one that stands for none, is more than a new name, also where nobody names it again."""
    found, _ = replayed(tmp_path, [exchange(1, {"id": R1})], [exchange(1, {"id": other})])
    assert [(item.kind, item.at) for item in found.findings] == [(kind, "$.id")]

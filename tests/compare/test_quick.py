"""The short way gives exactly what the long way gives, and finds its pairs wherever they lie."""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.archive import Archive, ArchiveWriter, read
from replay.compare import Comparison, compare_archives
from replay.compare.numbers import Numbers, Samples
from replay.compare.rows import Rows
from replay.interop.mitm import import_mitm
from replay.model import Binding, Ended, Exchange, Opened, Response

type Maker = Callable[..., Exchange]

IDS = [str(uuid.UUID(int=number, version=4)) for number in range(1, 7)]
OTHERS = [str(uuid.UUID(int=number, version=4)) for number in range(101, 107)]


def write(path: Path, exchanges: Sequence[Exchange], bindings: Sequence[Binding] = (), **facts: Any) -> Archive:
    """Write exchanges as an archive and open it."""
    with ArchiveWriter.create(path, kind="observed" if "replay_of" in facts else "recording", facts=facts) as writer:
        for item in exchanges:
            writer.append(Opened(item.id, item.opened_event, item.started_at, item.connection, replace(item.request, body=b""), item.lane))
            writer.append(
                Ended(item.id, item.ended_event, item.ended_at, item.end, item.outcome, item.request.body, headers_event=item.headers_event)
            )
        for binding in bindings:
            writer.append(binding)
        writer.seal(event=3 * len(exchanges) + 1, at=0.0, reason="test")
    return read(path)


def both_ways(recorded: Archive, observed: Archive, controls: Sequence[Archive] = (), spool: Path | None = None) -> Comparison:
    """Compare by the short way and at length, and see to it that both give the same."""
    short = compare_archives(recorded, observed, controls, lambda _done, _of: None, spool=spool)
    long = compare_archives(recorded, observed, controls, lambda _done, _of: None, short=False)
    assert short.findings == long.findings
    assert short.relations == long.relations
    assert short.not_compared == long.not_compared
    assert short.timing == long.timing
    assert short.timings == long.timings
    assert short.pairs == long.pairs
    assert short.answers == long.answers
    return short


leaves = st.one_of(
    st.sampled_from(IDS),
    st.sampled_from(["2023-11-14T22:13:30.000Z", "2023-11-14T22:13:21.500Z", "2001-01-01T00:00:00.000Z"]),
    st.integers(0, 3),
    st.booleans(),
    st.none(),
    st.text('ab\\"\n{é,:', max_size=4),
    st.sampled_from([json.dumps({"id": IDS[0]}), f"see {IDS[1]} there"]),
)
keys = st.sampled_from(["id", "name", "created_at", "durationMs", "items", "count", IDS[2], "GET /x"])
bodies = st.recursive(leaves, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)), max_leaves=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_both_ways_give_the_same(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever answers hold, however ids are bound, the short way finds, passes and counts what the long way does."""
    from tests.compare.conftest import RUN_STARTED_AT, make_exchange

    folder = tmp_path_factory.mktemp("both")
    later = 86_400.0
    texts = [json.dumps(data.draw(bodies), ensure_ascii=data.draw(st.booleans()), separators=(",", ":")) for _ in range(2)]
    recorded, observed = [], []
    bound = [Binding("uuid", one, two, 1, "$.id") for one, two in zip(IDS, OTHERS, strict=True) if data.draw(st.booleans())]
    for number in range(1, 7):
        text = data.draw(st.sampled_from(texts))
        other = text
        for one, two in zip(IDS, OTHERS, strict=True):
            other = other.replace(one, data.draw(st.sampled_from([one, two, two, two])))
        other = other.replace("2023-11-14T22:13:3", "2023-11-15T22:13:3")
        at = RUN_STARTED_AT + 10 * number
        recorded.append(make_exchange(number, raw=text.encode(), started_at=at))
        observed.append(make_exchange(number, raw=other.encode(), started_at=at + later))
    first = write(folder / "r.parity", recorded)
    second = write(folder / "o.parity", observed, bound, replay_of=first.id)

    both_ways(first, second, spool=folder)


def test_an_old_id_in_equal_bytes_is_found(exchange: Maker, tmp_path: Path) -> None:
    """An id that has another name over there must not come back under its old one, though the bytes are equal."""
    recorded = [exchange(1, {"id": IDS[0]}), exchange(2, {"id": IDS[1]})]
    first = write(tmp_path / "r.parity", recorded)
    second = write(tmp_path / "o.parity", recorded, [Binding("uuid", IDS[0], OTHERS[0], 1, "$.id")], replay_of=first.id)

    assert [(item.subject.id, item.kind) for item in both_ways(first, second).findings] == [("1", "identity")]


def test_what_comes_again_renamed_is_the_same(exchange: Maker, tmp_path: Path) -> None:
    """Answers of one frame with other ids in it are the same, and each id let pass is counted."""
    recorded = [exchange(number, {"id": IDS[number % 3], "n": 1}) for number in range(1, 7)]
    observed = [exchange(number, {"id": OTHERS[number % 3], "n": 1}) for number in range(1, 7)]
    first = write(tmp_path / "r.parity", recorded)
    bound = [Binding("uuid", one, two, 1, "$.id") for one, two in zip(IDS, OTHERS, strict=True)]
    made = both_ways(first, write(tmp_path / "o.parity", observed, bound, replay_of=first.id), spool=tmp_path)

    assert made.findings == ()
    assert [(item.name, item.path, item.count) for item in made.relations] == [("renamed id", "$.id", 6)]


def test_order_on_the_disk_does_not_matter(exchange: Maker, tmp_path: Path) -> None:
    """A replay that ended in another order is compared in recorded order all the same."""
    recorded = [exchange(number, {"n": number}) for number in range(1, 200)]
    observed = [exchange(number, {"n": number if number != 77 else 0}) for number in range(199, 0, -1)]
    first = write(tmp_path / "r.parity", recorded)
    made = both_ways(first, write(tmp_path / "o.parity", observed, replay_of=first.id), spool=tmp_path)

    assert [item.subject.id for item in made.findings] == ["77"]
    assert [pair.exchange for pair in made.pairs] == list(range(1, 200))


def test_rows_are_a_sequence(exchange: Maker, tmp_path: Path) -> None:
    """What was put aside is read again from any place, and its file is not seen in its folder."""
    items = [exchange(number, {}) for number in range(1, 600)]
    first = write(tmp_path / "r.parity", items)
    spool = tmp_path / "spool"
    made = both_ways(first, write(tmp_path / "o.parity", items, replay_of=first.id), spool=spool)

    assert isinstance(made.pairs, Rows)
    assert (made.pairs[0].exchange, made.pairs[-1].exchange, made.pairs[300].exchange) == (1, 599, 301)
    assert [pair.exchange for pair in made.pairs[255:259]] == [256, 257, 258, 259]
    assert list(spool.iterdir()) == []
    with pytest.raises(IndexError):
        made.pairs[599]


def test_a_big_body_is_not_taken_for_another(exchange: Maker, tmp_path: Path) -> None:
    """Bodies that are stored once by their digest are compared by what they hold."""
    one, two = b"x" * 300_000, b"y" + b"x" * 299_999
    first = write(tmp_path / "r.parity", [exchange(1, raw=one, media=b"text/plain"), exchange(2, raw=one, media=b"text/plain")])
    observed = [exchange(1, raw=one, media=b"text/plain"), exchange(2, raw=two, media=b"text/plain")]
    made = both_ways(first, write(tmp_path / "o.parity", observed, replay_of=first.id))

    assert [item.subject.id for item in made.findings] == ["2"]


def test_numbers_are_a_set() -> None:
    """A set of numbers holds what was put in, however far apart."""
    numbers = Numbers()
    for number in (3, 8, 1 << 40, 0):
        numbers.add(number)

    assert set(numbers) == {0, 3, 8, 1 << 40}
    assert len(numbers) == 4
    assert 4 not in numbers


def test_of_very_many_times_every_nth_is_kept() -> None:
    """Samples stay few, evenly spread, and what is left out is counted."""
    samples = Samples(samples_max=4)
    for number in range(20):
        samples.add(number, "GET /x", 1.0, 1.0, None)

    kept = [sample.exchange for sample in samples.kept()]
    assert kept == list(range(0, 20, kept[1]))
    assert dict(samples.counts()) == {"pairs whose times were not looked at, of very many": 20 - len(kept)}


@pytest.mark.samples
@pytest.mark.slow
def test_both_ways_give_the_same_on_real_recordings(samples: Path, tmp_path: Path) -> None:
    """The real recordings, JS and Rust, and JS with itself: both ways agree on every finding, pair and count."""
    import_mitm(samples / "js.mitm.xz", tmp_path / "js.parity", first=335)
    import_mitm(samples / "rust-first-half.mitm.xz", tmp_path / "rust.parity")
    one, two = read(tmp_path / "js.parity"), read(tmp_path / "rust.parity")

    assert both_ways(one, two, spool=tmp_path).findings
    assert isinstance(next(iter(one.exchanges())).outcome, Response)

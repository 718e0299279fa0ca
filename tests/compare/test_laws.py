"""The laws of comparison: what holds of every pair of documents, whatever is in them."""

import copy
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.archive import Archive, ArchiveWriter, read
from replay.compare import compare_archives
from replay.compare.difference import Difference
from replay.compare.state import Place, Scene, Side, Window
from replay.compare.walk import walk_pair
from replay.content import child, load
from replay.identity import Bindings
from replay.model import Ended, Exchange, Opened

START, DAY = 1_700_000_000.0, 86_400.0
IDS = [f"{digit * 8}-1111-4111-8111-{digit * 12}" for digit in "123456789"]
OTHERS = {one: f"{digit * 8}-2222-4222-8222-{digit * 12}" for one, digit in zip(IDS, "abcdef098", strict=True)}
STRANGER = "77777777-3333-4333-8333-aaaaaaaaaaaa"
NEW = "changed for sure"

words = st.sampled_from(["oslo", "the queue is full", "Lisbon", "a", "retries three times", "x y", ""])
names = st.sampled_from(["name", "content", "kind", "count", "tags", "items", "data", "score", "memoryId", "note", "first_seen", "firstSeen"])
keys = names | st.sampled_from(["GET /api/x", "POST /api/y", "2026-11-23", "agent:main", *IDS[:3]])
leaves = st.none() | st.booleans() | st.integers(-999, 999) | st.floats(0, 1).map(lambda x: round(x, 3)) | words | st.sampled_from(IDS)
plain = st.none() | st.booleans() | st.integers(-999, 999) | words


def documents(leaf: st.SearchStrategy[Any], keys: st.SearchStrategy[str] = names) -> st.SearchStrategy[Any]:
    """Give documents with records, maps, lists of alike items, texts that hold JSON, lists in lists and rows of numbers."""

    def grow(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(keys, inner, max_size=4),
            st.lists(st.fixed_dictionaries({"id": leaf, "content": words, "kind": words, "n": leaf}), max_size=4),
            st.lists(st.integers(-9, 9), min_size=16, max_size=18),
            inner.filter(lambda value: isinstance(value, dict | list)).map(json.dumps),
        )

    return st.fixed_dictionaries({"id": leaf, "it": st.recursive(leaf, grow, max_leaves=16), "owner": st.sampled_from(IDS)})


def new_scene() -> Scene:
    """Make a scene without bindings; the observed run took place a day later."""
    later = START + DAY
    return Scene(Side(Bindings()), "GET /x", 1, Window(START, START + 10, START + 11), Window(later, later + 10, later + 11))


def walk(one: Any, two: Any) -> list[Difference]:
    """Walk two Python values as the JSON that they would be."""
    left, right = load(json.dumps(one))[0], load(json.dumps(two))[0]
    return list(walk_pair(left, right, new_scene(), Place()))


@dataclass
class Leaf:
    """A leaf of a document: where it is, what it is, and how to make the document with another one there."""

    at: str
    value: Any
    put: Callable[[Any], Any]


def leaves_of(value: Any, at: str = "$", put: Callable[[Any], Any] = lambda new: new) -> Iterator[Leaf]:
    """Give every leaf of a document, those in texts that hold JSON, too."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves_of(inner, child(at, key), lambda new, key=key: put({**value, key: new}))  # type: ignore[misc]
    elif isinstance(value, list) and value:
        for n, inner in enumerate(value):
            yield from leaves_of(inner, f"{at}[{n}]", lambda new, n=n: put([*value[:n], new, *value[n + 1 :]]))  # type: ignore[misc]
    elif isinstance(value, str) and value[:1] in {"{", "["} and isinstance(opened := json.loads(value), dict | list) and opened:
        yield from leaves_of(opened, f"{at}.<json>", lambda new: put(json.dumps(new)))
    else:
        yield Leaf(at, value, put)


def another(value: Any) -> Any:
    """Give another value of the same type, or a text for what has none."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1000
    return NEW


def covers(found: Difference, at: str) -> bool:
    """Whether a difference stands at a place, or above it in an item that has no partner."""
    whole = found.kind in {"missing-item", "extra-item", "missing-key"} and at.startswith(found.at)
    return found.at == at or whole


# --- the laws, each for a few documents by default and for thousands when asked for ---


def check_identity(document: Any) -> None:
    """A document, and a copy of it, equal themselves, and nothing needs to be tolerated."""
    scene = new_scene()
    value = load(json.dumps(document))[0]
    assert list(walk_pair(value, value, scene, Place())) == []
    assert list(walk_pair(value, load(json.dumps(document))[0], scene, Place())) == []
    assert not scene.side.tolerated


def check_single_change(document: Any, data: st.DataObject) -> None:
    """A change of any single leaf is found, and at that very leaf."""
    leaf = data.draw(st.sampled_from(list(leaves_of(document))))
    new = {"new": [NEW]} if data.draw(st.booleans()) and not isinstance(leaf.value, dict | list) else another(leaf.value)
    found = walk(document, leaf.put(new))
    assert leaf.at in {item.at for item in found}, [(item.kind, item.at) for item in found]
    assert all(item.at.startswith(leaf.at) for item in found)


def check_renaming(document: Any) -> None:
    """Renaming all ids by one renaming changes nothing, wherever they stand: values, keys, texts, JSON in texts."""
    text = json.dumps(document)
    for one, two in OTHERS.items():
        text = text.replace(one, two)
    found = walk(document, json.loads(text))
    assert found == [], [(item.kind, item.at, item.recorded, item.observed) for item in found]


def check_inconsistent_renaming(document: Any, data: st.DataObject) -> None:
    """One id that is renamed otherwise at a single place is found there, or as an item without a partner."""
    places = [leaf for leaf in leaves_of(document) if leaf.value in IDS]
    leaf = data.draw(st.sampled_from(places))
    text = json.dumps(leaf.put(STRANGER))
    for one, two in OTHERS.items():
        text = text.replace(one, two)
    firm = {"a": {f"member{n}": one for n, one in enumerate(IDS)}}
    renamed = {"a": {f"member{n}": OTHERS[one] for n, one in enumerate(IDS)}, "z": json.loads(text)}
    found = walk({**firm, "z": document}, renamed)
    at = leaf.at.replace("$", "$.z", 1)
    # Of items that are alike in everything it may be said of another one of them.
    assert any(covers(item, at) or item.kind == "identity" for item in found), (at, [(item.kind, item.at) for item in found])


def check_two_changes(document: Any, data: st.DataObject) -> None:
    """Of two changed leaves both are found: no difference hides another one."""
    every = list(leaves_of(document))
    first = data.draw(st.sampled_from(every))
    once = first.put(NEW)
    rest = [leaf for leaf in leaves_of(once) if leaf.at != first.at]
    second = data.draw(st.sampled_from(rest))
    found = walk(document, second.put("another change"))
    for leaf in (first, second):
        assert any(covers(item, leaf.at) for item in found), (leaf.at, [(item.kind, item.at) for item in found])


def check_key_order(document: Any, data: st.DataObject) -> None:
    """Classes, kinds and places of what is found do not depend on the order of keys, on either side."""
    places = [leaf for leaf in leaves_of(document) if "<json>" not in leaf.at]
    leaf = data.draw(st.sampled_from(places))
    changed = leaf.put(another(leaf.value))
    dice = data.draw(st.randoms(use_true_random=False))

    def said(one: Any, two: Any) -> Counter[tuple[str, str, str, str]]:
        return Counter((item.difference, item.kind, item.path, item.transition) for item in walk(one, two))

    assert said(document, changed) == said(shuffled(document, dice), shuffled(changed, dice))


def shuffled(value: Any, dice: random.Random) -> Any:
    """Give a document with the keys of its objects in another order."""
    if isinstance(value, dict):
        rows = [(key, shuffled(inner, dice)) for key, inner in value.items()]
        dice.shuffle(rows)
        return dict(rows)
    return [shuffled(inner, dice) for inner in value] if isinstance(value, list) else value


FEW = settings(max_examples=20)
MANY = settings(max_examples=2000, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
sized = pytest.mark.parametrize("run", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)])


@sized
def test_a_document_equals_itself(run: settings) -> None:
    """Comparing a document with itself finds nothing and tolerates nothing."""
    run(given(documents(leaves, keys))(check_identity))()


@sized
def test_a_single_change_is_found_where_it_is(run: settings) -> None:
    """A changed leaf is found at that leaf and nowhere else: in lists, in maps, in JSON in texts."""
    run(given(documents(plain, keys), st.data())(check_single_change))()


@sized
def test_a_consistent_renaming_changes_nothing(run: settings) -> None:
    """Ids may have other names throughout."""
    run(given(documents(leaves, keys))(check_renaming))()


@sized
def test_an_inconsistent_renaming_is_found(run: settings) -> None:
    """An id has one name."""
    run(given(documents(leaves), st.data())(check_inconsistent_renaming))()


@sized
def test_a_second_fault_is_found(run: settings) -> None:
    """A fault does not hide another one."""
    run(given(documents(plain, keys), st.data())(check_two_changes))()


@sized
def test_key_order_says_nothing(run: settings) -> None:
    """The order of keys changes nothing of what is found."""
    run(given(documents(leaves, keys), st.data())(check_key_order))()


# --- totals ---

FATES = ("same", "other", "lost", "no answer", "status")


def write(path: Path, exchanges: list[Exchange], **facts: Any) -> Archive:
    """Write exchanges as an archive and open it."""
    with ArchiveWriter.create(path, kind="observed" if facts else "recording", facts=facts) as writer:
        for item in exchanges:
            writer.append(Opened(item.id, item.opened_event, item.started_at, item.connection, replace(item.request, body=b""), item.lane))
            writer.append(Ended(item.id, item.ended_event, item.ended_at, item.end, item.outcome, b"", note=item.note))
        writer.seal(event=10_000, at=0.0, reason="test")
    return read(path)


def check_totals(exchange: Callable[..., Exchange], no_answer: Any, fates: list[str]) -> None:
    """Every planned exchange is compared or a gap, and every compared one identical or divergent."""
    body = {"items": [{"id": IDS[0], "n": 1}]}
    recorded = [exchange(n, body) for n in range(1, len(fates) + 1)]
    observed = []
    for one, fate in zip(recorded, fates, strict=True):
        if fate == "other":
            observed.append(exchange(one.id, {"items": []}))
        elif fate == "no answer":
            observed.append(replace(one, outcome=no_answer))
        elif fate == "status":
            observed.append(exchange(one.id, body, status=500))
        elif fate == "same":
            observed.append(copy.copy(one))
    with tempfile.TemporaryDirectory() as folder:
        first = write(Path(folder) / "r.parity", recorded)
        second = write(Path(folder) / "o.parity", observed, replay_of=first.id)
        made = compare_archives(first, second, [], lambda _done, _of: None)
        compared = [pair for pair in made.pairs if pair.gap is None]
        gaps = [pair for pair in made.pairs if pair.gap is not None]
        divergent = {int(item.subject.id) for item in made.findings}
    assert len(compared) + len(gaps) == len(fates)
    assert len(gaps) == fates.count("lost")
    assert {pair.exchange for pair in compared if pair.findings} == divergent
    assert len(divergent) == sum(fates.count(fate) for fate in ("other", "no answer", "status"))


@pytest.mark.parametrize("run", [pytest.param(6, id="few"), pytest.param(300, id="many", marks=pytest.mark.slow)])
def test_totals_add_up(exchange: Callable[..., Exchange], no_answer: Any, run: int) -> None:
    """What is planned is compared or a gap, and what is compared is identical or divergent."""
    steady = settings(max_examples=run, suppress_health_check=[HealthCheck.too_slow])
    steady(given(st.lists(st.sampled_from(FATES), min_size=1, max_size=12))(lambda fates: check_totals(exchange, no_answer, fates)))()

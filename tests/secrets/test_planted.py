"""None of the planted values is in an archive; what stands for them still tells which were equal, and nothing else was changed."""

from collections import defaultdict
from itertools import combinations
from pathlib import Path

import pytest

from replay.archive import read
from replay.model import Chunk
from tests.secrets.comparing import Field, alike, fields, problems, stand_ins
from tests.secrets.recording import Recorded, record
from tests.secrets.searching import find, haystack, unpack
from tests.secrets.values import draw

type Recordings = tuple[Recorded, Recorded]

NEVER_WRITTEN = {"refused", "auth secret"}
"""Not in an archive without redaction either: what mitmproxy refuses is counted and not kept, the daemon's key is never copied."""


@pytest.fixture(scope="module")
def places(recordings: Recordings, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Field], list[Field]]:
    """Give every place of both archives at which something was planted."""
    first, second = (list(fields(recorded, tmp_path_factory.mktemp("snapshot"))) for recorded in recordings)
    return first, second


def hidden(recorded: Recorded) -> dict[bytes, str]:
    """Give each part that must not be found, with the name of its secret."""
    return {part: name for name, secret in recorded.secrets.items() for part in secret.hidden}


def search(recorded: Recorded) -> set[str]:
    """Give the names of all secrets of which any part is in the archive, or in what the recorder itself printed."""
    parts = hidden(recorded)
    own_lines = "".join(line for line in recorded.said.splitlines(keepends=True) if "parity" in line)
    return {parts[part] for part in find(haystack([*unpack(recorded.path), own_lines.encode()]), parts)}


def test_the_plants_are_many_and_different(recordings: Recordings) -> None:
    """More than forty values of more than twenty kinds are planted, no two of them equal."""
    secrets = recordings[0].secrets.values()
    assert len(secrets) > 40
    assert len({secret.kind for secret in secrets}) > 20
    assert len({secret.value for secret in secrets}) == len(secrets)


def test_none_is_in_an_archive(recordings: Recordings) -> None:
    """Nothing of what was planted is in any file of an archive, however it is decoded, nor in what the recorder printed."""
    for recorded in recordings:
        assert search(recorded) == set()


def test_nothing_else_was_changed(recordings: Recordings, places: tuple[list[Field], list[Field]]) -> None:
    """Every place has the length that was sent, and differs from it in nothing but the declared spans of its secrets."""
    for recorded, found in zip(recordings, places, strict=True):
        assert [problem for field in found for problem in problems(field, recorded.secrets)] == []


def test_equal_ones_are_equal_still(recordings: Recordings, places: tuple[list[Field], list[Field]]) -> None:
    """A value has the same stand-in at all of its places and in both archives."""
    seen: dict[str, list[tuple[str, bytes | None]]] = defaultdict(list)
    for recorded, found in zip(recordings, places, strict=True):
        for field in found:
            for name, stand_in in stand_ins(field, recorded.secrets):
                seen[name].append((field.where, stand_in))
    assert sum(len(found) > 2 for found in seen.values()) > 10
    unlike = [
        (name, found[0], (where, stand_in))
        for name, found in seen.items()
        for where, stand_in in found
        if stand_in is None or found[0][1] is None or not alike(found[0][1], stand_in)
    ]
    assert unlike == []


def test_different_ones_differ_still(recordings: Recordings, places: tuple[list[Field], list[Field]]) -> None:
    """No two values have the same stand-in."""
    firsts = {name: stand_in for field in places[0] for name, stand_in in stand_ins(field, recordings[0].secrets)}
    assert [names for names in combinations(firsts, 2) if alike(firsts[names[0]] or b"", firsts[names[1]] or b"")] == []


def test_streams_were_cut_inside_secrets(recordings: Recordings) -> None:
    """The recorder really met secrets that lie across chunks, in answers and in requests."""
    for side in ("chunks", "request_chunks"):
        cut: set[int] = set()
        for exchange in read(recordings[0].path).exchanges():
            chunks: tuple[Chunk, ...] = getattr(exchange, side)
            spans = {(span.where, span.start, span.length) for span in exchange.redactions}
            ends = {f"chunk:{chunk.event}": len(chunk.data) for chunk in chunks}
            if any(start + length == ends.get(where) for where, start, length in spans):
                cut.add(exchange.id)
        assert len(cut) >= 2, side


@pytest.mark.slow
def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """Without redaction, the same search finds every value that the recorder writes at all."""
    recorded = record(tmp_path, "bare", draw(1), redact=False)
    assert search(recorded) == set(recorded.secrets) - NEVER_WRITTEN

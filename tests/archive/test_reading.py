from collections.abc import Callable
from pathlib import Path

import pytest

from replay.archive import read
from replay.model import ArchiveError, Response


def test_a_sealed_archive_gives_back_what_was_written(write: Callable[..., Path]) -> None:
    """Exchanges come out joined, in order, with the facts as they were given."""
    archive = read(write("a.parity", 100, seal=True))

    exchanges = archive.exchanges()
    assert [exchange.id for exchange in exchanges] == list(range(1, 101))
    assert exchanges[0].request.header(b"host") == b"x"
    assert exchanges[0].connection.server == "s1"
    assert exchanges[0].outcome == Response(b"HTTP/1.1", 200, b"OK", ((b"A", b"1"), (b"a", b"\xff")), b"hello")
    assert archive.facts == {"options": {"a": 1}}
    assert not archive.salvaged
    assert archive.gaps() == []


def test_an_unsealed_archive_is_refused_with_what_is_there(write: Callable[..., Path]) -> None:
    """The refusal counts whole blocks, whole and open exchanges, and names --salvage."""
    with pytest.raises(ArchiveError, match=r"not sealed.*4 whole blocks, 100 exchanges whole, 0 open.*--salvage"):
        read(write("a.parity", 100, seal=False))


def test_a_salvage_gives_the_whole_blocks(write: Callable[..., Path]) -> None:
    """What was written whole comes out, and the archive says that it was salvaged."""
    archive = read(write("a.parity", 100, seal=False), salvage=True)

    assert archive.salvaged
    assert len(archive.exchanges()) == 100
    assert archive.facts == {"options": {"a": 1}}

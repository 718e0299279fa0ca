"""The frozen samples of the newest format, and every bit of small archives flipped."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from replay.archive import Archive, ArchiveWriter, Key, Keyring, make_key, read, verify
from replay.model import RECORD_TYPES, ArchiveError, GapReason, NoResponse, Record, Response

type Exchange = Callable[..., list[Record]]

RECORDINGS = Path(__file__).parents[2] / "recordings"
KEYS = Path(__file__).parent / "v1.key"
_BIG = bytes(range(256)) * 1200
_DIGESTS = {
    "v1.parity": "94757a71ae434bf118c3a95291dce8e0f0f47e49cba6dc0117bba839ddda6cec",
    "v1-encrypted.parity": "15b2179a997c89c68b9bc5d54c95b2f778877cc923ccbaf3a730d09142751245",
}


@pytest.fixture(params=sorted(_DIGESTS))
def sample(request: pytest.FixtureRequest) -> Archive:
    """Give a frozen sample, opened."""
    return read(RECORDINGS / request.param, keys=Keyring.load(KEYS))


def test_the_samples_are_as_they_were_frozen(sample: Archive) -> None:
    """Their digests never change, nothing is wrong with them, and a record of every type is in them."""
    found = verify(sample.path, keys=sample.keys)

    assert sample.digest == _DIGESTS[sample.path.name]
    assert sample.format == 1
    assert found.problems == ()
    assert {name for name in found.counts if name in RECORD_TYPES} == set(RECORD_TYPES)
    assert found.redactions == {"api-key": 1, "bearer": 1, "cookie": 1, "password": 1, "token": 2}
    assert sum(file.stat().st_size for file in sample.path.iterdir()) < 100_000


def test_the_exchanges_of_the_samples(sample: Archive, tmp_path: Path) -> None:
    """Plain, streamed, uploaded in chunks, unanswered and cut exchanges come out, and the snapshot unpacks."""
    joined = sample.join()
    plain, stream, big, dead = joined.exchanges

    assert (plain.request.target, plain.connection.peer) == (b"/health?x=%20", "127.0.0.1:50000")
    assert stream.streamed
    assert isinstance(stream.outcome, Response)
    assert stream.outcome.body == b"data: 1\n\ndata: 2\n\n"
    assert (big.request.body, [chunk.event for chunk in big.request_chunks], big.lane) == (_BIG, [11, 12], "provider")
    assert isinstance(big.outcome, Response)
    assert big.outcome.body == _BIG
    assert dead.outcome == NoResponse("connection refused")
    assert [(gap.reason, gap.exchange, gap.count) for gap in joined.gaps] == [(GapReason.CUT, 5, 1), (GapReason.SHED, None, 3)]
    (snapshot,) = sample.snapshots()
    assert (snapshot.changed_meanwhile, snapshot.replaced) == (("memory/2026-11-23.md",), {"bearer": 1})
    assert (sample.unpack_snapshot(1, tmp_path / "out") / "memory" / "2026-11-23.md").read_text() == "- likes tea\n"


def test_the_samples_without_their_manifest(sample: Archive, tmp_path: Path) -> None:
    """Each segment stands alone: all records are salvaged without the manifest."""
    whole = list(sample.records())
    copy = shutil.copytree(sample.path, tmp_path / "a.parity", ignore=shutil.ignore_patterns("manifest.json"))

    assert list(read(copy, salvage=True, keys=sample.keys).records()) == whole


# --- every bit of a small one ---


@pytest.fixture(scope="module", params=["clear", "encrypted"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, exchange: Exchange) -> tuple[Path, Key]:
    """Give a sealed archive of two exchanges in two blocks, as small as can be, and the key that opens it."""
    key = make_key()
    path = tmp_path_factory.mktemp(request.param) / "small.parity"
    recipients = [key.public] if request.param == "encrypted" else []
    with ArchiveWriter.create(path, kind="recording", facts={}, started_at=1.0, clock=lambda: 0.0, recipients=recipients) as writer:
        for number in (1, 2):
            for record in exchange(number, 3 * number - 2):
                writer.append(record)
            writer.flush()
        writer.seal(event=7, at=9.0, reason="test")
    return path, key


def _flips(path: Path, bits: Callable[[int], range]) -> Iterator[None]:
    """Flip bits of each file of an archive, one at a time, in place; *bits* gives them for a byte."""
    for file in sorted(path.iterdir()):
        whole = file.read_bytes()
        with file.open("r+b", buffering=0) as place:
            for at, octet in enumerate(whole):
                for bit in bits(at):
                    place.seek(at)
                    place.write(bytes((octet ^ (1 << bit),)))
                    yield
                place.seek(at)
                place.write(whole[at : at + 1])


def _all_noticed(path: Path, key: Key, bits: Callable[[int], range]) -> int:
    keys = Keyring.of([key])
    everything = list(read(path, keys=keys).records())
    count = 0
    for _ in _flips(path, bits):
        count += 1
        for salvage in (False, True):
            try:
                found = list(read(path, salvage=salvage, keys=keys).records())
            except ArchiveError:
                continue
            rest = iter(everything)
            # not sealed any more: a part of it, in order, and said to be; sealed: all of it or nothing
            assert found == everything or (salvage and all(record in rest for record in found))
    assert list(read(path, keys=keys).records()) == everything
    return count


def test_a_bit_of_every_fourth_byte_flipped(small: tuple[Path, Key]) -> None:
    """One bit of every fourth byte of each file: the whole truth or our error, never a shorter archive taken as whole."""
    assert _all_noticed(*small, lambda at: range(at // 4 % 8, at // 4 % 8 + 1) if at % 4 == 0 else range(0)) > 400


@pytest.mark.slow
def test_every_bit_flipped(small: tuple[Path, Key]) -> None:
    """Every single bit of every file, likewise."""
    assert _all_noticed(*small, lambda _: range(8)) > 16_000


@pytest.mark.parametrize("name", ["manifest.json", "segment-000001.msgpack.zst"])
def test_a_salvage_of_a_flipped_sealed_archive_says_so(tmp_path: Path, exchange: Exchange, name: str) -> None:
    """What was salvaged is marked as such, and verify finds a problem, whatever byte of the file it was."""
    path = tmp_path / "a.parity"
    with ArchiveWriter.create(path, kind="recording", facts={}, started_at=1.0, clock=lambda: 0.0) as writer:
        for record in exchange(1, 1):
            writer.append(record)
        writer.seal(event=4, at=9.0, reason="test")
    whole = (path / name).read_bytes()
    for at in range(0, len(whole), 7):
        (path / name).write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])

        try:
            assert verify(path).problems
        except ArchiveError as error:
            assert "newer" in str(error)  # noqa: PT017 - a flipped format number may read as a later one

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.archive import blocks
from replay.archive.segments import segment_files
from replay.model import ArchiveError


@settings(deadline=None)
@given(parts=st.lists(st.binary(min_size=1, max_size=300), max_size=4), tail=st.binary(max_size=30))
def test_walking_gives_whole_frames_and_the_tail(parts: list[bytes], tail: bytes) -> None:
    """Frames one after the other come back one by one with their places; what follows them is named as a tail."""
    frames = [blocks.compress(part) for part in parts]

    found = list(blocks.walk(io.BytesIO(b"".join(frames) + tail)))

    whole = [frame for frame in found if isinstance(frame, blocks.Frame)]
    assert [frame.raw for frame in whole[: len(parts)]] == parts
    assert [frame.length for frame in whole[: len(parts)]] == [len(frame) for frame in frames]
    assert isinstance(found[-1], blocks.Tail) if tail and len(whole) == len(parts) else True


@settings(deadline=None)
@given(raw=st.binary(max_size=100))
def test_any_bytes_are_a_frame_or_an_error(raw: bytes) -> None:
    """Bytes that are no frame raise an ArchiveError, nothing else."""
    try:
        blocks.decompress(raw)
    except ArchiveError:
        return


@pytest.mark.parametrize("place", range(0, 60, 7))
def test_a_changed_byte_is_noticed(place: int) -> None:
    """The checksum of a frame covers its content."""
    frame = bytearray(blocks.compress(bytes(range(200))))
    frame[place + 20] ^= 1

    with pytest.raises(ArchiveError):
        blocks.decompress(bytes(frame))


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that unpacks to more than a block may hold is refused, by walking and by index."""
    bomb = blocks.compress(bytes(5_000_000))
    monkeypatch.setattr(blocks, "RAW_BYTES_MAX", 1_000_000)

    with pytest.raises(ArchiveError, match="bigger"):
        blocks.decompress(bomb)
    assert isinstance(next(blocks.walk(io.BytesIO(bomb))), blocks.Tail)


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd program is not on this machine")
def test_zstd_reads_a_segment_anywhere(write: Callable[..., Path]) -> None:
    """A segment is plain zstd: the standard program unpacks it whole, from any block on."""
    segment = segment_files(write("a.parity", 100, seal=True))[0]
    frames = [frame for frame in blocks.walk(io.BytesIO(segment.read_bytes())) if isinstance(frame, blocks.Frame)]

    unpacked = subprocess.run(["zstd", "-dc"], input=segment.read_bytes()[frames[2].offset :], capture_output=True, check=True).stdout

    assert unpacked == b"".join(frame.raw for frame in frames[2:])

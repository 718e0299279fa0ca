"""
What the archive costs beside mitmproxy's own file: bytes, seconds and memory for the same exchanges.

Two sets. The demo's recording, made here through a real mitmdump, is repeated, each copy with the digits and hexadecimals of its bodies'
ids and numbers exchanged (seeded, same lengths), for plain copies would vanish in any compressor; and the real JS recording in
`../shared/samples`, where it is there. The peer is the same flows as `.mitm`, written and read by mitmproxy, through one stream of `zstd
-3`.

How to read it: bytes first, the peer's as 1.00. A single stream over all flows compresses better than the archive's independent blocks of
64 records, and a damaged byte in it costs all that follows; the archive of imported flows also keeps what only mitmproxy knows (its `opaque`
part). Then medians over interleaved rounds: *write* puts records or flows that are in memory on the disk (both wait for the disk), *read*
gives all exchanges or flows, *verify* looks at all of an archive, where the peer only decompresses and parses, for a flow file can't be
verified beyond that; the same again for an archive that is encrypted, beside the same peer. Peak memory is VmHWM of a process that does only
this, with what it had before its work.

Last, what `append` costs the recorder's writer: CPU time of this process for an exchange of two records with twelve headers each way and an
answer of random hexadecimals (which is hard on the compressor), without waiting for the disk; in clear, encrypted, and of it the encoding.
"""

import io
import lzma
import os
import random
import re
import shutil
import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, cast

from backports import zstd
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader, FlowWriter

from replay.archive import ArchiveWriter, Keyring, make_key, read, verify
from replay.archive.codec import encode
from replay.interop.mitm import export_mitm, import_mitm
from replay.jobs.tour import record_demo
from replay.model import Connection, End, Ended, EndReason, Opened, Record, Request, Response, SnapshotRecord
from tests.bench.measuring import MEBI, SAMPLES, measure, peak_of, ratio, say, say_table, scratch

ROUNDS: Final = 3
COPIES: Final = 10
LEVEL: Final = 3
APPENDED: Final = 3_000
KEY: Final = make_key()
_DRAWN: Final = re.compile(rb"[0-9a-f]{6,}|[0-9]{3,}")


def main() -> None:
    """Measure both sets and say."""
    with scratch() as folder:
        recorded = folder / "recording.parity"
        record_demo(folder, recorded)
        one = folder / "one.mitm"
        export_mitm(read(recorded), one)
        _say_bytes("the demo as recorded", recorded, one)
        many = folder / "many.mitm"
        with many.open("wb") as file:
            file.writelines(_copies(one.read_bytes()))
        _bench(f"the demo {COPIES} times", many, folder / "many")
        sample = SAMPLES / "js.mitm.xz"
        if sample.is_file():
            plain = folder / "js.mitm"
            with lzma.open(sample) as packed, plain.open("wb") as file:
                shutil.copyfileobj(packed, file)
            _bench("the real JS recording", plain, folder / "js")
        else:
            say(f"the real JS recording: not on this machine ({sample.name})")
        _bench_append(folder)


def _copies(flows: bytes) -> Iterator[bytes]:
    """Repeat a flow file with other ids and numbers in each copy; lengths stay, so it stays a flow file."""
    draw = random.Random(20_261_123)  # noqa: S311  # nothing secret is drawn here
    yield flows
    for _ in range(COPIES - 1):
        # One translation a copy: ids that were equal stay equal, and none is easier to compress than it was.
        digits, letters = list(b"0123456789"), list(b"abcdef")
        draw.shuffle(digits)
        draw.shuffle(letters)
        table = bytes.maketrans(b"0123456789abcdef", bytes(digits + letters))
        yield _redrawn(flows, table)


def _redrawn(flows: bytes, table: bytes) -> bytes:
    out = io.BytesIO()
    writer = FlowWriter(out)  # type: ignore[no-untyped-call]
    for flow in FlowReader(io.BytesIO(flows)).stream():
        assert isinstance(flow, HTTPFlow)
        flow.id = flow.id.translate({old: new for old, new in enumerate(table) if old < 128})
        for message in (flow.request, flow.response):
            if message is not None and message.raw_content:
                message.raw_content = _DRAWN.sub(lambda found: found.group().translate(table), message.raw_content)
        writer.add(flow)
    return out.getvalue()


def _bench(title: str, flows_file: Path, folder: Path) -> None:
    folder.mkdir()
    archive, packed = folder / "source.parity", folder / "source.mitm.zst"
    import_mitm(flows_file, archive)
    with flows_file.open("rb") as plain, zstd.open(packed, "wb", level=LEVEL) as file:
        shutil.copyfileobj(plain, file)
    _say_bytes(title, archive, flows_file)
    records, flows = list(_records(archive)), list(_flows(packed))
    numbers = iter(range(1_000))
    encrypted = folder / "encrypted.parity"
    write_archive(records, encrypted, [KEY.public])
    seconds = measure(
        {
            "write": lambda: write_archive(records, folder / f"{next(numbers)}.parity"),
            "write, .mitm": lambda: write_flows(flows, folder / f"{next(numbers)}.mitm.zst"),
            "read": lambda: read_archive(archive),
            "read, .mitm": lambda: read_flows(packed),
            "verify": lambda: verify_archive(archive),
            "verify, .mitm": lambda: parse_flows(packed),
            "write, encrypted": lambda: write_archive(records, folder / f"{next(numbers)}.parity", [KEY.public]),
            "read, encrypted": lambda: read_archive(encrypted),
            "verify, encrypted": lambda: verify_archive(encrypted),
        },
        ROUNDS,
    )
    peaks = {
        "write": peak_of(copy_archive, archive, folder / "copy.parity"),
        "write, .mitm": peak_of(copy_flows, packed, folder / "copy.mitm.zst"),
        "read": peak_of(read_archive, archive),
        "read, .mitm": peak_of(read_flows, packed),
        "verify": peak_of(verify_archive, archive),
        "verify, .mitm": peak_of(parse_flows, packed),
    }
    rows = []
    for name in ("write", "read", "verify"):
        peer = f"{name}, .mitm"
        row = [name, *(f"{statistics.median(seconds[which]) * 1000:.0f}" for which in (name, peer))]
        row.append(f"{ratio(seconds[name], seconds[peer]):.2f}")
        rows.append([*row, *(f"{peak / MEBI:.0f} ({before / MEBI:.0f})" for peak, before in (peaks[name], peaks[peer]))])
        sealed = seconds[f"{name}, encrypted"]
        rows.append(
            [
                f"{name}, encrypted",
                f"{statistics.median(sealed) * 1000:.0f}",
                f"{statistics.median(seconds[peer]) * 1000:.0f}",
                f"{ratio(sealed, seconds[peer]):.2f}",
                "",
                "",
            ]
        )
    say(f"  {len(flows)} flows, {ROUNDS} interleaved rounds; peak memory of write: reading and writing one by one")
    say_table(["", "archive ms", ".mitm ms", "ratio", "peak MiB (before)", ".mitm"], rows)
    say()


def _bench_append(folder: Path) -> None:
    numbers = iter(range(1_000))
    rows = []
    for size in (200, 2_000):
        records = list(_exchanges(size))
        row = [f"{size} bytes"]
        for recipients in ([], [KEY.public]):
            taken = [_append_all(records, folder / f"append-{next(numbers)}.parity", recipients) for _ in range(ROUNDS)]
            row.append(f"{min(taken) / APPENDED * 1e6:.1f}")
        taken = []
        for _ in range(ROUNDS):
            start = time.process_time()
            for record in records:
                encode(record)
            taken.append(time.process_time() - start)
        rows.append([*row, f"{min(taken) / APPENDED * 1e6:.1f}"])
    say(f"append, microseconds of CPU an exchange, best of {ROUNDS} rounds of {APPENDED}")
    say_table(["answer", "in clear", "encrypted", "of it encoding"], rows)


def _append_all(records: list[Record], path: Path, recipients: list[bytes]) -> float:
    with ArchiveWriter.create(path, kind="recording", facts={}, recipients=recipients) as writer:
        start = time.process_time()
        for record in records:
            writer.append(record)
        return time.process_time() - start


def _exchanges(size: int) -> Iterator[Record]:
    draw = random.Random(20_261_124)  # noqa: S311  # nothing secret is drawn here
    headers = tuple((b"X-Header-%d" % number, b"value of it %d" % number) for number in range(12))
    for number in range(1, APPENDED + 1):
        body = draw.randbytes(size // 2).hex().encode()
        request = Request(b"POST", b"/api/memory/%d" % number, b"HTTP/1.1", headers)
        yield Opened(number, 3 * number - 2, 1.0, Connection("c1", None, "127.0.0.1:5"), request)
        yield Ended(
            number,
            3 * number,
            2.0,
            EndReason.COMPLETE,
            Response(b"HTTP/1.1", 200, b"OK", headers, body),
            b'{"q":1}',
            server_connection="s1",
            headers_event=3 * number - 1,
            request_ended_at=1.1,
            first_byte_at=1.2,
        )


def _say_bytes(title: str, archive: Path, flows_file: Path) -> None:
    plain = flows_file.read_bytes()
    packed = len(zstd.compress(plain, level=LEVEL))
    segments = sum(path.stat().st_size for path in archive.iterdir() if path.name.startswith("segment-"))
    manifest = (archive / "manifest.json").stat().st_size
    say(f"{title}: {len(plain) / 1024:.0f} KiB as .mitm")
    say(
        f"  archive {(segments + manifest) / 1024:.1f} KiB (manifest {manifest / 1024:.1f}, without snapshots), "
        f".mitm under zstd -{LEVEL} {packed / 1024:.1f} KiB, ratio {(segments + manifest) / packed:.2f}"
    )


# --- the work; functions of the module, so that a process of its own can do each ---


def write_archive(records: Iterable[Record], path: Path, recipients: Sequence[bytes] = ()) -> None:
    """Write and seal an archive."""
    with ArchiveWriter.create(path, kind="recording", facts={}, recipients=recipients) as writer:
        last = 0
        for record in records:
            writer.append(record)
            last += 1
        writer.seal(event=last, at=0.0, reason="bench")


def copy_archive(source: Path, path: Path) -> None:
    """Write an archive while another one is read."""
    write_archive(_records(source), path)


def read_archive(path: Path) -> None:
    """Have all exchanges at once."""
    assert read(path, keys=Keyring.of([KEY])).exchanges()


def verify_archive(path: Path) -> None:
    """Verify."""
    assert verify(path, keys=Keyring.of([KEY])).good


def write_flows(flows: Iterable[Flow], path: Path) -> None:
    """Write flows and wait for the disk."""
    with path.open("wb") as plain:
        with zstd.open(plain, "wb", level=LEVEL) as file:
            writer = FlowWriter(file)  # type: ignore[no-untyped-call]
            for flow in flows:
                writer.add(flow)
        plain.flush()
        os.fsync(plain.fileno())


def copy_flows(source: Path, path: Path) -> None:
    """Write flows while others are read."""
    write_flows(_flows(source), path)


def read_flows(path: Path) -> None:
    """Have all flows at once."""
    assert list(_flows(path))


def parse_flows(path: Path) -> None:
    """Go through all flows and keep none."""
    deque(_flows(path), maxlen=0)


def _records(path: Path) -> Iterator[Record]:
    return (record for record in read(path).records() if not isinstance(record, End | SnapshotRecord))


def _flows(path: Path) -> Iterator[Flow]:
    with zstd.open(path, "rb") as file:
        # mitmproxy reads byte by byte, for which a buffer in C is only fair.
        yield from FlowReader(io.BufferedReader(cast("io.RawIOBase", file), 65_536)).stream()


if __name__ == "__main__":
    main()

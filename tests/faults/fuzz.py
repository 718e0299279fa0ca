"""
Fuzz: `python tests/faults/fuzz.py --count 10000 --seed 1` sends malformed requests through the recorder and has malformed answers come back.

A third of the connections send a malformed request, a third get a malformed answer to a good one, a third have both. Between them good
requests go through, whose truth is known: they must be served, and be on record byte for byte. In the end the recorder must still live and
be sealed in one archive that verifies. What mitmproxy itself says of what it got is counted, not judged.
"""

import argparse
import asyncio
import contextlib
import random
import re
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.faults import garbage
from tests.faults.client import Log, drive
from tests.faults.judging import against_truth, gather
from tests.faults.proxy import start
from tests.faults.upstream import answer

AT_ONCE: Final = 24
PATIENCE_S: Final = 0.25
"""How long a client waits for an answer that may never come, and the server for the rest of a request."""
_PROXY_NOTICE: Final = re.compile(r"has crashed|Traceback")


@dataclass(slots=True)
class Report:
    """What came of it."""

    wrong: list[str] = field(default_factory=list)
    sent: int = 0
    good: int = 0
    exchanges: int = 0
    gaps: dict[str, int] = field(default_factory=dict)
    proxy_breakdowns: int = 0
    """How often mitmproxy itself broke down over what it got; it goes on."""
    rss_bytes: int = 0


async def run(count: int, seed: str, folder: Path) -> Report:
    """Send so many malformed messages through a recorder whose files lie in *folder*, which must be there and empty."""
    report = Report()
    archives = folder / "archives"
    archives.mkdir()
    log = Log()
    async with _server(seed) as port:
        proxy = await start(folder, port, output=archives / "out.parity")
        try:
            good = asyncio.create_task(drive(log, proxy.port, seed, turns=count // 100, workers=2, streams=1))
            await _send_all(count, seed, proxy.port, report)
            await good
            report.rss_bytes = proxy.rss_bytes()
        finally:
            code = await proxy.end()
    if code != 0:
        report.wrong.append(f"mitmdump ended with {code}")
    output = proxy.output
    report.proxy_breakdowns = len(_PROXY_NOTICE.findall(output))
    report.wrong += [f"said: {line}" for line in output.splitlines() if "parity" in line and re.search("failed|ERROR|NOT sealed", line)]
    # what the format can't hold, such as a status of 30 digits, is said and counted, and nothing else may be lost
    said, lost = output.count("a record can't be written"), re.search(r"sealed, (\d+) records lost", output)
    if said != (int(lost[1]) if lost else 0):
        report.wrong.append(f"{said} records were said to be lost, and {lost[1] if lost else 0} counted")
    report.wrong += [f"said: {line}" for line in output.splitlines() if re.search(r'File "[^"]*replay/', line)]
    _judge(archives, log, report)
    return report


def _judge(archives: Path, log: Log, report: Report) -> None:
    parts = gather(archives)
    if len(parts) != 1 or not parts[0].good:
        report.wrong.append(f"{[(part.path.name, part.problems[:5]) for part in parts]}")
    by_id = {entry.ask.id: entry for entry in log.told}
    there = set()
    for exchange in (exchange for part in parts for exchange in part.exchanges):
        report.exchanges += 1
        name = (exchange.request.header(b"x-number") or b"").decode("latin-1")
        if name in by_id and exchange.request.target.startswith(b"/t/"):
            there.add(name)
            report.wrong += against_truth(exchange, by_id)
    for part in parts:
        for gap in part.gaps:
            report.gaps[f"{gap.reason.value}: {gap.detail[:60]}"] = report.gaps.get(f"{gap.reason.value}: {gap.detail[:60]}", 0) + gap.count
    report.good = len(log.told)
    report.wrong += [f"{entry.ask.id}: {entry.status} {entry.trouble}" for entry in log.told if not entry.served and entry.ask.kind != "endless"]
    report.wrong += [f"{name}: served, and not on record" for name in sorted(by_id.keys() - there)]


async def _send_all(count: int, seed: str, port: int, report: Report) -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def send(number: int) -> None:
        async with limit:
            dice = random.Random(f"{seed} request {number}")  # noqa: S311  # nothing secret is drawn here
            data = garbage.request(dice, number) if number % 3 else b"GET /fuzz/%d HTTP/1.1\r\nHost: daemon.example\r\n\r\n" % number
            try:
                await _send(port, data)
                report.sent += 1
            except OSError as error:
                report.wrong.append(f"message {number} could not be sent: {error!r}")

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(send(number))


async def _send(port: int, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(data)
        async with asyncio.timeout(PATIENCE_S):
            await writer.drain()
            while await reader.read(1 << 16):
                continue
    writer.transport.abort()


@contextlib.asynccontextmanager
async def _server(seed: str) -> AsyncIterator[int]:
    """Answer two of three requests by something malformed, the third well, and what knows its answer by that."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await turn(reader, writer):
                continue
        writer.transport.abort()

    async def turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 40 * PATIENCE_S)
        if b" /t/" in head[:10]:
            return await answer(head, reader, writer)
        number = re.search(rb"/fuzz/(\d+)", head)
        dice = random.Random(f"{seed} answer {int(number[1]) if number else zlib.crc32(head)}")  # noqa: S311  # nothing secret is drawn here
        good = number is not None and int(number[1]) % 3 == 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" if good else garbage.answer(dice))
        await writer.drain()
        return dice.random() < 0.5

    server = await asyncio.start_server(converse, "127.0.0.1", 0, limit=1 << 18, backlog=512)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Malformed messages through the recorder.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", default="1")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parity-fuzz-") as folder:
        report = asyncio.run(run(chosen.count, chosen.seed, Path(folder)))
    sys.stdout.write(
        f"{report.sent} malformed, {report.good} good among them; {report.exchanges} exchanges on record; mitmproxy broke down over "
        f"{report.proxy_breakdowns}; {report.rss_bytes / 1e6:.0f} MB\n"
    )
    for what, number in sorted(report.gaps.items()):
        sys.stdout.write(f"  gap {number:6} {what}\n")
    for what in report.wrong[:40]:
        sys.stdout.write(f"  WRONG {what}\n")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

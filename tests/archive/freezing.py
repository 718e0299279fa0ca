"""
Make the frozen samples of the newest format: `python -m tests.archive.freezing FOLDER`.

`v1.parity` holds a record of every type, two segments, a body that is stored by digest, and a snapshot; `v1-encrypted.parity` the same for
the key in `v1.key`. Once a format is frozen they are never made again.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from replay.archive import ArchiveWriter, Keyring, pack_snapshot
from replay.model import (
    Answered,
    Attachment,
    Binding,
    Chunk,
    Chunks,
    Connection,
    DaemonRecord,
    Ended,
    EndReason,
    Gap,
    GapReason,
    NoResponse,
    Opened,
    ProviderCall,
    Record,
    Redaction,
    Request,
    Response,
    SnapshotRecord,
    Statistics,
    Wait,
    WorkspaceChange,
)

AT: Final = 1_795_435_200.0
KEY: Final = Path(__file__).parent / "v1.key"
_ASKED: Final = ((b"Host", b"127.0.0.1:3850"), (b"Accept", b"*/*"), (b"X-Twice", b"1"), (b"x-twice", b"\xff"))
_ANSWERED: Final = ((b"Content-Type", b"application/json"), (b"Date", b"Mon, 23 Nov 2026 12:00:00 GMT"))
_EVENTS: Final = Response(b"HTTP/1.1", 200, b"OK", ((b"Content-Type", b"text/event-stream"),), None)
_BIG: Final = bytes(range(256)) * 1200


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def first_records() -> list[Record]:
    """Give what stands in the first segment, after the snapshot (events 1 and 2)."""
    return [
        Opened(
            1,
            3,
            AT + 1,
            Connection("c1", None, "127.0.0.1:50000"),
            Request(b"GET", b"/health?x=%20", b"HTTP/1.1", _ASKED),
            redactions=(Redaction("request.header:1", 0, 3, "api-key"),),
        ),
        Ended(
            1,
            5,
            AT + 1.25,
            EndReason.COMPLETE,
            Response(b"HTTP/1.1", 200, b"OK", _ANSWERED, b'{"status":"healthy"}'),
            b"",
            server_connection="s1",
            headers_event=4,
            request_ended_at=AT + 1.1,
            first_byte_at=AT + 1.2,
        ),
        Opened(2, 6, AT + 2, Connection("c2"), Request(b"GET", b"/api/logs/stream", b"HTTP/1.1", _ASKED)),
        Answered(2, 7, AT + 2.1, _EVENTS, (Redaction("response.header:0", 0, 4, "cookie"),)),
        Chunks(
            2,
            (Chunk(8, AT + 2.2, b"data: 1\n\n"), Chunk(9, AT + 2.4, b"data: 2\n\n")),
            redactions=(Redaction("chunk:9", 6, 1, "password"),),
        ),
        Opened(3, 10, AT + 3, Connection("c1"), Request(b"POST", b"/api/memory/remember", b"HTTP/1.1", _ASKED), lane="provider"),
        Chunks(3, (Chunk(11, AT + 3.1, _BIG[:1000]), Chunk(12, AT + 3.2, _BIG[1000:])), side="request"),
    ]


def second_records() -> list[Record]:
    """Give what stands in the second segment."""
    return [
        Ended(
            3,
            14,
            AT + 3.5,
            EndReason.COMPLETE,
            Response(b"HTTP/1.1", 201, b"Created", _ANSWERED, _BIG, ((b"X-End", b"1"),)),
            None,
            ((b"T", b"r"),),
            headers_event=13,
            request_streamed=True,
            note="a note",
            opaque=b"\x00opaque",
        ),
        Ended(2, 15, AT + 4, EndReason.CLIENT_LEFT, _EVENTS, b"", headers_event=7, streamed=True),
        Opened(4, 16, AT + 5, Connection("c3"), Request(b"GET", b"/gone", b"HTTP/1.0", ())),
        Ended(4, 17, AT + 5.5, EndReason.PROXY_ERROR, NoResponse("connection refused"), None),
        Opened(5, 18, AT + 6, Connection("c4"), Request(b"GET", b"/slow", b"HTTP/1.1", ())),
        Gap(GapReason.CUT, event=19, exchange=5, detail="the recorder was stopped"),
        Gap(GapReason.SHED, event=20, count=3, detail="the writer was behind"),
        WorkspaceChange(
            23,
            AT + 7,
            "memory/2026-11-23.md",
            _digest(b"- likes coffee\n"),
            b"- likes coffee\n",
            AT + 6.9,
            (Redaction("content", 2, 5, "token"),),
            "x",
        ),
        WorkspaceChange(24, AT + 7, "memory/gone.md", None, None),
        Attachment(25, 5, "/home/someone/transcript.jsonl", _digest(b"{}\n"), b"{}\n", (Redaction("content", 0, 2, "token"),), "x"),
        Attachment(26, 5, "/etc/passwd", None, None, note="outside the allowed roots"),
        Statistics(AT + 8, {"exchanges": 5.0, "hook_p99_us": 81.5}),
        Binding("uuid", "a", "b", 1, "$.id"),
        Wait(3, "memory_jobs", 12.5, "drained", "empty"),
        ProviderCall(27, AT + 9, "extract", b"{}", b"{}", "exact"),
        DaemonRecord(AT + 9, "ready", "after 0.2 s", "listening"),
    ]


def freeze(path: Path, recipients: tuple[bytes, ...]) -> None:
    """Write a sample."""
    facts = {"recorder": {"tool": "signet-parity"}, "options": {"upstream": "http://127.0.0.1:3850"}}
    with (
        tempfile.TemporaryDirectory() as folder,
        ArchiveWriter.create(path, kind="recording", facts=facts, started_at=AT, clock=lambda: 0.0, recipients=recipients) as writer,
    ):
        name = writer.next_snapshot_name()
        packed = pack_snapshot(_workspace(Path(folder)), path / name, recipients=recipients, archive_id=writer.archive_id)
        record = SnapshotRecord(
            file=name,
            event_before=1,
            event_after=2,
            workspace="/home/someone/.agents",
            files=packed.files,
            bytes=packed.bytes,
            digest=packed.sha256,
            left_out=("network: not taken",),
            at=AT,
            duration_ms=12.5,
            changed_meanwhile=("memory/2026-11-23.md",),
            replaced={"bearer": 1},
            machine_id="0123456789abcdef0123456789abcdef",
        )
        writer.adopt_snapshot(record, path / name)
        for records in (first_records(), second_records()):
            writer.rotate()
            for entry in records:
                writer.append(entry)
        writer.seal(event=28, at=AT + 10, reason="done")


def _workspace(folder: Path) -> Path:
    (folder / "memory").mkdir()
    (folder / "AGENTS.md").write_text("Be brief.\n")
    (folder / "memory" / "2026-11-23.md").write_text("- likes tea\n")
    for place in (folder / "AGENTS.md", folder / "memory" / "2026-11-23.md", folder / "memory", folder):
        os.utime(place, (AT, AT))
    return folder


def main() -> None:
    """Write both samples into a folder."""
    folder = Path(sys.argv[1])
    (key,) = Keyring.load(KEY).keys.values()
    freeze(folder / "v1.parity", ())
    freeze(folder / "v1-encrypted.parity", (key.public,))


if __name__ == "__main__":
    main()

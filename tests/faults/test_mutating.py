"""Single faults in answers with everything that answers have: ids, times, lists, text, streams. A small part of `mutating`, for each change."""

import json
import random
import uuid
from pathlib import Path

import pytest

from replay.archive import Archive, ArchiveWriter, read
from replay.judge import NoiseModel, RuleSet
from replay.model import Chunk, Chunks, Connection, Ended, EndReason, Opened, Request, Response
from tests.faults import mutating

MEMORIES = 30


def answers(seed: int) -> list[tuple[bytes, bytes, bytes]]:
    """Give (target, media type, body) of a run of one daemon: another run has other ids, and everything else the same."""
    dice = random.Random(seed)  # noqa: S311  # a draw that can be repeated
    json_type = b"application/json"
    made = [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(MEMORIES)]
    items = [
        {
            "id": one,
            "content": f"The {n}th thing that was said in the harbour",
            "score": round(1 - n / 40, 2),
            "pinned": n % 3 == 0,
            "tags": ["a", "b"],
        }
        for n, one in enumerate(made)
    ]
    told = [(b"/api/memory/remember", json_type, json.dumps({"id": one, "kept": True, "version": 1}).encode()) for one in made]
    told += [(b"/api/memory/" + one.encode(), json_type, json.dumps(item).encode()) for one, item in zip(made, items, strict=True)]
    told.append((b"/api/memories", json_type, json.dumps({"memories": items, "total": len(items), "next": None}).encode()))
    told.append((b"/api/notes", b"text/markdown", b"# Notes\n\nThe harbour was calm, and 3 boats came in.\n"))
    inner = json.dumps({"items": items[:3]})
    told.append((b"/mcp", json_type, json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": inner}]}}).encode()))
    events = "".join(f"event: step\ndata: {json.dumps({'step': n, 'name': f'part {n}'})}\n\n" for n in range(6))
    told.append((b"/api/stream", b"text/event-stream", events.encode()))
    return told


def recording(folder: Path, seed: int) -> Archive:
    """Write a run as an archive."""
    path = folder / f"run-{seed}.parity"
    event = 0
    with ArchiveWriter.create(path, kind="recording", facts={}, started_at=1e9) as writer:
        for number, (target, media, body) in enumerate(answers(seed), 1):
            at = 1e9 + number
            request = Request(b"GET", target, b"HTTP/1.1", ((b"host", b"x"),), None)
            answer = Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", media), (b"x-daemon", b"js")), body)
            writer.append(Opened(exchange=number, event=event + 1, at=at, request=request, connection=Connection("c1")))
            streamed = media == b"text/event-stream"
            if streamed:
                parts = [part + b"\n\n" for part in body.split(b"\n\n")[:-1]]
                writer.append(Chunks(number, tuple(Chunk(event + 2 + n, at + 0.1 * n, part) for n, part in enumerate(parts))))
                event += len(parts)
                answer = Response(b"HTTP/1.1", 200, b"OK", answer.headers, None)
            writer.append(Ended(number, event + 2, at + 0.7, EndReason.COMPLETE, answer, b"", streamed=streamed))
            event += 2
        writer.seal(event=event + 1, at=1e9 + 1000, reason="end")
    return read(path)


@pytest.mark.slow
def test_no_single_fault_is_hidden(tmp_path: Path) -> None:
    """Of faults in answers that nothing was measured of, none is hidden, nothing is invented, and the class is right in 99 of 100."""
    recorded, observed = recording(tmp_path, 1), recording(tmp_path, 2)
    tally = mutating.run(recorded, observed, (RuleSet(), NoiseModel()), count=600, each=8, seed=1)
    hidden = [found for found in tally.survivors if found["outcome"] == "hidden"]

    assert tally.planted == 600
    assert hidden == []
    assert tally.invented == []
    assert sum(tally.wrong_class.values()) <= 6, tally.wrong

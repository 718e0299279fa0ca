"""The command that records: the recorder's options, spelled out."""

import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from replay.cli.console import note


class OnError(StrEnum):
    """What becomes of traffic that can't be recorded."""

    GAP = "gap"
    STOP = "stop"


class By(StrEnum):
    """What stays together when only a part is recorded."""

    CONNECTION = "connection"
    SESSION = "session"


def record(
    upstream: Annotated[
        list[str],
        typer.Option(
            "--upstream", help="The daemon, such as http://127.0.0.1:3850. Further ones, as NAME=URL@PORT, are lanes of their own; repeatable."
        ),
    ],
    listen: Annotated[int, typer.Option("--listen", help="The port on 127.0.0.1 that clients use instead.")] = 3849,
    *,
    output: Annotated[Path | None, typer.Option("--output", help="The new archive; recordings/<UTC start>.parity otherwise.")] = None,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", help="The daemon's workspace: snapshots of it, and what changes in it.")
    ] = None,
    snapshots: Annotated[
        str | None, typer.Option("--snapshots", help="When it is copied, by commas: start, rotation, seal; empty for never.")
    ] = None,
    snapshot_seconds: Annotated[int | None, typer.Option("--snapshot-seconds", help="How long a copy may take.")] = None,
    watch: Annotated[bool, typer.Option(help="Record files of the workspace that change.")] = True,
    attach: Annotated[
        list[Path] | None, typer.Option("--attach", help="A folder from which files that requests name are recorded; repeatable.")
    ] = None,
    recipient: Annotated[
        list[Path] | None, typer.Option("--recipient", help="Encrypt for this key, a public key file; repeatable. `keys new` makes one.")
    ] = None,
    redact: Annotated[bool, typer.Option(help="Replace credentials by placeholders before anything reaches the disk.")] = True,
    redact_rules: Annotated[
        Path | None, typer.Option("--redact-rules", help="A TOML file of own redaction rules beside those built in.")
    ] = None,
    segment_mb: Annotated[int | None, typer.Option("--segment-mb", help="A new segment begins when one has this size.")] = None,
    segment_minutes: Annotated[int | None, typer.Option("--segment-minutes", help="A new segment begins when one is this old.")] = None,
    keep_days: Annotated[int | None, typer.Option("--keep-days", help="Delete closed segments that are older.")] = None,
    keep_mb: Annotated[int | None, typer.Option("--keep-mb", help="Delete the oldest closed segments where the archive is bigger.")] = None,
    sample: Annotated[float | None, typer.Option("--sample", min=0, max=1, help="Record only this part of the traffic, 0 to 1.")] = None,
    sample_by: Annotated[By | None, typer.Option("--sample-by", help="What is taken or left as one.")] = None,
    stream_kb: Annotated[int | None, typer.Option("--stream-kb", help="Longer answers go on chunk by chunk.")] = None,
    stream_requests: Annotated[
        bool, typer.Option(help="Longer requests, too. A daemon that refuses one early gets its client a reset.")
    ] = False,
    queue_mb: Annotated[int | None, typer.Option("--queue-mb", help="How much may wait for the writer process in memory.")] = None,
    degrade: Annotated[str | None, typer.Option("--degrade", help="What is left out when it is so full, such as bodies@50,routes@75.")] = None,
    fresh_connections: Annotated[
        bool, typer.Option(help="Use no connection to the daemon again after a file or a refusal: the JS daemon drops what follows.")
    ] = True,
    status_seconds: Annotated[
        int | None, typer.Option("--status-seconds", min=0, help="How often a line says how it goes; 5 on a terminal, 60 elsewhere, 0 never.")
    ] = None,
    on_error: Annotated[OnError, typer.Option("--on-error", help="gap: count what could not be written; stop: end the proxy.")] = OnError.GAP,
) -> None:
    """Record a daemon's traffic: the same as `mitmdump -s addons/record.py`, with the options spelled out. `inspect` shows how it goes."""
    from replay.jobs.recording import STATUS_S, STATUS_UNSEEN_S, Recording, mitmdump_command

    seen = sys.stdout.isatty()
    command = mitmdump_command(
        Recording(
            upstreams=tuple(upstream),
            listen=listen,
            output=output,
            workspace=workspace,
            recipients=tuple(recipient or ()),
            attach=tuple(attach or ()),
            rules=redact_rules,
            options={
                "snapshots": snapshots,
                "snapshot_seconds": snapshot_seconds,
                "watch": None if watch else False,
                "redact": None if redact else False,
                "segment_mb": segment_mb,
                "segment_minutes": segment_minutes,
                "keep_days": keep_days,
                "keep_mb": keep_mb,
                "sample": sample,
                "sample_by": sample_by,
                "stream_kb": stream_kb,
                "stream_requests": True if stream_requests else None,
                "queue_mb": queue_mb,
                "degrade": degrade,
                "fresh_connections": None if fresh_connections else False,
                "status_seconds": status_seconds if status_seconds is not None else STATUS_S if seen else STATUS_UNSEEN_S,
                "on_error": on_error,
            },
        )
    )
    note("running " + shlex.join(command))
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606  # mitmdump takes this process over, so signals and exit codes are its own


__all__ = ["record"]

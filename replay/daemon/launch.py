"""Starts companions and a daemon, in order, and waits until each is there."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from replay.daemon.asking import Reply, ask, is_taken, listens
from replay.daemon.processes import Child, Children
from replay.daemon.spec import Companion, Ready
from replay.model import DaemonError

_PAUSE_S: Final = 0.03


def start_companions(
    children: Children, companions: Sequence[Companion], *, environment: Mapping[str, str], directory: Path, logs: Path
) -> list[Child]:
    """
    Start each when the one before it is ready.

    Raises: DaemonError where its port is another's already, or, with the end of its log, where one dies or is not there in time.
    """
    started = []
    for number, companion in enumerate(companions, 1):
        if companion.ready_port is not None and is_taken(companion.ready_port):
            raise DaemonError(
                f"companion {companion.name}: port {companion.ready_port} is taken already; what listens there would be taken for it. "
                "Stop that, or use a namespace cell, which has all ports to itself."
            )
        child = children.start(
            f"companion {companion.name}",
            companion.command,
            environment={**environment, **companion.environment},
            directory=directory,
            log=logs / f"companion-{number}.log",
        )
        _wait_until(children, child, partial(_companion_is_ready, companion), companion.timeout_s, "it was not ready")
        started.append(child)
    return started


def start_daemon(
    children: Children,
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    log: Path,
) -> Child:
    """
    Start a daemon; it is not ready yet.

    Raises: DaemonError.
    """
    return children.start(f"daemon {name}", command, environment=environment, directory=directory, log=log)


def wait_ready(children: Children, daemon: Child, host: str, port: int, ready: Ready) -> Reply:
    """
    Wait until a daemon answers as it shall, and give the answer.

    Raises: DaemonError with the end of its log where it dies or does not answer so in time.
    """
    replies: list[Reply] = []

    def is_ready() -> bool:
        reply = ask(host, port, ready.path)
        if reply is not None:
            replies[:] = [reply]
        return reply is not None and reply.status == ready.status

    def last() -> str:
        seen = f"the last answer was {replies[0].status}" if replies else "nothing answered"
        return f"GET http://{host}:{port}{ready.path} did not give {ready.status} ({seen})"

    _wait_until(children, daemon, is_ready, ready.timeout_s, last)
    return replies[0]


def _companion_is_ready(companion: Companion) -> bool:
    if companion.ready_port is None:
        return True
    if companion.ready_path is None:
        return listens("127.0.0.1", companion.ready_port)
    reply = ask("127.0.0.1", companion.ready_port, companion.ready_path)
    return reply is not None and reply.status < 400


def _wait_until(children: Children, child: Child, is_there: Callable[[], bool], timeout_s: float, why: str | Callable[[], str]) -> None:
    until = time.monotonic() + timeout_s
    while True:
        children.reap()
        if child.exit_code is not None:
            raise DaemonError(f"{child.name} ended {ending(child.exit_code)} before it was ready.{quoted(child.log_tail())}")
        if is_there():
            return
        if time.monotonic() >= until:
            reason = why if isinstance(why, str) else why()
            raise DaemonError(f"{child.name}: {reason} within {timeout_s:g} s.{quoted(child.log_tail())}")
        children.wait(_PAUSE_S)


def ending(exit_code: int) -> str:
    """Say an exit code in words."""
    return f"by signal {-exit_code}" if exit_code < 0 else f"with exit code {exit_code}"


def quoted(log_tail: str) -> str:
    """Put a log's end under a message."""
    text = log_tail.strip()
    return f" The end of its log:{os.linesep}{text}" if text else " It wrote nothing."

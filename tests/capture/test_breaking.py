"""What somebody found who tried to break the recorder."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from replay.archive import read
from replay.model import GapReason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["parity_queue_mb=many"], "parity_queue_mb"),
        (["parity_output=a.parity", "parity_output=b.parity"], "parity_output"),
        (["parity_recipient=ops.pub"], "parity_recipient: there is no such option"),
        (["parity_output=" + "a" * 300 + ".parity"], "nothing can be written there"),
        (["parity_attach=" + "a" * 300], "can't be looked at"),
    ],
)
def test_options_that_are_none(launch: Any, tmp_path: Path, options: list[str], said: str) -> None:
    """A value that is none, an option given twice or mistyped, a name that no disk takes: code 2 and words, never traffic unrecorded."""
    proxy = launch(*(part for option in options for part in ("--set", option)))
    assert proxy.wait() == 2, proxy.output
    assert said in proxy.output
    assert "listening" not in proxy.output
    assert not list(tmp_path.glob("**/*.parity"))


def test_refusing_without_standard_error(launch: Any) -> None:
    """Where standard error is closed a listener beyond loopback is refused all the same."""
    proxy = launch("--mode", "reverse:http://127.0.0.1:9@0.0.0.0:0", bare=True, before=lambda: os.close(2))
    assert proxy.wait() == 2, proxy.output
    assert "listening" not in proxy.output


def test_a_dead_daemon_and_many_clients(launch: Any, tmp_path: Path) -> None:
    """Clients that come again and again to a dead daemon are all counted, and neither queue nor archive grows with each of them."""
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        mode = f"reverse:http://127.0.0.1:{dead.getsockname()[1]}"
        proxy = launch(*("--mode", mode, "--listen-host", "127.0.0.1", "-p", "0", "--set", "parity_output=out.parity"), bare=True)
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as client:
                assert client.recv(1) == b""
        assert proxy.end() == 0
    gaps = [gap for gap in read(tmp_path / "out.parity").gaps() if gap.reason is GapReason.SKIPPED]
    assert sum(gap.count for gap in gaps) == 100
    assert len(gaps) < 50

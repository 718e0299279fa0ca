"""The recorder's command line, spelled out."""

import socket
import sys
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from replay.model import UsageError


def mitmdump_command(upstream: str, listen: int, *, output: Path | None, workspace: Path | None, on_error: str) -> list[str]:
    """
    Give the mitmdump command that records *upstream* on 127.0.0.1:*listen*.

    Raises:
        UsageError: the upstream is no plain http origin, an option has no such value, or the port is taken.

    """
    try:
        parts = urlsplit(upstream)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"{upstream}: the upstream must be an origin such as http://127.0.0.1:3850 ({error})") from error
    if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"} or parts.query:
        raise UsageError(f"{upstream}: the upstream must be an origin such as http://127.0.0.1:3850")
    if on_error not in {"gap", "stop"}:
        raise UsageError(f"--on-error {on_error}: must be gap or stop")
    _expect_free(listen)
    # Nothing imports addons: only the place of its script is asked for.
    script = Path(str(files("addons"))) / "record.py"
    command = [str(Path(sys.executable).parent / "mitmdump"), "--mode", f"reverse:{parts.scheme}://{parts.netloc}"]
    command += ["--listen-host", "127.0.0.1", "-p", str(listen), "-s", str(script), "--set", f"parity_on_error={on_error}"]
    if output is not None:
        command += ["--set", f"parity_output={output}"]
    if workspace is not None:
        command += ["--set", f"parity_workspace={workspace}"]
    return command


def _expect_free(port: int) -> None:
    if not 0 < port < 65536:
        raise UsageError(f"--listen {port}: is no port; name one from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(f"--listen {port}: 127.0.0.1:{port} can't be listened on ({error.strerror}); name another port") from error

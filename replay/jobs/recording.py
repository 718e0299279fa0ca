"""The recorder's command line, spelled out."""

import sys
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from replay.model import UsageError


def mitmdump_command(upstream: str, listen: int, *, output: Path | None, workspace: Path | None, on_error: str) -> list[str]:
    """
    Give the mitmdump command that records *upstream* on 127.0.0.1:*listen*.

    Raises:
        UsageError: the upstream is no plain http origin, or an option has no such value.

    """
    parts = urlsplit(upstream)
    if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"} or parts.query:
        raise UsageError(f"{upstream}: the upstream must be an origin such as http://127.0.0.1:3850")
    if on_error not in {"gap", "stop"}:
        raise UsageError(f"--on-error {on_error}: must be gap or stop")
    # Nothing imports addons: only the place of its script is asked for.
    script = Path(str(files("addons"))) / "record.py"
    command = [str(Path(sys.executable).parent / "mitmdump"), "--mode", f"reverse:{parts.scheme}://{parts.netloc}"]
    command += ["--listen-host", "127.0.0.1", "-p", str(listen), "-s", str(script), "--set", f"parity_on_error={on_error}"]
    if output is not None:
        command += ["--set", f"parity_output={output}"]
    if workspace is not None:
        command += ["--set", f"parity_workspace={workspace}"]
    return command

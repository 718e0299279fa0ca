"""The recorder's options: what they mean, what is refused, and what the archive is told of them."""

import ipaddress
import itertools
import os
import platform
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mitmproxy import version
from mitmproxy.addonmanager import Loader
from mitmproxy.options import Options
from mitmproxy.proxy.mode_specs import ProxyMode, ReverseMode


def declare_options(loader: Loader) -> None:
    """Declare the options with the prefix `parity_`; declaring them again changes nothing."""
    loader.add_option("parity_output", str, "", "Where to record: a new folder ending in .parity. Default: recordings/<UTC start>.parity.")
    loader.add_option(
        "parity_workspace", str, "", "The daemon's workspace ($SIGNET_PATH); a snapshot of it is taken at the start. Default: none."
    )
    loader.add_option("parity_redact", bool, True, "Replace credentials by placeholders before anything reaches the disk.")
    loader.add_option(
        "parity_listen_anywhere",
        bool,
        False,
        "Let the proxy listen beyond loopback. The daemon's hybrid authentication trusts every client that comes through.",
    )
    loader.add_option(
        "parity_on_error",
        str,
        "gap",
        "What can't be recorded: count it loudly and let the traffic pass (gap), or stop mitmdump with exit code 3 (stop).",
        choices=("gap", "stop"),
    )


def check_listeners(options: Options) -> str | None:
    """Give what is wrong with where the proxy would listen and what it would forward to, in words; None where nothing is."""
    if not options.server:
        return None
    modes: Sequence[str] = options.mode
    for text in modes:
        try:
            mode = ProxyMode.parse(text)
        except ValueError:
            continue  # mitmproxy says so itself
        if not isinstance(mode, ReverseMode):
            return (
                f"mode {text!r} is no reverse proxy; add `--mode reverse:http://127.0.0.1:3850` (the daemon's address) so that only the "
                "daemon's traffic is recorded"
            )
        host = mode.listen_host(options.listen_host)
        if not options.parity_listen_anywhere and not is_loopback(host):
            place = f"on {host}" if host else "on all interfaces"
            return (
                f"mode {text!r} would listen {place}, and the daemon's hybrid authentication trusts whoever comes through this proxy; "
                "add `--listen-host 127.0.0.1`, or `--set parity_listen_anywhere=true` if you mean it"
            )
    return None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on *host*; an empty host means all interfaces."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def default_folder(script: Path) -> Path:
    """Give the folder for recordings: the checkout's own where *script* lies in one, else `recordings` under the current folder."""
    root = script.resolve().parents[1]
    if (root / "pyproject.toml").is_file() and (root / "recordings").is_dir():
        return root / "recordings"
    return Path.cwd() / "recordings"


def may_write(folder: Path) -> bool:
    """Whether something can be made in *folder*, which need not be there yet; a full disk is not seen."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def name_archive(folder: Path, now: datetime) -> Path:
    """Give a free name for an archive that begins now (UTC)."""
    stem = now.strftime("%Y-%m-%dT%H%M%SZ")
    names = itertools.chain([stem], (f"{stem}-{count}" for count in itertools.count(2)))
    return next(path for name in names if not (path := folder / f"{name}.parity").exists())


def lane_of(options: Options, mode: ProxyMode) -> str:
    """Name the way through the proxy: `daemon` for the first mode, its upstream address for any other."""
    modes: Sequence[str] = options.mode
    if len(modes) < 2 or mode == ProxyMode.parse(modes[0]) or not isinstance(mode, ReverseMode):
        return "daemon"
    return f"{mode.address[0]}:{mode.address[1]}"


def describe(options: Options, key_id: str | None) -> dict[str, Any]:
    """Give the facts for the manifest; *key_id* names the redaction key, None where nothing is redacted."""
    first = ProxyMode.parse(options.mode[0])
    return {
        "recorder": f"mitmproxy {version.VERSION}, Python {platform.python_version()}",
        "daemon": {"host": first.address[0], "port": first.address[1]} if isinstance(first, ReverseMode) else {},
        "events": "numbered by the recorder as it saw them",
        "options": {
            "mode": list(options.mode),
            "listen_host": options.listen_host,
            "listen_port": options.listen_port,
            "parity_on_error": options.parity_on_error,
            "parity_listen_anywhere": options.parity_listen_anywhere,
        },
        "workspace": options.parity_workspace or None,
        "redaction": {"key_id": key_id} if key_id else {"key_id": None, "why": "parity_redact=false"},
    }

"""The recorder's options: what they mean, what is refused, and what the archive is told of them."""

import contextlib
import ipaddress
import itertools
import os
import platform
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from mitmproxy import version
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import OptionsError
from mitmproxy.options import Options
from mitmproxy.proxy.mode_specs import ProxyMode, ReverseMode

from replay.capture.installation import key_path
from replay.capture.shedding import Thresholds, parse_steps
from replay.model import ParityError, UsageError

OPTIONS: Final[tuple[tuple[str, type, Any, str, tuple[str, ...]], ...]] = (
    ("parity_output", str, "", "Where to record: a new folder ending in .parity. Default: recordings/<UTC start>.parity.", ()),
    ("parity_workspace", str, "", "The daemon's workspace ($SIGNET_PATH), for snapshots and changes of its files. Default: none.", ()),
    ("parity_snapshots", str, "start,rotation,seal", "When snapshots of the workspace are taken: start, rotation, seal (by commas).", ()),
    ("parity_snapshot_seconds", int, 300, "How long a snapshot may take; one that takes longer is a counted gap.", ()),
    ("parity_watch", bool, True, "Record changes of files in parity_workspace.", ()),
    ("parity_attach", str, "", "Folders (by commas) from which files that requests name are recorded. Default: none, and none is read.", ()),
    ("parity_redact", bool, True, "Replace credentials by placeholders before anything reaches the disk.", ()),
    ("parity_redact_rules", str, "", "A TOML file of own redaction rules, beside those that are built in.", ()),
    ("parity_recipients", str, "", "Public key files (by commas): the archive is encrypted for them. Default: not encrypted.", ()),
    ("parity_lanes", str, "", "Names for the second and further --mode (by commas), such as provider,embedder. Default: their addresses.", ()),
    ("parity_stream_kb", int, 1024, "Answers longer than this, or of unknown length, go on chunk by chunk instead of gathered first.", ()),
    ("parity_stream_requests", bool, False, "Requests longer than that, too. A daemon that refuses one early then gets its client a reset.", ()),
    (
        "parity_fresh_connections",
        bool,
        True,
        "Use no connection to the daemon again after a file or a refusal: the JS daemon drops what follows.",
        (),
    ),
    ("parity_queue_mb", int, 40, "How much may wait for the writer process in memory.", ()),
    ("parity_degrade", str, "bodies@80,routes@90", "What is left out when the queue is so full (percent): bodies, routes. At 100, all.", ()),
    ("parity_sample", str, "1", "Which part of the traffic is recorded, 0 to 1.", ()),
    ("parity_sample_by", str, "connection", "What stays together when only a part is recorded.", ("connection", "session")),
    ("parity_segment_mb", int, 256, "A segment of the archive is closed when it has this size.", ()),
    ("parity_segment_minutes", int, 1440, "A segment of the archive is closed when it is this old.", ()),
    ("parity_keep_days", int, 0, "Closed segments older than this are deleted. 0: kept.", ()),
    ("parity_keep_mb", int, 0, "The oldest closed segments are deleted when the archive is bigger than this. 0: kept.", ()),
    ("parity_status_seconds", int, 0, "How often a line about the recording is logged. 0: never (status.json always says it).", ()),
    (
        "parity_listen_anywhere",
        bool,
        False,
        "Let the proxy listen beyond loopback. The daemon's hybrid authentication trusts every client that comes through.",
        (),
    ),
    (
        "parity_on_error",
        str,
        "gap",
        "What can't be recorded: count it loudly and let the traffic pass (gap), or stop mitmdump with exit code 3 (stop).",
        ("gap", "stop"),
    ),
)
"""Name, type, default, meaning, and what may be given."""

PREFIX: Final = "parity_"
EXIT_REFUSED: Final = 2
_AT_LEAST: Final = {
    "parity_snapshot_seconds": 1,
    "parity_stream_kb": 1,
    "parity_queue_mb": 1,
    "parity_segment_mb": 1,
    "parity_segment_minutes": 1,
    "parity_keep_days": 0,
    "parity_keep_mb": 0,
    "parity_status_seconds": 0,
}
_OCCASIONS: Final = ("start", "rotation", "seal")
_NOT_TOLD: Final = frozenset({"parity_output", "parity_workspace"})
"""Said elsewhere, or by where the archive lies."""


def declare_options(loader: Loader) -> None:
    """
    Declare the options with the prefix `parity_`; declaring them again changes nothing.

    A value that is none ends mitmproxy: it would drop that error without a word, and pass traffic unrecorded.
    """
    for name, kind, default, meaning, choices in OPTIONS:
        loader.add_option(name, kind, default, meaning, choices=choices or None)
    try:
        loader.master.options.process_deferred()
    except OptionsError as error:
        given = ", ".join(name for name in loader.master.options.deferred if name.startswith(PREFIX))
        refuse(f"{error} (one of {given}); give each option once, as --set <name>=<value>")


def refuse(why: str) -> NoReturn:
    """End mitmproxy before it does what must not be."""
    complain(why)
    sys.exit(EXIT_REFUSED)


def complain(text: str) -> None:
    """Say something past the log, which may be off; standard error may be closed."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"parity: {text}\n")


def check_values(options: Options) -> str | None:
    """Give what is wrong with the options' values, in words; None where nothing is."""
    try:
        return _wrong_with(options)
    except OSError as error:
        return f"{error.filename}: can't be looked at ({error.strerror})"


def _wrong_with(options: Options) -> str | None:
    # mitmproxy keeps names that it does not know for addons still to come, and says nothing: a mistyped one must not switch something off
    unknown = [name for name in options.deferred if name.startswith(PREFIX)]
    if unknown:
        return f"{', '.join(unknown)}: there is no such option; `mitmdump -s <this script> --options` lists them"
    for name, least in _AT_LEAST.items():
        if getattr(options, name) < least:
            return f"{name}={getattr(options, name)}: must be {least} or more"
    try:
        parse_steps(options.parity_degrade, options.parity_queue_mb << 20)
    except ValueError as error:
        return f"parity_degrade={options.parity_degrade}: {error}"
    try:
        rate = float(options.parity_sample)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        return f"parity_sample={options.parity_sample}: must be a number from 0 to 1, such as 0.1"
    others = set(_listed(options.parity_snapshots)) - set(_OCCASIONS)
    if others:
        return f"parity_snapshots={options.parity_snapshots}: {', '.join(sorted(others))}: must be of {', '.join(_OCCASIONS)}"
    lanes = _listed(options.parity_lanes)
    if lanes and (len(lanes) != len(options.mode) - 1 or len({"daemon", *lanes}) != len(options.mode)):
        return f"parity_lanes={options.parity_lanes}: must name every --mode but the first, each otherwise, and none `daemon`"
    if options.parity_workspace and not Path(options.parity_workspace).is_dir():
        return f"parity_workspace {options.parity_workspace}: there is no such folder; give the daemon's $SIGNET_PATH"
    for folder in _listed(options.parity_attach):
        if not Path(folder).is_dir():
            return f"parity_attach {folder}: there is no such folder"
    try:
        if options.parity_redact_rules:
            # the proxy has no other use for these rooms
            from replay.redact import load_rules

            load_rules(Path(options.parity_redact_rules))
        _recipients(options)
    except ParityError as error:
        return str(error)
    return None


def thresholds(options: Options) -> Thresholds:
    """Give at how much queued data what is left out."""
    return parse_steps(options.parity_degrade, options.parity_queue_mb << 20)


def configuration(options: Options, path: Path, *, floor: int, begun: bool) -> dict[str, Any]:
    """Give what the writer has to know (`writing.configuration`); *floor* and *begun* say what an archive before this one holds."""
    return {
        "path": str(path),
        "facts": describe(options),
        "redact": options.parity_redact,
        "key_path": str(key_path(os.environ)),
        "rules": str(Path(options.parity_redact_rules).absolute()) if options.parity_redact_rules else "",
        "recipients": _recipients(options),
        "workspace": str(Path(options.parity_workspace).absolute()) if options.parity_workspace else "",
        "watch": options.parity_watch,
        "attach": tuple(str(Path(folder).absolute()) for folder in _listed(options.parity_attach)),
        "snapshots": tuple(_listed(options.parity_snapshots)),
        "snapshot_seconds": float(options.parity_snapshot_seconds),
        "segment_bytes": options.parity_segment_mb << 20,
        "segment_seconds": options.parity_segment_minutes * 60.0,
        "keep_bytes": options.parity_keep_mb << 20,
        "keep_seconds": options.parity_keep_days * 86400.0,
        "floor": floor,
        "continues": path.name if begun else "",
    }


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _recipients(options: Options) -> tuple[bytes, ...]:
    names = _listed(options.parity_recipients)
    if not names:
        return ()
    from replay.archive import load_key as load_recipient

    keys = [(name, load_recipient(Path(name))) for name in names]
    for name, key in keys:
        if key.private is not None:
            raise UsageError(f"parity_recipients {name}: a private key, which must not lie on the recording host; give the .pub beside it")
    return tuple(key.public for _, key in keys)


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


def lanes_of(options: Options) -> dict[ProxyMode, str]:
    """Name the ways through the proxy: `daemon` for the first mode; any other as it was named, or by its upstream's address."""
    named = dict(enumerate(_listed(options.parity_lanes), 1))
    lanes: dict[ProxyMode, str] = {}
    for place, text in enumerate(options.mode):
        mode = ProxyMode.parse(text)
        address = f"{mode.address[0]}:{mode.address[1]}" if isinstance(mode, ReverseMode) else text
        lanes[mode] = "daemon" if place == 0 else named.get(place, address)
    return lanes


def _told_mode(text: str) -> str:
    """Give a mode so that its listener is not taken for what stands behind a password: `http://host:port at 3851`."""
    data, at, listener = text.rpartition("@")
    return f"{data} at {listener}" if at else text


def describe(options: Options) -> dict[str, Any]:
    """Give the facts for the manifest."""
    first = ProxyMode.parse(options.mode[0])
    told = {name: getattr(options, name) for name, *_ in OPTIONS if name not in _NOT_TOLD}
    return {
        "recorder": f"mitmproxy {version.VERSION}, Python {platform.python_version()}",
        "daemon": {"host": first.address[0], "port": first.address[1]} if isinstance(first, ReverseMode) else {},
        "events": "numbered by the recorder as it saw them",
        "lanes": list(lanes_of(options).values()),
        "sampling": {"rate": float(options.parity_sample), "by": options.parity_sample_by},
        "options": {
            "mode": [_told_mode(text) for text in options.mode],
            "listen_host": options.listen_host,
            "listen_port": options.listen_port,
            **told,
        },
        "workspace": options.parity_workspace or None,
    }

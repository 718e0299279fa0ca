"""An archive becomes a flow file."""

import gzip
import lzma
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

from mitmproxy.io import tnetstring

from replay.archive import Archive
from replay.interop.mitm.source import State
from replay.interop.mitm.state import add, rebuild, unpack
from replay.model import Exchange, UsageError


def export_mitm(archive: Archive, destination: Path) -> int:
    """
    Write every exchange of *archive* as a flow, and give how many there were.

    Imported flows come back as they were, in the order of their file; others lie in the order in which they ended. A destination that
    ends in `.xz` or `.gz` is compressed.

    Raises:
        UsageError: there is something at *destination* already.

    """
    rows = []
    for exchange in archive.exchanges():
        position, _ = unpack(exchange.opaque)
        rows.append((exchange.ended_event if position is None else position, exchange))
    rows.sort(key=lambda row: row[0])
    return write_flows((export_state(exchange, archive.id) for _, exchange in rows), destination)


def export_state(exchange: Exchange, archive: str) -> State:
    """Give the flow state of one exchange, with what was kept of it when it was imported."""
    position, patch = unpack(exchange.opaque)
    # a patch was taken against what is rebuilt without an archive's name
    return cast("State", add(rebuild(exchange, "" if position is not None else archive), patch))


def write_flows(states: Iterable[State], destination: Path) -> int:
    """
    Write flow states to a new file (mode 0600) and give how many there were; a file that was cut short does not stay.

    Raises:
        UsageError: there is something at *destination* already, or it can't be written.

    """
    if destination.exists():
        raise UsageError(f"{destination}: is there already; name another file")
    partial = destination.with_name(f".{destination.name}.partial")
    count = 0
    try:
        partial.unlink(missing_ok=True)
        # never into a file that was there: it may be another's, or open to others
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as plain, _compressed(plain, destination.suffix.lower()) as file:
                for state in states:
                    file.write(tnetstring.dumps(state))
                    count += 1
            partial.rename(destination)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{destination}: can't be written ({error.strerror or error})") from error
    return count


def _compressed(plain: BinaryIO, suffix: str) -> BinaryIO:
    if suffix == ".xz":
        return cast("BinaryIO", lzma.open(plain, "wb"))
    if suffix == ".gz":
        return cast("BinaryIO", gzip.open(plain, "wb"))
    return plain

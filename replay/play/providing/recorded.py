"""Which lanes a recording has beside the daemon's own, and what was said on them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from replay.archive import Archive
from replay.daemon.lanes import Address, Lane, is_loopback
from replay.model import Exchange, Opened

OWN: Final = "daemon"
_MODE: Final = re.compile(r"reverse:(?:[a-z]+://)?(?P<upstream>[^@/ ]+)[^@ ]*(?:(?:@| at )(?:(?P<host>.*):)?(?P<port>[0-9]+))?")
"""A recorder writes ` at ` for the `@` of its modes, which looks like the end of a password in a URL."""
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::", "localhost"})  # noqa: S104 - compared, not bound to


@dataclass(frozen=True, slots=True)
class _Ends:
    """The two ends of a mode of the recorder: where it listened, and what it passed on to."""

    name: str
    listened: Address | None
    passed_on: Address | None


def find_lanes(facts: Mapping[str, Any]) -> tuple[Lane, ...]:
    """
    Give the lanes of a recording beside the daemon's own, from its facts; none where these do not tell, or it was asked beyond loopback.

    A lane has two addresses: a daemon may be configured with the recorder's, or, when it is replayed, with the provider's own. One that two
    lanes would have is the first one's.
    """
    names, options = facts.get("lanes"), facts.get("options")
    if not isinstance(names, list) or not isinstance(options, dict):
        return ()
    modes = options.get("mode")
    if not isinstance(modes, list) or len(names) != len(modes):
        return ()
    host = str(options.get("listen_host") or "")
    ends = [_ends(str(name), str(mode), host) for name, mode in zip(names, modes, strict=True)]
    # Where the daemon itself is asked is no lane's.
    taken = {end for each in ends[:1] for end in (each.listened, each.passed_on)}
    addresses: dict[str, list[Address]] = {each.name: [] for each in ends[1:] if each.name != OWN}
    for kind in ("listened", "passed_on"):
        for each in ends[1:]:
            address = getattr(each, kind)
            if address is not None and address not in taken and each.name in addresses:
                taken.add(address)
                addresses[each.name].append(address)
    return tuple(Lane(name, tuple(found)) for name, found in addresses.items() if found)


def served_lanes(recorded: Archive) -> tuple[Lane, ...]:
    """
    Give the lanes of a recording on which something was asked: of another nothing could be answered.

    Raises:
        ArchiveError: a block is damaged.

    """
    silent = {lane.name: lane for lane in find_lanes(recorded.facts)}
    spoken: list[Lane] = []
    for record in recorded.records() if silent else ():
        if isinstance(record, Opened) and record.lane in silent:
            spoken.append(silent.pop(record.lane))
            if not silent:
                break
    return tuple(spoken)


def lane_exchanges(recorded: Archive, name: str) -> Iterator[Exchange]:
    """
    Give the exchanges of one lane in the order of their ends, holding none.

    Raises:
        ArchiveError: a block is damaged.

    """
    return (found for found in recorded.catalogue().scan() if isinstance(found, Exchange) and found.lane == name)


def lane_times(recorded: Archive, name: str) -> tuple[float, float] | None:
    """
    Give when the first and the last exchange of a lane began, in seconds since the epoch; None where it has none.

    Raises:
        ArchiveError: a block is damaged.

    """
    times = [record.at for record in recorded.records() if isinstance(record, Opened) and record.lane == name]
    return (min(times), max(times)) if times else None


def _ends(name: str, mode: str, host: str) -> _Ends:
    match = _MODE.fullmatch(mode)
    if match is None:
        return _Ends(name, None, None)
    upstream, _, port = match["upstream"].rpartition(":")
    return _Ends(name, _address(match["host"] or host, match["port"]), _address(upstream, port) if upstream else None)


def _address(host: str, port: str | None) -> Address | None:
    host = "127.0.0.1" if host in _EVERYWHERE else host.strip("[]")
    return Address(host, int(port)) if port is not None and port.isdigit() and is_loopback(host) else None

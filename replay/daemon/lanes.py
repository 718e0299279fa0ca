"""Lanes that a player serves while a daemon runs, and where: what a cell tells it before there are any facts."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from replay.model import UsageError

LANES: Final = "lanes.json"
"""Beside the facts that a player is to wait for."""
LISTENING: Final = "listening"
"""Beside them too: the file by which a player says that it listens."""
_LOOPBACK: Final = re.compile(r"127(?:\.[0-9]{1,3}){3}|::1")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a lane listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """It as the base of URLs."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane, and the addresses under which the daemon knows what it asks there."""

    name: str
    addresses: tuple[Address, ...]
    """At least one. Where the recorder listened, and what it passed on to: whichever of them the daemon is configured with is answered."""


def is_loopback(host: str) -> bool:
    """Tell whether an address never leaves the machine."""
    return _LOOPBACK.fullmatch(host) is not None


def write_lanes(lanes: Iterable[Lane], path: Path) -> None:
    """Write lanes for a player, as `read_lanes` reads them."""
    path.write_text(json.dumps([asdict(lane) for lane in lanes]), "utf-8")


def read_lanes(path: Path) -> tuple[Lane, ...]:
    """
    Read the lanes that a player is to serve; none where there is no such file.

    Raises:
        UsageError: it is there and is none.

    """
    try:
        told = json.loads(path.read_bytes())
        return tuple(Lane(each["name"], tuple(Address(**address) for address in each["addresses"])) for each in told)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path}: these are no lanes ({type(error).__name__}: {error})") from error


def lane_values(lanes: Iterable[Lane]) -> Mapping[str, str]:
    """Give what the placeholders `{lane:NAME}` stand for."""
    return {f"lane:{lane.name}": lane.addresses[0].url for lane in lanes}

"""The values of a plan."""

from dataclasses import dataclass

from replay.model import Attachment, Exchange, WorkspaceChange
from replay.routes import Route


@dataclass(frozen=True, slots=True)
class Need:
    """An id in a request that an earlier answer gave."""

    exchange: int
    """Whose answer gives it."""
    id: str


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded exchange that is to be sent."""

    exchange: Exchange
    route: Route
    after: int
    """How many steps, in the order of their recorded ends, must have ended before this one may start."""
    leave_after: int
    """How many of them must have ended before this one may be left, where the client left it."""
    previous: int | None
    """The exchange before it on the same client connection; None also where that one outlasted it."""
    heads: tuple[int, ...] = ()
    """Exchanges that were still open when this one started and whose answers had begun: theirs must have begun again."""
    needs: tuple[Need, ...] = ()
    """Ids that must be known first, or their exchanges be over."""
    pause_s: float = 0.0
    """For how long nothing began or ended before it, in the recording."""
    settles: bool = False
    """Whether the recording left time here after something that may have changed the state: wait for the daemon's background work."""
    dull: bool = False
    """Whether the recorded answer holds nothing that looks like an id; False says nothing."""
    lost: tuple[Need, ...] = ()
    """Ids from before the stretch that the state it starts from does not hold, and whose answers gave them."""


@dataclass(frozen=True, slots=True)
class Laying:
    """A recorded change of a file, or a file that a request names, that the replay lays at its place."""

    after: int
    """How many steps, in the order of their recorded ends, must have ended before."""
    event: int
    """It is laid before every step that was opened after this event number."""
    record: WorkspaceChange | Attachment
    at: float = 0.0
    """When it was made, in the recording."""
    pause_s: float = 0.0
    """For how long nothing began or ended before it, in the recording."""
    settles: bool = False
    """Whether the recording left time here after something that may have changed the state; as a step's."""


@dataclass(frozen=True, slots=True)
class Unlaid:
    """Recorded changes that are not laid, for one reason."""

    why: str
    count: int
    paths: tuple[str, ...]
    """Some of them."""

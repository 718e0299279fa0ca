"""One side of a comparison: the exchanges that stand for the recorded ones, read when they are asked for, and why some do not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.archive import Archive, Roll, Slip
from replay.compare.mapped import is_mapped, unmap
from replay.compare.pairing import pair_by_sequence
from replay.compare.state import Clock, Side, Window
from replay.identity import Bindings
from replay.model import Binding, Exchange, Gap, GapReason, Response, UsageError

LANE: Final = "daemon"
"""Only what clients asked the daemon is compared; what it asked others itself is no answer of its own."""
_BODILESS: Final = frozenset({204, 304})
_MARKS_MAX: Final = 20_000
"""Of so many pairs at most the times are marks of both runs' clocks; of more, every n-th is."""


class Standing(Mapping[int, Exchange]):
    """Exchanges of an archive by the recorded number that each stands for. Read from the disk each time."""

    def __init__(self, roll: Roll, numbers: Mapping[int, int] | None, facts: Mapping[str, Any]) -> None:
        """Take those of *roll* under their own numbers, or under others: recorded → own."""
        self.roll = roll
        self._numbers = numbers
        self._facts = facts if is_mapped(facts) else {}

    def __getitem__(self, number: int) -> Exchange:
        """Give the exchange. Raises ArchiveError where it is damaged."""
        exchange = self.roll.exchange(self.own(number))
        return unmap(exchange, self._facts) if self._facts else exchange

    def __iter__(self) -> Iterator[int]:
        return self.roll.numbers() if self._numbers is None else iter(self._numbers)

    def __len__(self) -> int:
        return len(self.roll) if self._numbers is None else len(self._numbers)

    def __contains__(self, number: object) -> bool:
        return number in (self.roll if self._numbers is None else self._numbers)

    def own(self, number: int) -> int:
        """Give the number that it has itself. Raises KeyError where none stands for this one."""
        return number if self._numbers is None else self._numbers[number]

    def slip(self, number: int) -> Slip | None:
        """Give its records unchecked; None where there is none, or where it has to be read as an exchange."""
        if self._facts or not self.roll.quick:
            return None
        try:
            return self.roll.slip(number if self._numbers is None else self._numbers[number])
        except KeyError:
            return None


class Whole(Sequence[Exchange]):
    """All whole exchanges of an archive by their numbers, rising. Read from the disk each time."""

    def __init__(self, roll: Roll) -> None:
        self._roll = roll
        self._numbers: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self._roll)

    def __iter__(self) -> Iterator[Exchange]:
        return map(self._roll.exchange, self._roll.numbers())

    def __getitem__(self, at: Any) -> Any:
        if self._numbers is None:
            self._numbers = tuple(self._roll.numbers())
        wanted = self._numbers[at]
        return self._roll.exchange(wanted) if isinstance(wanted, int) else tuple(map(self._roll.exchange, wanted))


@dataclass(slots=True)
class Partners:
    """One side of a comparison: the exchanges that stand for the recorded ones, and why some do not."""

    exchanges: Mapping[int, Exchange]
    gaps: Mapping[int, Gap]
    side: Side
    run_started_at: float
    replayed: bool = True
    """Whether it is a replay of the recording; False for another recording of the same client."""


def partners_of(recorded: Archive, other: Archive) -> Partners:
    """
    Find the exchanges of *other* that stand for those of *recorded*; two replays of one recording belong together, too.

    Raises:
        ArchiveError: one of them is damaged.
        UsageError: *other* is a replay of another recording, or no recording of the same client.

    """
    roll = recorded.roll()
    for _ in roll.call():
        pass
    return partners_in(roll, other)


def partners_in(recorded: Roll, other: Archive) -> Partners:
    """Do as `partners_of`, for a recording whose roll was called."""
    replay_of, siblings = other.facts.get("replay_of"), False
    if replay_of is not None:
        siblings = replay_of == recorded.archive.facts.get("replay_of")
        if replay_of != recorded.archive.id and not siblings:
            raise UsageError(
                f"{other.path} is a replay of the recording {replay_of}, not of {recorded.archive.path} ({recorded.archive.id}); "
                "compare it with that one"
            )
    roll = other.roll()
    born: dict[tuple[str, str], str] = {}
    bindings = Bindings.of(_bindings(roll, born, taken=not siblings))
    side = Side(bindings, born)
    if replay_of is None:
        lane = [exchange.id for exchange in Whole(roll) if exchange.lane == LANE]
        numbers = pair_by_sequence(_of_lane(recorded), _of_lane(roll))
        standing = Standing(roll, numbers, {})
        # what the other recording does not hold can't be compared with either
        gaps: Mapping[int, Gap] = dict(_shed_partners(standing, roll.gaps))
        members: Iterable[int] = lane
        if len(numbers) < len(lane):
            side.not_compared["exchanges that stand for no recorded one"] = len(lane) - len(numbers)
    else:
        standing = Standing(roll, None, other.facts)
        gaps = {gap.exchange: gap for gap in roll.gaps if gap.exchange is not None}
        members = roll.numbers()
    started = min((roll.times(number)[0] for number in members), default=0.0)
    side.clock = Clock.of(_windows(recorded, standing, started))
    roll.forget_times()
    return Partners(standing, gaps, side, started, replayed=replay_of is not None)


def shed_of(gaps: Iterable[Gap]) -> dict[int, str]:
    """Give the exchanges of which the recorder left a part out, and which."""
    told: dict[int, str] = {}
    for gap in gaps:
        if gap.reason is GapReason.SHED and gap.exchange is not None:
            told[gap.exchange] = f"{told[gap.exchange]}; {gap.detail}" if gap.exchange in told else gap.detail
    return told


def lacks_body(exchange: Exchange) -> bool:
    """Whether the daemon's answer must have had a body, and it was not kept."""
    outcome = exchange.outcome
    if not isinstance(outcome, Response) or outcome.body is not None:
        return False
    return exchange.request.method.upper() != b"HEAD" and outcome.status not in _BODILESS


def _bindings(roll: Roll, born: dict[tuple[str, str], str], *, taken: bool) -> Iterator[Binding]:
    """Call the roll, and give the bindings on the way."""
    for record in roll.call():
        if taken and isinstance(record, Binding):
            born[record.kind, record.recorded] = f"#{record.exchange} {record.path}"
            yield record


def _of_lane(roll: Roll) -> Iterator[Exchange]:
    return (exchange for exchange in Whole(roll) if exchange.lane == LANE)


def _windows(recorded: Roll, standing: Standing, started: float) -> Iterator[tuple[Window, Window]]:
    step = 1 + len(recorded) // _MARKS_MAX
    for count, number in enumerate(recorded.numbers()):
        if count % step == 0 and number in standing:
            one, two = recorded.times(number), standing.roll.times(standing.own(number))
            yield Window(0.0, *one), Window(started, *two)


def _shed_partners(standing: Standing, gaps: Iterable[Gap]) -> Iterator[tuple[int, Gap]]:
    """Give the recorded exchanges whose partners in another recording lack the answer's body, with the gap that says so."""
    shed = shed_of(gaps)
    for number in standing if shed else ():
        own = standing.own(number)
        if own in shed and lacks_body(standing[number]):
            yield number, Gap(GapReason.SHED, exchange=number, detail=f"in the other recording: {shed[own]}")

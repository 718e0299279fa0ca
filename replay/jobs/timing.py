"""Where the time of a replay went, in a few lines: beside the recorded time, the daemon's own, what was waited for, and who was given up."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from replay.model import Exchange, Wait
from replay.report import visible

_PREFIX: Final = "wait_"
_SHOWN_MAX: Final = 12


def timing_lines(terms: object, waits: Iterable[Wait], recorded: Iterable[Exchange]) -> Iterator[str]:
    """Tell the *terms* (as `play.accounting.Terms.values` gives them; nothing where they are none), the waits, and which met their bounds."""
    if not isinstance(terms, Mapping) or not all(isinstance(value, int | float) for value in terms.values()):
        return
    yield _whole_line(terms, recorded)
    beside = [
        f"{name.removeprefix(_PREFIX).removesuffix('_s').replace('_', ' ')} {seconds:.1f} s"
        for name, seconds in sorted(terms.items())
        if name.startswith(_PREFIX)
    ]
    if beside:
        yield f"  waited beside: {' · '.join(map(visible, beside))}"
    seconds_of: dict[str, list[float]] = {}
    given_up: list[Wait] = []
    for wait in waits:
        seconds_of.setdefault(wait.worker, []).append(wait.duration_ms / 1000.0)
        if wait.outcome != "drained":
            given_up.append(wait)
    if seconds_of:
        told = sorted(seconds_of.items(), key=lambda item: -sum(item[1]))
        parts = [f"{visible(worker)} {sum(each):.1f} s in {len(each)}" for worker, each in told[:_SHOWN_MAX]]
        yield f"  waited for (at the same time): {' · '.join(parts)}"
    for wait in given_up[:_SHOWN_MAX]:
        yield f"  {visible(wait.worker)}: {wait.outcome} (at #{wait.before_exchange}): {visible(wait.detail)}"
    if len(given_up) > _SHOWN_MAX:
        yield f"  and {len(given_up) - _SHOWN_MAX} more waits that met their bounds"


def _whole_line(terms: Mapping[str, Any], recorded: Iterable[Exchange]) -> str:
    first = last = None
    for exchange in recorded:
        first = exchange.started_at if first is None else min(first, exchange.started_at)
        last = exchange.ended_at if last is None else max(last, exchange.ended_at)
    was = "" if first is None or last is None else f"; recorded in {last - first:.1f} s"
    wall_s, union_s, ratio, service_s, jobs_s, pollers_s = (
        float(terms.get(name, 0.0)) for name in ("wall_s", "daemon_union_s", "wall_ratio", "service_s", "jobs_s", "pollers_s")
    )
    return (
        f"time: {wall_s:.1f} s, {ratio:.2f} times the daemon's own {union_s:.1f} s (service {service_s:.1f} s, "
        f"job tables not empty {jobs_s:.1f} s, named pollers {pollers_s:.1f} s; overlaps count once){was}"
    )

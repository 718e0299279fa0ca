"""
Whether a moment of one run stands for one of the other.

Times within the run are held against the runs' clock (`state.Clock`): what happened between two exchanges of the recorded run happened between
the same two of the observed one, give or take a few seconds of background work. So a time that was taken from another answer, or that stopped
moving, is found. Times outside the run (expiry dates, fixtures, windows) are the very same moment, or are shifted as one of the run's moments
is: a time so many seconds from now is as far from its own now. What a daemon stamped while it started, at most half a minute before the first
exchange, stands for what the other stamped then: how long a daemon takes to start says nothing of its answers.
"""

from typing import Final

from replay.compare.state import Scene, Window
from replay.identity import Role

SLACK_S: Final = 5.0
"""How much earlier or later the background work of a run may come than that of the other."""
_BOOT_S: Final = 30.0
"""How long before the first exchange a daemon may have started: what it stamped then has no exchange beside it to be held against."""
_DAY_S: Final = 86_400.0
_MINUTE_S: Final = 60.0


def timely(one: float, two: float, grain_s: float, scene: Scene) -> bool:
    """Whether an observed time (seconds since the epoch, spelt *grain_s* coarse) stands to its own run as the recorded one to its own."""
    recorded, observed = scene.recorded, scene.observed
    slack = SLACK_S + grain_s
    if _at_start(one, recorded) and _at_start(two, observed):
        return True
    inside_one, inside_two = _inside(one, slack, recorded), _inside(two, slack, observed)
    if inside_one or inside_two:
        low, high = scene.side.clock.around(one)
        return inside_one and inside_two and low - slack <= two <= high + slack
    if one == two:
        return True
    span = max(recorded.ended_at - recorded.run_started_at, observed.ended_at - observed.run_started_at)
    away = (two - observed.started_at) - (one - recorded.started_at)
    least, most = scene.side.clock.shifts(recorded.ended_at)
    return abs(away) <= span + slack and least - slack <= two - one <= most + slack


def _at_start(moment: float, window: Window) -> bool:
    return window.run_started_at - _BOOT_S <= moment < window.run_started_at


def within_runs(one: float, two: float, scene: Scene) -> bool:
    """Whether both times are moments of their runs, wherever."""
    return _inside(one, SLACK_S, scene.recorded) and _inside(two, SLACK_S, scene.observed)


def _inside(moment: float, slack: float, window: Window) -> bool:
    return window.run_started_at - slack <= moment <= window.ended_at + slack


def both_past(one: float, two: float, scene: Scene) -> bool:
    """Whether both times came before their exchanges: all that can be asked of when a daemon started, weeks ago or for this replay."""
    return one <= scene.recorded.ended_at and two <= scene.observed.ended_at


def grain_s(role: Role) -> float:
    """How coarse a time is spelt, in seconds."""
    if role.kind == "date":
        return _MINUTE_S if role.seconds is not None and role.seconds % _DAY_S else _DAY_S
    return _MINUTE_S if role.format.startswith("min") else 1.0

"""
Whether a measured amount may stand for another one, by all that two values and their exchanges can prove.

How this works
--------------
A duration or a fact of the process (memory, load, open files) is never the same twice, so only what is out of proportion is told:

- another sign, or nothing where there was clearly something;
- a duration more than 10 times *and* a second away from the other, or 500 times where the larger is not tiny: a unit that became another one
  (ms to s, to µs) is found from 20 ms on;
- a duration beyond all that its run has lasted, where the recorded one was within;
- how long the daemon is up, where that is neither what its run has lasted, give or take a minute, nor about what the recorded one was up before
  its own run: a daemon that served for weeks is replayed by one that was just started, and milliseconds for seconds are found all the same;
- a fact of the process 500 times away, or bytes that are no whole pages where the recorded ones are.

In two runs of one daemon durations of 20 ms and more lie within 8 times of each other (3,158 pairs measured), so the limits leave room for a
daemon of another speed. What lies between them is let pass and counted, and a learned noise fact tells how far it lies for the primary itself.
"""

import math
from typing import Final

from replay.compare.blinding import is_process_fact
from replay.compare.state import Scene, Window
from replay.content import Number
from replay.identity import classify_number

_PROPORTION: Final = 10.0
_APART_S: Final = 1.0
_UNIT_PROPORTION: Final = 500.0
"""Less than any unit is of the next, and more than one daemon is faster than another at the same work."""
_TINY_S: Final = 0.02
"""A shorter duration may well be nothing on a faster daemon or to a coarser clock."""
_GRAIN_S: Final = 0.001
_TINY_AMOUNT: Final = 16.0
"""So many files, sockets, percent or megabytes come and go."""
_PAGE_BYTES: Final = 4096
_SLACK_S: Final = 60.0
_COUNTED_S: Final = 2.0
"""A daemon is up since before it answered first, or counts whole seconds; less than that and it started again."""


def as_float(number: Number) -> float:
    """Give a number as a float; infinity for one that no float can hold."""
    try:
        return float(number.value)
    except OverflowError:
        return math.inf


def out_of_proportion(key: str, one: Number, two: Number, scene: Scene) -> str:
    """Say in what way an observed amount under *key* can't stand for the recorded one; empty where it can."""
    first, second = as_float(one), as_float(two)
    if not (math.isfinite(first) and math.isfinite(second)):
        return "measured → beyond floats"
    if first < 0 or second < 0:
        return "" if first == second else "measured → negative" if second < 0 else "negative → measured"
    low, high = min(first, second), max(first, second)
    if is_process_fact(key):
        if first >= _PAGE_BYTES and first % _PAGE_BYTES == 0 and second % _PAGE_BYTES:
            return "whole pages → odd bytes"
        near = high <= _UNIT_PROPORTION * low or high <= _TINY_AMOUNT or (key == "pid" and second > 0)
        return "" if near else _away(second)
    role, other = classify_number(key, one), classify_number(key, two)
    seconds_one = role.seconds if role is not None and role.seconds is not None else first / 1000.0
    seconds_two = other.seconds if other is not None and other.seconds is not None else second / 1000.0
    if "uptime" in key.lower():
        return _up(seconds_one, seconds_two, scene)
    return duration_out_of_proportion(seconds_one, seconds_two, scene)


def _up(one_s: float, two_s: float, scene: Scene) -> str:
    """Say in what way a daemon can't be up for so long, by how long before its run's first exchange it must have started."""
    age_one, age_two = (up_s - _lasted_s(window) for up_s, window in ((one_s, scene.recorded), (two_s, scene.observed)))
    if age_two < -_COUNTED_S:
        return "" if age_one < -_COUNTED_S else "shorter than the run"
    if age_two <= _SLACK_S:
        return ""
    return "" if age_one > _SLACK_S and age_one / _PROPORTION <= age_two <= age_one * _PROPORTION else "longer than the run"


def duration_out_of_proportion(one_s: float, two_s: float, scene: Scene) -> str:
    """Say in what way an observed duration (seconds) can't stand for the recorded one; empty where it can."""
    # Nothing at all may be less than the clock could tell.
    low, high = min(one_s or _GRAIN_S, two_s), max(one_s, two_s)
    if high >= _TINY_S and high > _UNIT_PROPORTION * low:
        return _away(two_s)
    if high > _PROPORTION * low and high - low > _APART_S:
        return _away(two_s)
    lasted_one, lasted_two = _lasted_s(scene.recorded), _lasted_s(scene.observed)
    if one_s <= lasted_one + _SLACK_S and two_s > max(lasted_two + _SLACK_S, one_s):
        return "longer than the run"
    return ""


def _lasted_s(window: Window) -> float:
    return window.ended_at - window.run_started_at


def _away(observed: float) -> str:
    return "measured, out of proportion" if observed else "measured → zero"

"""
Model providers and embedders out of a recording: what a replayed daemon asks its models is answered with what the recorded one was answered.

How this works
--------------
A lane of the recording (`recorded`) is one service that the daemon asked. Its calls become a `store` of answers by key. While the replay
runs, `serving` listens at the lane's address, `asks` understands each request by its wire, `stages` and `plain` take out of it what may differ
without meaning, `keys` makes a row of keys of it, and `answering` gives the recorded answer: as it was, or with the ids of this replay in it, or
in another wire's form (`wires`). What was not recorded is an error with status 503 and the `nearest` recorded call, never a live call. The `log`
writes each call, with how it was answered, into the observed archive.

    tier         what it says
    exact        the same text was asked of the same model
    normalised   the same but for white space, made ids, the present day, or the daemon's wording
    rewritten    likewise, and the answer was changed: ids or day of this replay, or another wire
                 (both also where what the daemon knew at the time differs; then `context` says in what)
    repeated     every recorded answer of that key was given already: the last one again
    miss         not recorded
"""

from replay.play.providing.given import MISS, TIERS
from replay.play.providing.log import ELSEWHERE, PREFIX, tabulate_counts
from replay.play.providing.provider import Provider
from replay.play.providing.recorded import find_lanes, lane_exchanges, served_lanes

__all__ = ["ELSEWHERE", "MISS", "PREFIX", "TIERS", "Provider", "find_lanes", "lane_exchanges", "served_lanes", "tabulate_counts"]

"""
The player: sends a recording's requests to a daemon in a cell, and writes what it observes as an archive of its own.

`python -m replay.play - CELL_FACTS.json`, with the job on standard input, is how a cell starts it: exit 0 when every planned exchange was
walked, 2 when it could not be (the daemon died, bad files; the observed archive says what is missing), 70 for a bug. `play` is the same for
a process at hand.
"""

from replay.play.inside import play_inside
from replay.play.job import CellFacts, Drained, Job, parse_job, read_facts, read_job
from replay.play.playing import Played, play

__all__ = ["CellFacts", "Drained", "Job", "Played", "parse_job", "play", "play_inside", "read_facts", "read_job"]

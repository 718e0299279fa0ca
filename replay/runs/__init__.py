"""
A judged run on disk: what compare makes, and judge, report, explain and export read.

A run is a directory (mode 0700, files 0600), all text, one JSON value a line where there are many:

    run.json           who was compared, when, with what; totals, counts of relations, canaries
    pairs.jsonl        what became of each planned exchange (`Pair`)
    findings.jsonl     the facts (`Finding`), so that `judge RUN` needs no new comparison
    divergences.jsonl  the judged facts (`Divergence`, by line number of its finding)
    clusters.jsonl     the places (`Cluster`)
    causes.jsonl       what explains them (`Cause`)
    answers.jsonl      both sides' answers of each divergent exchange, ready to be shown

Nothing is taken for a run before it is whole: a comparison that was cut short leaves an empty `comparing.draft`, and the next one for that place
says so and starts again. Big tables are read from the disk each time they are asked for.

Of encrypted archives it is encrypted for the same recipients: all of it in `run.enc`, and only their public keys in `run.json`.
"""

from replay.model import Answers, Canaries
from replay.runs.run import Party, Run
from replay.runs.store import begin, check_place, claim, give_up, is_run, load, recipients_of, save

__all__ = ["Answers", "Canaries", "Party", "Run", "begin", "check_place", "claim", "give_up", "is_run", "load", "recipients_of", "save"]

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

Of encrypted archives it is encrypted for the same recipients: all of it in `run.enc`, and only their public keys in `run.json`.
"""

from replay.model import Answers, Canaries
from replay.runs.run import Party, Run
from replay.runs.store import check_place, is_run, load, recipients_of, save

__all__ = ["Answers", "Canaries", "Party", "Run", "check_place", "is_run", "load", "recipients_of", "save"]

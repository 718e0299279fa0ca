"""Rules, noise, verdicts, clusters: turns findings into divergences. Pure: no daemons, no files but what callers hand in as text."""

from replay.judge.canaries import plant
from replay.judge.causes import explain
from replay.judge.clusters import cluster
from replay.judge.life import Life, Night, Stage, live
from replay.judge.noise import Held, NoiseModel, learn_noise
from replay.judge.noise_files import load_noise, noise_text
from replay.judge.quirks import QUIRKS, quirk_words
from replay.judge.rules import RuleSet, load_rules
from replay.judge.usage import with_swallowed
from replay.judge.verdicts import Judgement, judge

__all__ = [
    "QUIRKS",
    "Held",
    "Judgement",
    "Life",
    "Night",
    "NoiseModel",
    "RuleSet",
    "Stage",
    "cluster",
    "explain",
    "judge",
    "learn_noise",
    "live",
    "load_noise",
    "load_rules",
    "noise_text",
    "plant",
    "quirk_words",
    "with_swallowed",
]

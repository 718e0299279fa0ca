"""Noise at its edges: what is no number, or too large for one, is never excused and never crashes."""

import datetime as dt
from collections.abc import Callable

import pytest

from replay.judge import learn_noise, load_noise, load_rules, noise_text
from replay.model import Finding, Pair, RuleError, Witness

HUGE = "1" + "0" * 400
PAIRS = [Pair(1, "read", "POST /api/memory/recall", "POST", "/api/memory/recall", None)]

RULE = """
[[rule]]
id = "near"
verdict = "documented"
reason = "close enough"
owner = "parity team"
until = 2099-01-01
tolerance = 0.5
"""


@pytest.mark.parametrize(("primary", "candidate"), [(HUGE, "1.5"), ("0.5", "NaN"), ("1e999", "-1e999")])
def test_a_number_beyond_floats_is_not_excused(primary: str, candidate: str, finding: Callable[..., Finding]) -> None:
    """What a control never measured is not noise: NaN, infinity, a whole number that no float can hold."""
    model = learn_noise([([finding(primary="0.5", candidate="0.6")], PAIRS)], ["a"])
    assert model.excuse(finding(primary="0.5", candidate="0.55", witness=Witness.ALL_DIFFER)) is not None
    assert model.excuse(finding(primary=primary, candidate=candidate, witness=Witness.ALL_DIFFER)) is None


def test_an_infinite_distance_excuses_nothing(finding: Callable[..., Finding]) -> None:
    """A fact learned from a number beyond floats has no width within which others could lie."""
    learned = learn_noise([([finding(primary=HUGE, candidate="1.5")], PAIRS)], ["a"])
    model = load_noise(noise_text(learned), "noise.json")
    assert model.excuse(finding(primary="0.5", candidate="0.6", witness=Witness.ALL_DIFFER)) is None


def test_a_tolerance_does_not_reach_beyond_floats(finding: Callable[..., Finding]) -> None:
    """A rule with a tolerance leaves a number alone that no float can hold."""
    rules = load_rules(RULE, "rules.toml")
    today = dt.date(2026, 11, 23)
    assert rules.deciding(finding(primary="0.5", candidate="0.6"), today) == rules.rules[0]
    assert rules.deciding(finding(primary=HUGE, candidate="1.5"), today) is None


@pytest.mark.parametrize("text", ["[]", "5", "null", "[" * 100_000, '{"format": 3, "facts": 3, "archives": []}', '{"format": 3}'])
def test_what_is_no_noise_file_is_refused(text: str) -> None:
    """Other JSON, and JSON too deep to read, is an error that names the file."""
    with pytest.raises(RuleError, match=r"noise\.json: is no noise file"):
        load_noise(text, "noise.json")


@pytest.mark.parametrize("kind", ["status", "no-response", "body-kind", "body-missing"])
def test_a_third_kind_of_answer_is_no_noise(kind: str, finding: Callable[..., Finding]) -> None:
    """A control that fails now and then does not make every other failure of the candidate noise."""
    model = learn_noise([([finding(kind=kind, path="status", primary="200", candidate="500")], PAIRS)], ["a"])

    assert model.excuse(finding(kind=kind, path="status", primary="200", candidate="404", control="500", witness=Witness.ALL_DIFFER)) is None

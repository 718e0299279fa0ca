"""Noise: each learned relation, the mutant that proves it is not "anything", and numbers at their edges."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.compare.surveying import Survey
from replay.judge import NoiseModel, RuleSet, judge, learn_noise, load_noise, load_rules, noise_text
from replay.model import DifferenceClass, Finding, Pair, RuleError, Subject, Verdict, Witness

type Maker = Callable[..., Finding]

HUGE = "1" + "0" * 400
ROUTE = "POST /api/memory/recall"
PAIRS = [Pair(1, "read", ROUTE, "POST", "/api/memory/recall", None)]
TODAY = dt.date(2026, 11, 23)

RULE = """
[[rule]]
id = "near"
verdict = "documented"
reason = "close enough"
owner = "parity team"
until = 2099-01-01
tolerance = 0.5
"""


def learned(runs: Sequence[Sequence[Finding]], exchanges: int = 1, surveys: Sequence[Survey] = ()) -> NoiseModel:
    """Learn from the findings of some pairs of runs, of so many exchanges each; written to a file and read back."""
    pairs = [replace(PAIRS[0], exchange=number) for number in range(1, exchanges + 1)]
    return load_noise(noise_text(learn_noise([(found, pairs) for found in runs], ["a", "b"], surveys)), "noise.json")


def of(make: Maker, primary: str | None, candidate: str | None, **changes: Any) -> Finding:
    """Make a finding without a control."""
    return make(**{"witness": Witness.UNCONFIRMED, "primary": primary, "candidate": candidate, **changes})


@pytest.mark.parametrize(("primary", "candidate"), [(HUGE, "1.5"), ("0.5", "NaN"), ("1e999", "-1e999")])
def test_a_number_beyond_floats_is_not_excused(primary: str, candidate: str, finding: Maker) -> None:
    """What a control never measured is not noise: NaN, infinity, a whole number that no float can hold."""
    model = learn_noise([([finding(primary="0.5", candidate="0.6")], PAIRS)], ["a"])
    assert model.excuse(finding(primary="0.5", candidate="0.55", witness=Witness.ALL_DIFFER)) is not None
    assert model.excuse(finding(primary=primary, candidate=candidate, witness=Witness.ALL_DIFFER)) is None


def test_an_infinite_distance_excuses_nothing(finding: Maker) -> None:
    """A fact learned from a number beyond floats has no width within which others could lie."""
    model = learned([[finding(primary=HUGE, candidate="1.5")]])
    assert model.excuse(finding(primary="0.5", candidate="0.6", witness=Witness.ALL_DIFFER)) is None


def test_a_tolerance_does_not_reach_beyond_floats(finding: Maker) -> None:
    """A rule with a tolerance leaves a number alone that no float can hold."""
    rules = load_rules(RULE, "rules.toml")
    assert rules.deciding(finding(primary="0.5", candidate="0.6"), TODAY) == rules.rules[0]
    assert rules.deciding(finding(primary=HUGE, candidate="1.5"), TODAY) is None


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "5",
        "null",
        "[" * 100_000,
        '{"format": 3, "facts": 3, "archives": [], "time_spread_s": 0}',
        '{"format": 3}',
        '{"format": 3, "facts": [{"route": 1}], "archives": [], "time_spread_s": 0}',
    ],
)
def test_what_is_no_noise_file_is_refused(text: str) -> None:
    """Other JSON, and JSON too deep to read, is an error that names the file."""
    with pytest.raises(RuleError, match=r"noise\.json: is no noise file"):
        load_noise(text, "noise.json")


@pytest.mark.parametrize(("name", "value"), [("changed", '"3"'), ("widest", '"far"'), ("seen", "[1]"), ("parts", '["x:1"]'), ("pairs", "-1")])
def test_a_fact_of_other_types_is_refused(name: str, value: str, finding: Maker) -> None:
    """A fact whose count, bound or digest is something else is an error, never no noise or a crash while judging."""
    text = noise_text(learn_noise([([finding()], PAIRS)], ["a"]))
    lines = [f'   "{name}": {value},' if line.strip().startswith(f'"{name}":') else line for line in text.splitlines()]
    broken = "\n".join(lines).replace(f"{value},\n  }}", f"{value}\n  }}")
    with pytest.raises(RuleError, match=r"noise\.json"):
        load_noise(broken, "noise.json")


@pytest.mark.parametrize("kind", ["status", "no-response", "body-kind", "body-missing"])
def test_a_third_kind_of_answer_is_no_noise(kind: str, finding: Maker) -> None:
    """A control that fails now and then does not make every other failure of the candidate noise."""
    model = learn_noise([([finding(kind=kind, path="status", primary="200", candidate="500")], PAIRS)], ["a"])

    assert model.excuse(finding(kind=kind, path="status", primary="200", candidate="404", control="500", witness=Witness.ALL_DIFFER)) is None


# --- numbers ---


@pytest.mark.parametrize("mutant", ["0.98", "-0.51", "0.5125", "51", "0.0", "1.5e300"])
def test_a_dispersion_hides_no_number_outside_it(mutant: str, finding: Maker) -> None:
    """Scores that lie 0.02 apart excuse 0.52 for 0.5; not twice the score, another sign, more decimals, a percentage, nothing."""
    seen = [of(finding, "0.50", "0.52"), of(finding, "0.81", "0.80"), of(finding, "0.33", "0.34"), of(finding, "0.44", "0.45")]
    model = learned([seen], 9)

    assert model.excuse(of(finding, "0.5", "0.52")) is not None
    assert model.excuse(of(finding, "0.5", mutant)) is None


def test_a_dispersion_is_a_share_of_the_size_too(finding: Maker) -> None:
    """Totals that lie fifty apart in sixty thousand excuse no fifty in a hundred."""
    model = learned([[of(finding, "68343", "68293", path="$.total")] * 4], 9)

    assert model.excuse(of(finding, "68343", "68300", path="$.total")) is not None
    assert model.excuse(of(finding, "100", "150", path="$.total")) is None


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=12), st.integers(0, 4000))
def test_no_number_is_excused_beyond_the_stated_factor(observed: list[tuple[int, int]], after: int) -> None:
    """Whatever was seen, what is excused lies within 1.25 + 3/n times the widest of it."""
    base = Finding("http", Subject("exchange", "1"), "read", ROUTE, DifferenceClass.SEMANTIC, "value", "$.n", "$.n", None, None)
    seen = [replace(base, primary=str(one), candidate=str(two)) for one, two in observed]
    asked = replace(base, primary="500", candidate=str(after))
    excuse = learn_noise([(seen, PAIRS)], ["a"]).excuse(asked)

    widest = max(abs(one - two) for one, two in observed)
    assert excuse is None or abs(after - 500) <= (1.25 + 3 / len(observed)) * widest * 1.001
    assert excuse is None or f"{len(observed)}" in excuse


# --- texts ---


@pytest.mark.parametrize(
    "mutant", ['"Known so Far: Helios runs."', '"Helios ru"', '""', '"Atlas never."', '"Helios runs. Nothing else."', '"helios runs."']
)
def test_parts_hide_no_other_word(mutant: str, finding: Maker) -> None:
    """A text put together from sentences that the primary wrote is noise; one with a changed letter, cut, emptied or added to is not."""
    place = {"path": "$.text"}
    model = learned([[of(finding, '"Known so far: Helios runs. Atlas waits."', '"Atlas waits. Known so far: Helios runs."', **place)]])

    assert model.excuse(of(finding, '"Atlas waits."', '"Helios runs. Atlas waits."', **place)) is not None
    assert model.excuse(of(finding, '"Atlas waits."', mutant, **place)) is None


@pytest.mark.parametrize(("mutant", "hidden"), [("9", True), ("7", True), ("40", False), ("-8", False), ("8.5", True)])
def test_a_count_in_a_text_stays_within_its_span(mutant: str, hidden: bool, finding: Maker) -> None:  # noqa: FBT001  # a table
    """`8 memories still need linking` varies by its number, within twice the span that was seen."""
    place = {"path": "$.message"}
    model = learned([[of(finding, '"7 memories still need linking"', '"9 memories still need linking"', **place)]])

    assert (
        model.excuse(of(finding, '"9 memories still need linking"', f'"{mutant} memories still need linking"', **place)) is not None
    ) is hidden


@pytest.mark.parametrize("mutant", ['""', '"not-an-id"', "null", '"2026-11-23T09:00:00.000Z"', '"8f68cd44a43d4466a712da361ac5f78c"'])
def test_an_id_that_varies_stays_an_id(mutant: str, finding: Maker) -> None:
    """A uuid that is another each time is noise as a uuid: empty, null, other text, a time or a digest is not."""
    place = {"path": "$.ref"}
    one, two, three = (f'"{digit * 8}-a43d-4466-a712-da361ac5f78c"' for digit in "123")
    model = learned([[of(finding, one, two, **place)] * 3] * 3)

    assert model.excuse(of(finding, one, three, **place)) is not None
    assert model.excuse(of(finding, one, mutant, **place)) is None


# --- lists ---


@pytest.mark.parametrize("mutant", ['{"name":"Wei","status":""}', '{"name":"Oslo","status":"active"}', '{"name":"Wei"}', '"Wei"', "null"])
def test_only_what_came_and_went_may(mutant: str, finding: Maker) -> None:
    """An item that the primary has and lacks excuses that item, either way: none with an emptied, lost or other member."""
    place = {"path": "$.items[*]", "kind": "missing-item"}
    model = learned([[of(finding, '{"name":"Wei","status":"active"}', None, **place)]])
    back = {"path": "$.items[*]", "kind": "extra-item"}

    assert model.excuse(of(finding, '{"name":"Wei","status":"active"}', None, **place)) is not None
    assert model.excuse(of(finding, None, '{"name":"Wei","status":"active"}', **back)) is not None
    assert model.excuse(of(finding, None, mutant, **back)) is None


def test_a_kind_of_items_needs_eight(finding: Maker) -> None:
    """Of notes that a client makes one after another any may come and go once eight did; a thing of another kind may not."""
    place = {"path": "$.items[*]", "kind": "missing-item"}
    notes = [of(finding, f'{{"text":"note {number} of burst {number} on {word}"}}', None, **place) for number, word in enumerate("abcdefgh")]
    new = of(finding, '{"text":"note 77 of burst 9 on something else"}', None, **place)

    assert learned([notes]).excuse(new) is not None
    assert learned([notes[:7]]).excuse(new) is None
    assert learned([notes]).excuse(of(finding, '{"text":"the only decision there was"}', None, **place)) is None


# --- structure ---


@pytest.mark.parametrize(
    ("kind", "primary", "candidate", "mutant"),
    [
        ("missing-key", "5", None, ('"5"', None)),
        ("type", "null", '"2026-11-23T07:36:28.560Z"', ("null", "5")),
        ("identity", '"a1"', '"b2"', ('"a1"', '"c3"')),
        ("stream-events", '"one"', None, ('"two"', '"three"')),
    ],
)
def test_structure_needs_two_pairs_of_runs(
    kind: str, primary: str, candidate: str | None, mutant: tuple[str | None, str | None], finding: Maker
) -> None:
    """What is structural is excused only as it was seen, in two pairs of runs, and the because says that it is structural."""
    place = {"path": "$.x", "kind": kind, "difference": DifferenceClass.STRUCTURAL}
    seen = [of(finding, primary, candidate, **place)]

    assert learned([seen]).excuse(seen[0]) is None
    assert learned([seen * 9]).excuse(seen[0]) is None
    if kind != "stream-events":
        assert "though it is structural" in (learned([seen, seen]).excuse(seen[0]) or "")
    assert learned([seen, seen]).excuse(of(finding, *mutant, **place)) is None


def test_a_flag_needs_two_pairs_of_runs(finding: Maker) -> None:
    """A flag has only two values, so that once it varied any is one of those seen: one pair of runs is not enough."""
    seen = [of(finding, "true", "false", path="$.on")]

    assert learned([seen]).excuse(seen[0]) is None
    assert learned([seen, seen]).excuse(seen[0]) is not None


# --- places alike, drift, what is measured by nature ---


def survey(**instances: int) -> Survey:
    """Make a survey of `$.<name>.mentions` on the route: so many instances each."""
    made = Survey()
    made.instances.update({(ROUTE, f"$.{name}.entity.mentions"): count for name, count in instances.items()})
    return made


def test_places_alike_help_where_little_is_known(finding: Maker) -> None:
    """A place seen three times borrows from those like it, and says so; one that was equal forty times does not, nor one never there."""
    seen = [of(finding, "16", "14", path="$.a.entity.mentions"), of(finding, "9", "8", path="$.b.entity.mentions")] * 3
    model = learned([seen], 1, [survey(a=5, b=5, c=3, d=40)])

    words = model.excuse(of(finding, "16", "15", path="$.c.entity.mentions"))
    assert words is not None
    assert "at places like this one (here itself 0 times in 3)" in words
    assert model.excuse(of(finding, "16", "15", path="$.d.entity.mentions")) is None
    assert model.excuse(of(finding, "16", "15", path="$.e.entity.mentions")) is None
    assert model.excuse(of(finding, "16", "60", path="$.c.entity.mentions")) is None


def test_a_drift_within_the_noise_is_found(finding: Maker) -> None:
    """Scores differ in two of forty exchanges for the primary; a candidate that differs in all of them, if by as little, is open."""

    def some(count: int) -> list[Finding]:
        return [of(finding, "0.50", "0.52", subject=Subject("exchange", str(number))) for number in range(1, count + 1)]

    model = learned([some(2), some(1), some(2)], 40)
    few, many = (judge(some(count), RuleSet(), model, TODAY).divergences for count in (5, 40))

    assert {one.verdict for one in few} == {Verdict.NOISE}
    assert {one.verdict for one in many} == {Verdict.OPEN}
    assert "it differs in 40 exchanges here, in any pair of the primary's runs in at most 2" in many[0].because


def test_what_is_let_pass_can_be_told_from_noise() -> None:
    """A change of a duration is inside what was measured, or not; of a time likewise."""
    made = Survey(amounts={(ROUTE, "$.ms"): (5.0, 20.0, 3.0)}, times_apart_s=[0.1] * 10)
    model = learned([[]], 1, [made])

    assert model.within(ROUTE, "$.ms", "6", "18") == "amount within the measured dispersion"
    assert model.within(ROUTE, "$.ms", "6", "600") == ""
    assert model.within(ROUTE, "$.ms", "6", "-6") == ""
    assert model.within(ROUTE, "$.at", '"2026-11-23T07:36:28.560Z"', '"2026-11-23T07:36:28.570Z"') == "time within the measured dispersion"
    assert model.within(ROUTE, "$.at", '"2026-11-23T07:36:28.560Z"', '"2026-11-23T07:36:38.560Z"') == ""
    assert model.within(ROUTE, "$.text", '"one"', '"two"') == ""


def test_a_stale_time_is_noise_only_where_the_primary_has_them(finding: Maker) -> None:
    """A moment elsewhere in the run is excused where the primary's own was elsewhere in its run; one outside the run is not."""
    times = {"path": "$.newest", "transition": "timestamp elsewhere in the run"}
    one, two, three = (f'"2026-11-23T07:3{minute}:40.584Z"' for minute in (1, 4, 6))
    model = learned([[of(finding, one, two, **times)]])

    assert model.excuse(of(finding, one, three, **times)) is not None
    assert model.excuse(of(finding, one, three, **{**times, "transition": "timestamp elsewhere in time"})) is None
    assert model.excuse(of(finding, one, '"2026"', **{**times, "transition": "timestamp → text"})) is None


def test_the_order_of_learning_says_nothing(finding: Maker) -> None:
    """The same observations in another order make the same file."""
    seen = [of(finding, f"0.{number}", "0.5", path=f"$.p{number % 3}") for number in range(1, 9)]

    assert noise_text(learn_noise([(seen, PAIRS)], ["a"])) == noise_text(learn_noise([(seen[::-1], PAIRS)], ["a"]))


@pytest.mark.parametrize(("more", "verdict"), [("Wei", Verdict.OPEN), ("Oslo", Verdict.NOISE)])
def test_an_item_that_changed_did_not_come_and_go(more: str, verdict: Verdict, finding: Maker) -> None:
    """Where Wei and Oslo come and go, a list without Wei and with Oslo is noise; without Wei and with a Wei of another id it is not."""
    place = {"path": "$.items[*]"}
    items = {name: f'{{"id":"{digit * 8}-a43d-4466-a712-da361ac5f78c","name":"{name}"}}' for name, digit in (("Wei", "1"), ("Oslo", "2"))}
    gone = of(finding, items["Wei"], None, **place, kind="missing-item")
    model = learned([[gone, of(finding, None, items["Oslo"], **place, kind="extra-item")]])
    new = of(finding, None, items[more].replace("1" * 8, "3" * 8), **place, kind="extra-item")

    assert {one.verdict for one in judge([gone, new], RuleSet(), model, TODAY).divergences} == {verdict}

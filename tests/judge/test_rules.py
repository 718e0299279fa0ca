"""Rules: read strictly, matched wholly, the most specific decides."""

import contextlib
import datetime as dt
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.judge import paths
from replay.judge.rules import RuleSet, load_rules
from replay.model import Finding, RuleError

TODAY = dt.date(2026, 11, 23)
type Maker = Callable[..., Finding]


def rule(**changes: object) -> str:
    """Write one rule as TOML."""
    values: dict[str, object] = {
        "id": '"r1"',
        "verdict": '"documented"',
        "reason": '"because"',
        "owner": '"team"',
        "until": "2027-01-31",
        **changes,
    }
    return "[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items() if value is not None)


def load(*rules: str) -> RuleSet:
    """Load rules."""
    return load_rules("format = 1\n" + "\n".join(rules), "rules.toml")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("$.results[*].id", "$.results[*].id", True),
        ("$.results[*].id", "$.results[*].agent_id", False),
        ("$.results[*].id", "$.meta.results[*].id", False),
        ("$.**.id", "$.results[*].id", True),
        ("$.**", "$.a.b.c", True),
        ("$.*", "$.a", True),
        ("$.*", "$.a.b", False),
        ("$.**.score", "$.score", True),
        ('$["a b"]', '$["a b"]', True),
        ("*", "status", True),
        ("header:*", "header:retry-after", True),
        ("header:retry-after", "header:retry", False),
        ("$.x", "$.x.<json>.y", False),
        ("$.x.<json>.*", "$.x.<json>.y", True),
    ],
)
def test_a_pattern_covers_the_whole_path(pattern: str, path: str, expected: bool) -> None:  # noqa: FBT001
    """No suffix, no prefix: a pattern matches all of a path or nothing."""
    assert paths.matches(pattern, path) is expected


names = st.text("abc", min_size=1, max_size=3)


@given(st.lists(names, min_size=1, max_size=5))
def test_a_path_matches_itself(parts: list[str]) -> None:
    """Every path is a pattern for itself and for nothing longer."""
    path = "$" + "".join(f".{part}" for part in parts)

    assert paths.matches(path, path)
    assert not paths.matches(path, f"{path}.more")


@given(st.text(), st.text())
def test_matching_is_total(pattern: str, path: str) -> None:
    """Any two texts either match or do not."""
    assert paths.matches(pattern, path) in {True, False}


def test_the_most_specific_rule_decides(finding: Maker) -> None:
    """A rule for one path beats one for all."""
    rules = load(rule(), rule(id='"r2"', route='"POST /api/memory/recall"', path='"$.results[*].score"', verdict='"open"'))

    chosen = [rules.deciding(finding(path=path), TODAY) for path in ("$.results[*].score", "$.other")]

    assert [rule.id for rule in chosen if rule is not None] == ["r2", "r1"]


def test_equally_specific_rules_must_agree(finding: Maker) -> None:
    """Two rules that say equally much, can match one finding and disagree are an error of the file, with both lines."""
    rules = load(rule(path='"$.**.score"'), rule(id='"r2"', path='"$.results[*].*"', verdict='"open"', kinds='["value"]'))

    assert rules.deciding(finding(), TODAY) is not None
    with pytest.raises(RuleError, match=r"line 2\).*line 10\)"):
        load(rule(path='"$.**.score"'), rule(id='"r2"', path='"$.**.score"', verdict='"open"'))


@pytest.mark.parametrize(
    ("one", "two", "clash"),
    [
        ({"path": '"$.**.score"'}, {"path": '"$.**.id"'}, False),
        ({"path": '"$.*.score"'}, {"path": '"$.results.*"'}, True),
        ({"path": '"$.*_at"'}, {"path": '"$.cre*"'}, True),
        ({"path": '"$.*_at"'}, {"path": '"$.cre*d"'}, False),
        ({"path": '"$.x", route = "GET /api/*/a"'}, {"path": '"$.x", route = "GET /api/b/*"'}, True),
        ({"path": '"$.x", route = "GET /api/*"'}, {"path": '"$.x", route = "PUT /api/*"'}, False),
        ({"kinds": '["value"]'}, {"kinds": '["type", "value"]'}, True),
        ({"kinds": '["value"]'}, {"kinds": '["type"]'}, False),
        ({"class": '"semantic"'}, {"class": '"timing"'}, False),
    ],
)
def test_whether_two_rules_can_meet_is_decided_exactly(one: dict[str, str], two: dict[str, str], clash: bool) -> None:  # noqa: FBT001
    """Patterns that have no path, route, kind or class in common may disagree; the others may not."""
    text = rule(**_split(one)), rule(id='"r2"', verdict='"open"', **_split(two))

    with pytest.raises(RuleError, match="disagree") if clash else contextlib.nullcontext():
        load(*text)


def _split(changes: dict[str, str]) -> dict[str, str]:
    """Take a route that stands behind a path apart."""
    path, _, route = changes.get("path", "").partition(", route = ")
    return {**changes, "path": path, "route": route} if route else changes


segment = st.sampled_from([".a", ".b", ".ab", ".*", ".**", ".a*", "[*]", "[3]"])
concrete = st.sampled_from([".a", ".b", ".ab", "[*]", "[3]", ".abb"])


@given(st.lists(segment, max_size=4), st.lists(segment, max_size=4), st.lists(concrete, max_size=5))
def test_patterns_that_match_one_path_overlap(one: list[str], two: list[str], path: list[str]) -> None:
    """Where two patterns cover the same path, they are known to overlap."""
    left, right, given_path = ("$" + "".join(parts) for parts in (one, two, path))
    both = paths.matches(left, given_path) and paths.matches(right, given_path)

    assert paths.overlap(left, right) == paths.overlap(right, left)
    assert not both or paths.overlap(left, right)


@given(st.lists(segment, max_size=3), st.lists(segment, max_size=3))
def test_patterns_that_overlap_have_a_path_in_common(one: list[str], two: list[str]) -> None:
    """Where two patterns are said to overlap, there is a path that both cover."""
    left, right = ("$" + "".join(parts) for parts in (one, two))
    names = (".a", ".b", ".ab", "[3]", "[*]")
    found = (
        any(
            paths.matches(left, path) and paths.matches(right, path)
            for size in range(7)
            for path in ("$" + "".join(parts) for parts in itertools.product(names, repeat=size))
        )
        if paths.overlap(left, right)
        else True
    )

    assert found


@pytest.mark.parametrize(
    ("pattern", "route", "expected"),
    [
        ("POST /api/memory/*", "POST /api/memory/recall", True),
        ("POST /api/memory/*", "POST /api/memory/:id/recover", False),
        ("POST /api/memory/**", "POST /api/memory/:id/recover", True),
        ("* /api/memory/recall", "POST /api/memory/recall", True),
        ("GET /api/mem*", "GET /api/memories", True),
        ("GET /api/memory", "GET /api/memory/x", False),
        ("*", "ALL /mcp", True),
    ],
)
def test_a_routes_globs_are_by_segment(pattern: str, route: str, expected: bool) -> None:  # noqa: FBT001
    """`*` is one segment, `**` any number, and a method counts."""
    assert paths.matches_route(pattern, route) is expected


def test_how_routes_are_compared_stands_in_the_same_file() -> None:
    """[[compare]] tables say which routes are compared byte for byte; a wrong mode, key or second table is an error with its line."""
    text = '[[compare]]\nroute = "GET /api/export/*"\nmode = "bytes"\n'

    assert load(text).modes == (("GET /api/export/*", "bytes"),)
    for wrong in (text.replace("bytes", "loosely"), text.replace("mode", "made"), text + text, text.replace("route", "path")):
        with pytest.raises(RuleError, match=r"rules\.toml"):
            load(wrong)


def test_an_expired_rule_does_not_apply(finding: Maker) -> None:
    """After its date a rule is listed and silent."""
    rules = load(rule(until="2026-11-22"))

    assert rules.deciding(finding(), TODAY) is None
    assert rules.expired(TODAY) == ("r1",)


@pytest.mark.parametrize(
    ("changes", "applies"),
    [
        ({"route": '"GET /api/memories"'}, False),
        ({"route": '"POST /api/memory/*"'}, True),
        ({"kinds": '["missing-key"]'}, False),
        ({"class": '"structural"'}, False),
        ({"class": '"semantic"'}, True),
        ({"check": '"state"'}, False),
        ({"tolerance": "0.2"}, True),
        ({"tolerance": "0.05"}, False),
    ],
)
def test_every_condition_counts(finding: Maker, changes: dict[str, str], applies: bool) -> None:  # noqa: FBT001
    """A rule applies where all its conditions hold."""
    assert (load(rule(**changes)).deciding(finding(), TODAY) is not None) is applies


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]]\nid = \nx", r"TOML.*line 2"),
        (rule(reasn='"typo"'), "line 7: unknown key 'reasn'"),
        ("rules = 1", "line 1: unknown key 'rules'"),
        ("format = 2", "format 2"),
        (rule(reason=None), "no reason"),
        (rule(owner=None), "no owner"),
        (rule(until=None), "no until"),
        (rule(until='"2027-01-31"'), "line 6: until must be a date"),
        (rule(verdict='"ignore"'), "'ignore' is none of documented, open"),
        (rule(**{"class": '"bad"'}), "class 'bad'"),
        (rule(path='"$.a..b"'), "no path pattern"),
        (rule(tolerance="-1"), "not negative"),
        (rule(tolerance="true"), "not negative"),
        (rule(kinds='"value"'), "list of texts"),
        (rule(reason='" "'), "reason must be a text"),
        ("rule = 3", "array of tables"),
    ],
)
def test_bad_rules_are_refused_with_their_line(text: str, message: str) -> None:
    """A mistake in a rules file is an error that says where."""
    with pytest.raises(RuleError, match=message):
        load_rules(text, "rules.toml")


def test_an_id_is_used_once() -> None:
    """Two rules of one id are an error that names both lines."""
    with pytest.raises(RuleError, match=r"taken by the rule in line 2"):
        load(rule(), rule())


@given(st.text(max_size=60))
def test_any_text_is_rules_or_a_rule_error(text: str) -> None:
    """Whatever stands in the file, it is read or refused in our own words."""
    with contextlib.suppress(RuleError):
        load_rules(text, "rules.toml")


def test_the_example_file_silences_nothing_and_holds_true_examples() -> None:
    """The rules that ship load and accept nothing; with the marks taken off, each example is a rule that loads."""
    text = (Path(__file__).parents[2] / "recordings" / "rules.example.toml").read_text("utf-8")
    head, mark, examples = text.partition("format = 1\n")
    bare = "\n".join(line.removeprefix("# ") for line in examples.splitlines() if line.startswith("# ") and (" = " in line or "[[" in line))

    assert load_rules(text, "rules.example.toml") == RuleSet()
    assert head
    assert len(load_rules(mark + bare, "rules.example.toml").rules) == 3
    assert load_rules(mark + bare, "rules.example.toml").modes == (("GET /api/export/*", "bytes"),)

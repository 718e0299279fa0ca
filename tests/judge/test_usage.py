"""Rules in use: which decided what, and what is odd about them."""

import datetime as dt
from collections.abc import Callable

from replay.judge import NoiseModel, judge, load_rules, with_swallowed
from replay.model import Finding, RuleUse

TODAY = dt.date(2026, 11, 23)
type Maker = Callable[..., Finding]
HEAD = 'verdict = "documented"\nreason = "known"\nowner = "us"\n'


def uses(findings: list[Finding], *rules: str) -> dict[str, RuleUse]:
    """Judge findings by rules, each given as what stands beside its id, and give what the rules did."""
    text = "\n".join(f'[[rule]]\nid = "r{number}"\n{HEAD}{body}\n' for number, body in enumerate(rules, 1))
    return {use.id: use for use in judge(findings, load_rules(text, "r.toml"), NoiseModel(), TODAY).rule_uses}


def test_a_rule_that_never_speaks_is_shadowed(finding: Maker) -> None:
    """One that covers findings and always has a more specific one before it is shadowed, and not unused."""
    found = uses(
        [finding()],
        'until = 2027-01-01\npath = "$.results[*].*"',
        'until = 2027-01-01\npath = "$.results[*].score"',
        'until = 2027-01-01\npath = "$.other"',
        "until = 2020-01-01",
    )

    assert [(use.matched, use.decided) for use in found.values()] == [(1, 0), (1, 1), (0, 0), (0, 0)]
    assert [use.notes for use in found.values()] == [("shadowed by r2",), (), ("unused",), ("expired",)]


def test_a_rule_that_says_too_much_is_over_broad(finding: Maker) -> None:
    """Globs that accept many places, routes or kinds at once are told; what a rule names itself is no reason."""
    many = [finding(path=f"$.a{n}", route=f"GET /api/{n}", kind=kind) for n in range(30) for kind in ("value", "type", "order")]
    broad, narrow = uses(many, "until = 2027-01-01"), uses(many, 'until = 2027-01-01\npath = "$.a3"\nroute = "GET /api/3"\nkinds = ["value"]')

    assert broad["r1"].notes == ("over-broad: 90 places, 30 routes, 3 kinds (order, type, value)",)
    assert narrow["r1"].notes == ()
    assert (narrow["r1"].places, narrow["r1"].routes, narrow["r1"].kinds) == (1, 1, ("value",))


def test_a_rule_that_swallows_planted_faults_is_told(finding: Maker) -> None:
    """What a rule let through of the canaries is counted with it."""
    used = with_swallowed(uses([finding()], "until = 2027-01-01").values(), [("r1", "#3 GET /x: status at status: rule r1: known"), ("", "y")])

    assert used[0].swallowed == 1
    assert used[0].notes == ("lets 1 planted fault through, such as #3 GET /x: status at status",)

"""Verdicts, noise and clusters."""

import datetime as dt
from collections.abc import Callable, Iterable

import pytest

from replay.judge import NoiseModel, RuleSet, cluster, judge, learn_noise, load_noise, load_rules, noise_text
from replay.model import Finding, Pair, RuleError, Subject, Verdict, Witness

TODAY = dt.date(2026, 11, 23)
type Maker = Callable[..., Finding]
ROUTE = "POST /api/memory/recall"


def verdicts(findings: Iterable[Finding], rules: RuleSet | None = None, noise: NoiseModel | None = None) -> list[Verdict]:
    """Judge and give the verdicts alone."""
    return [item.verdict for item in judge(findings, rules or RuleSet(), noise or NoiseModel(), TODAY).divergences]


def pairs(count: int) -> list[Pair]:
    """Make compared pairs of one route."""
    return [Pair(number, "read", ROUTE, "POST", "/api/memory/recall", None) for number in range(1, count + 1)]


def noise(finding: Maker, differing: int, of: int, **changes: str) -> NoiseModel:
    """Learn noise from *differing* of *of* pairs."""
    findings = [finding(subject=Subject("exchange", str(number)), **changes) for number in range(1, differing + 1)]
    return learn_noise([(findings, pairs(of))], ["digest"])


@pytest.mark.parametrize("witness", [Witness.CANDIDATE, Witness.ALL_DIFFER, Witness.UNCONFIRMED])
def test_without_a_rule_everything_is_open(finding: Maker, witness: Witness) -> None:
    """No rule and no noise fact: open."""
    assert verdicts([finding(witness=witness)]) == [Verdict.OPEN]


def test_infidelity_is_the_replays(finding: Maker) -> None:
    """Where control and candidate agree no rule is asked."""
    assert verdicts([finding(witness=Witness.INFIDELITY)]) == [Verdict.INFIDELITY]


def test_what_follows_is_derived(finding: Maker) -> None:
    """A finding that follows from another says from which."""
    assert verdicts([finding(derived_from="the status")]) == [Verdict.DERIVED]


def test_a_rule_documents(finding: Maker) -> None:
    """A rule decides, says why, and counts as used."""
    text = '[[rule]]\nid = "r"\nverdict = "documented"\nreason = "known"\nowner = "us"\nuntil = 2027-01-01\n'
    judgement = judge([finding()], load_rules(text, "r.toml"), NoiseModel(), TODAY)

    assert judgement.divergences[0].verdict is Verdict.DOCUMENTED
    assert "known (us, until 2027-01-01)" in judgement.divergences[0].because
    assert judgement.rules_unused == ()


def test_an_unused_rule_is_named(finding: Maker) -> None:
    """A rule that no finding needs is reported."""
    text = '[[rule]]\nid = "r"\npath = "$.never"\nverdict = "documented"\nreason = "x"\nowner = "us"\nuntil = 2027-01-01\n'

    assert judge([finding()], load_rules(text, "r.toml"), NoiseModel(), TODAY).rules_unused == ("r",)


def test_noise_excuses_what_was_measured(finding: Maker) -> None:
    """A single value that differed in most of at least four control pairs is noise, near what was measured."""
    single = {"path": "$.meta.score"}

    assert verdicts([finding(**single)], noise=noise(finding, 3, 4, **single)) == [Verdict.NOISE]
    assert verdicts([finding(**single)], noise=noise(finding, 3, 3, **single)) == [Verdict.OPEN]


@pytest.mark.parametrize("kind", ["missing-item", "extra-item", "missing-key", "type", "stream-events", "order"])
def test_noise_never_excuses_what_the_control_kept(finding: Maker, kind: str) -> None:
    """Where the control agrees with the recording, a lost item, key, type or event is the candidate's, however noisy the place."""
    assert verdicts([finding(kind=kind, path="$.memories")], noise=noise(finding, 9, 9, kind=kind, path="$.memories")) == [Verdict.OPEN]


def test_noise_is_measured_from_the_nearer_side(finding: Maker) -> None:
    """A number beside the control's is noise though the recording's is far; one far from both is not."""
    model = noise(finding, 9, 9)
    far = {"witness": Witness.ALL_DIFFER, "primary": "0.1", "control": "0.9"}

    assert verdicts([finding(**far, candidate="1.0")], noise=model) == [Verdict.NOISE]
    assert verdicts([finding(**far, candidate="0.5")], noise=model) == [Verdict.OPEN]


def test_rare_noise_needs_this_exchanges_control(finding: Maker) -> None:
    """A place that seldom differs excuses only where this exchange's own control differs too."""
    rare = noise(finding, 1, 50)

    assert verdicts([finding()], noise=rare) == [Verdict.OPEN]
    assert verdicts([finding(witness=Witness.ALL_DIFFER)], noise=rare) == [Verdict.NOISE]


@pytest.mark.parametrize(
    "changes",
    [
        {"candidate": '"0.6"'},
        {"candidate": "null"},
        {"candidate": "99.0"},
        {"kind": "type"},
        {"path": "$.results[*].id"},
        {"route": "GET /api/memories"},
    ],
)
def test_noise_is_never_anything(finding: Maker, changes: dict[str, str]) -> None:
    """Another type, a far-off number, another kind, place or route stays open."""
    assert verdicts([finding(witness=Witness.ALL_DIFFER, **changes)], noise=noise(finding, 4, 4)) == [Verdict.OPEN]


def test_noise_files_come_back(finding: Maker) -> None:
    """What was learned is read back as it was."""
    model = noise(finding, 2, 5)

    assert load_noise(noise_text(model), "noise.json") == model


@pytest.mark.parametrize("text", ["", "{}", '{"format": 9, "facts": [], "archives": []}', '{"format": 3, "facts": [{"x": 1}], "archives": []}'])
def test_foreign_noise_files_are_refused(text: str) -> None:
    """A file that is no noise file is an error, never no noise."""
    with pytest.raises(RuleError):
        load_noise(text, "noise.json")


def test_one_cause_is_said_once(finding: Maker) -> None:
    """Findings of one place are one cluster with a count, its denominator and the smallest representative."""
    findings = [finding(subject=Subject("exchange", str(n)), primary="0.5" + "0" * n) for n in (3, 1, 2)]
    made = cluster(judge(findings, RuleSet(), NoiseModel(), TODAY).divergences, pairs(7))

    assert [(item.count, item.compared, item.subjects[0].id) for item in made] == [(3, 7, "1")]


def test_cluster_ids_last(finding: Maker) -> None:
    """The id depends on the place and kind of change, not on the values or the exchange."""
    one = cluster(judge([finding()], RuleSet(), NoiseModel(), TODAY).divergences, ())
    two = cluster(judge([finding(primary="1.5", subject=Subject("exchange", "9"))], RuleSet(), NoiseModel(), TODAY).divergences, ())

    assert one[0].id == two[0].id


def test_verdicts_of_one_place_are_told_apart(finding: Maker) -> None:
    """Open and noise findings of one place are two clusters, and the open one keeps the plain id."""
    model = noise(finding, 1, 50)
    findings = [finding(), finding(witness=Witness.ALL_DIFFER, subject=Subject("exchange", "2"))]
    made = cluster(judge(findings, RuleSet(), model, TODAY).divergences, pairs(2))

    assert [(item.verdict, item.id == made[0].id) for item in made] == [(Verdict.OPEN, True), (Verdict.NOISE, False)]
    assert made[1].id == f"{made[0].id}-noise"


def test_a_way_of_writing_is_one_cause_everywhere(finding: Maker) -> None:
    """The same quirk on two routes and paths is one cluster that names both; a null that means something is one for each place."""
    places = [("GET /a", "$.at"), ("GET /b", "$.when")]
    for quirk, clusters in (("q-time-format", 1), ("q-null", 2)):
        findings = [
            finding(route=route, path=path, quirk=quirk, kind="format", transition="x → y", subject=Subject("exchange", str(number)))
            for number, (route, path) in enumerate(places, 1)
        ]
        made = cluster(judge(findings, RuleSet(), NoiseModel(), TODAY).divergences, ())

        assert len(made) == clusters
        assert {route for item in made for route in item.routes} == {"GET /a", "GET /b"}


def test_a_derived_cause_names_the_one_it_follows_from(finding: Maker) -> None:
    """What follows from a status, or from an earlier exchange, leads to that cause's id; what follows from no divergence leads nowhere."""
    status = finding(kind="status", path="status", at="status", transition="200 → 404", subject=Subject("exchange", "2"))
    lost = finding(kind="missing-key", path="$.id", at="$.id", transition="string → absent", subject=Subject("exchange", "1"))
    body = finding(kind="body", path="body", at="body", derived_from="the status (200 → 404)", subject=Subject("exchange", "2"))
    later = finding(
        kind="status", path="status", transition="200 → 500", derived_from="#1, which did not give x again", subject=Subject("exchange", "3")
    )
    asked = finding(derived_from="the requests, which differ", subject=Subject("exchange", "4"))
    made = cluster(judge([status, lost, body, later, asked], RuleSet(), NoiseModel(), TODAY).divergences, pairs(4))
    ids = {(item.kind, item.subjects[0].id): item.id for item in made}
    led = {(item.kind, item.subjects[0].id): item.derived_from for item in made}

    assert led == {
        ("status", "2"): None,
        ("missing-key", "1"): None,
        ("body", "2"): ids["status", "2"],
        ("status", "3"): ids["missing-key", "1"],
        ("value", "4"): None,
    }


def test_noise_excuses_only_texts_that_were_seen(finding: Maker) -> None:
    """A text that the primary never had at a noisy place is open; one that it had is noise; a time is never the same."""
    texts = {"primary": '"one"', "candidate": '"two"', "path": "$.status"}
    model = noise(finding, 2, 5, **texts)
    here = {**texts, "witness": Witness.ALL_DIFFER, "primary": '"one"'}

    assert verdicts([finding(**here)], noise=model) == [Verdict.NOISE]
    assert verdicts([finding(**{**here, "candidate": '"three"'})], noise=model) == [Verdict.OPEN]

    times = {"primary": '"2026-11-24T09:00:00.000Z"', "candidate": '"2026-11-25T09:00:00.000Z"', "path": "$.next_run_at"}
    late = {**times, "witness": Witness.ALL_DIFFER, "candidate": '"2026-11-23T16:00:00.000Z"'}
    assert verdicts([finding(**late)], noise=noise(finding, 2, 5, **times)) == [Verdict.OPEN]


def test_an_exchanges_own_spread_is_the_measure(finding: Maker) -> None:
    """Where recording and control lie close, a candidate far beyond is open, however wide the place varies elsewhere."""
    model = noise(finding, 2, 9, primary="5.5", candidate="9.5", path="$.count")
    here = {"witness": Witness.ALL_DIFFER, "path": "$.count", "primary": "5.0", "control": "5.1"}

    assert verdicts([finding(**here, candidate="5.5")], noise=model) == [Verdict.NOISE]
    assert verdicts([finding(**here, candidate="7.0")], noise=model) == [Verdict.OPEN]

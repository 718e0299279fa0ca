"""One cause or exchange, told whole."""

import unicodedata
from dataclasses import replace

import pytest

from replay.model import Answer, Relation, UsageError
from replay.report import explain, visible
from replay.runs import Run


def test_a_cause_is_told_whole(sample: Run) -> None:
    """What differs with the part marked, why, which ids, what it follows, where it shows, how to get it again, both bodies."""
    text = explain(sample, "c-7f3a11")
    assert text.startswith("c-7f3a11  structural · open · POST /api/memory/recall and 1 more route · seen 41 of 198\n")
    assert '\nprimary    $.results[0].created_at   "2026-11-14T09:12:03.511Z"\n' in text
    marks = text.splitlines()[4]
    assert marks.strip("^ ") == ""
    assert text.splitlines()[3][marks.index("^") : marks.rindex("^") + 1] == "23T02:00:07.511204117+00:00"
    assert "\nbecause    control agrees with the recording in 41 of 41" in text
    assert "↔ 9c2e5b10-44d7-4f0a-b1a6-0e8d3c7f2a91 (uuid, born in #12 POST /api/memory/remember $.id)" in text
    assert "\nagain      signet-parity replay 2026-11-14T090000Z.parity --only " in text
    assert '\n-      "created_at": "2026-11-14T09:12:03.511Z",\n' in text
    assert '\n       "id": "7d1f0c52-9a3e-4b61-8c0d-2f5a1e9b7c33",\n' in text


def test_a_cause_of_state_needs_the_whole_recording(sample: Run) -> None:
    """What no single exchange stands for is made again by the whole recording."""
    text = explain(sample, "c-5d00f1")
    assert "\nagain      signet-parity replay 2026-11-14T090000Z.parity --daemon rust --observed again.parity" in text
    assert "\nseen in    row memories/42, row memories/43\n" in text


def test_a_cause_names_what_follows_from_it(sample: Run) -> None:
    """A cause lists what it explains, and what follows says from what."""
    assert "\nexplains   c-0aa9c3 a memory that was never written is not listed (seen 6 of 28)\n" in explain(sample, "c-44e0aa")
    assert "\nderived    from c-44e0aa\n" in explain(sample, "c-0aa9c3")


def test_an_exchange_is_told_with_all_its_findings(sample: Run) -> None:
    """An exchange tells its fate, statuses, times, and each finding with its verdict and cause."""
    number = next(pair.exchange for pair in sample.pairs if pair.findings == 2)
    text = explain(sample, f"#{number}")
    assert text == explain(sample, str(number))
    assert text.startswith(f"#{number}  read · POST /api/memory/recall · structural, open, 2 findings\n")
    assert "\nc-7f3a11  structural · open · format\n" in text
    assert "\nc-19bd02  semantic · open · value\n" in text


def test_a_plain_number_is_an_exchange(sample: Run) -> None:
    """A number that the run has as an exchange is that one, although a cause's id begins so; with c- it is the cause."""
    run = replace(sample, clusters=(replace(sample.clusters[0], id="c-31ab00"), *sample.clusters[1:]))
    assert explain(run, "31").startswith("#31  ")
    assert explain(run, "c-31").startswith("c-31ab00  ")
    assert explain(replace(run, pairs=run.pairs[:20]), "31").startswith("c-31ab00  ")
    with pytest.raises(UsageError, match="no cause of this run"):
        explain(run, "9" * 5000)


def test_a_known_cause_is_told_in_words(sample: Run) -> None:
    """The bare name of a known cause is followed by what it means, and its place is said once."""
    cluster = replace(sample.clusters[0], cause="q-time-format")
    text = explain(replace(sample, clusters=(cluster, *sample.clusters[1:])), cluster.id)
    assert "\nchange     q-time-format: another time format than the primary writes, such as at $.results[*].created_at\n" in text


def test_an_agreeing_control_is_not_quoted(sample: Run) -> None:
    """A control that agrees does so by relation, so the recording's value is not shown as its own; one that differs is quoted."""
    cluster = sample.clusters[0]
    agreeing = replace(cluster, control=cluster.primary)
    assert "\ncontrol    agrees with the recording\n" in explain(replace(sample, clusters=(agreeing,)), cluster.id)
    assert '\ncontrol    $.results[0].created_at   "2026-11-23T02:00:05.511Z"\n' in explain(sample, cluster.id)


def test_where_to_run_the_command(sample: Run) -> None:
    """A recording's path is told from inside the run's folder, and the command says so; an absolute one needs no such words."""
    name = sample.clusters[0].id
    assert "\n           (inside the run's folder" in explain(sample, name)
    absolute = replace(sample, recorded=replace(sample.recorded, path="/data/r.parity"))
    assert "inside the run's folder" not in explain(absolute, name)


def test_a_gap_tells_its_reason(sample: Run) -> None:
    """An exchange that was not compared says why."""
    gap = next(pair for pair in sample.pairs if pair.gap == "unsafe")
    text = explain(sample, f"#{gap.exchange}")
    assert "· not compared\n" in text
    assert "\ngap        unsafe: acts on the outside world" in text


@pytest.mark.parametrize("name", ["c-7f", "7f3a", " c-7f3a11 "])
def test_the_beginning_of_an_id_is_enough(sample: Run, name: str) -> None:
    """A prefix that only one cause has, with or without c-, finds it."""
    assert explain(sample, name) == explain(sample, "c-7f3a11")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("c-7f3b11", r"no cause of this run is called so \(near: c-7f3a11"),
        ("c-", "8 ids begin so: c-7f3a11, c-19bd02"),
        ("#500", r"#500: no exchange of this run has this number \(near: #412, #411, #410\)"),
        ("", "no cause of this run is called so"),
        ("\x1b[2J", r"^\\x1b\[2J: no cause"),
    ],
)
def test_an_unknown_id_names_the_nearest(sample: Run, name: str, words: str) -> None:
    """An unknown or ambiguous id is a usage error that names what is near."""
    with pytest.raises(UsageError, match=words):
        explain(sample, name)


def test_nothing_steers_the_terminal(sample: Run, hostile: str) -> None:
    """Hostile ids, headers and bodies reach the terminal as escapes."""
    for cluster in sample.clusters:
        odd = replace(cluster, primary=hostile, candidate=hostile + "x", control=hostile, cause=hostile, because=hostile, at=hostile)
        text = explain(replace(sample, clusters=(odd,)), cluster.id)
        assert {character for character in text if unicodedata.category(character)[0] == "C" or character in "\u2028\u2029"} == {"\n"}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[" * 3000,
        "[" * 5000 + "]" * 5000,
        '{"a":' * 600 + "1" + "}" * 600,
        '{"a":1,"a":2}',
        "{",
        '{"n":1.0,"m":1e400,"k":NaN}',
        '"\ud800"',
        "\x00\u2028",
    ],
)
def test_any_body_can_be_told(sample: Run, body: str) -> None:
    """Bodies that are no JSON, too deep, cut, or hold odd numbers and keys are told all the same."""
    first = sample.answers[0]
    other = Answer(200, (), body + "!", 1, "application/json", 1.0)
    answers = replace(first, primary=Answer(200, (), body, 1, "application/json", 1.0), candidate=other)
    assert explain(replace(sample, answers=(answers,)), f"#{first.exchange}").encode()


def test_numbers_stay_as_they_were_written(sample: Run) -> None:
    """A 1.0 is not shown as 1."""
    first = sample.answers[0]
    answers = replace(first, primary=Answer(200, (), '{"n":1.0}', 9, "", 1.0), candidate=Answer(200, (), '{"n":1}', 7, "", 1.0))
    text = explain(replace(sample, answers=(answers,)), f"#{first.exchange}")
    assert '-  "n": 1.0\n+  "n": 1\n' in text + "\n"


def test_a_long_difference_is_shown_around_its_leaf(sample: Run) -> None:
    """Of a body with hundreds of other lines, those around the leaf are shown, and the rest is counted."""
    cluster = sample.clusters[1]
    first = next(answers for answers in sample.answers if str(answers.exchange) == cluster.subjects[0].id)
    many = ",".join(f'"k{number}":{number}' for number in range(300))
    left = Answer(200, (), f'{{{many},"score":0.8125}}', 9, "", 1.0)
    right = Answer(200, (), f'{{{many.replace(":", ":1")},"score":0.79}}', 9, "", 1.0)
    text = explain(replace(sample, answers=(replace(first, primary=left, candidate=right),)), cluster.id)
    assert '-  "score": 0.8125\n' in text
    assert "lines before\n" in text
    assert len(text.splitlines()) < 100


def test_a_cause_is_told_with_its_places(sample: Run) -> None:
    """A cause says how far it reaches, lists its places, what follows from it, and tells its smallest place whole."""
    cause = next(cause for cause in sample.causes if "c-44e0aa" in cause.clusters)
    text = explain(sample, cause.id)

    assert text.startswith(f"{cause.id}  structural · open · ")
    assert f"\ncause      {visible(cause.title)}\n" in text
    assert "c-44e0aa PATCH /api/memory/:id · status · seen 3 of 30" in text
    assert f"\n{cause.clusters[0]}  " in text
    assert "\nagain      signet-parity replay 2026-11-14T090000Z.parity" in text
    assert explain(sample, cause.id[2:]) == text


def test_a_place_names_its_cause_and_what_holds_there(sample: Run) -> None:
    """A place says which cause it belongs to, and which relation holds at it elsewhere, with how many leaves."""
    cluster = sample.clusters[0]
    cause = next(cause for cause in sample.causes if cluster.id in cause.clusters)
    relation = Relation("timestamp near now", cluster.route or "", cluster.path, 84)
    text = explain(replace(sample, relations=(relation,)), cluster.id)

    assert f"\ncause      {cause.id}: {cause.title} (" in text
    assert "\nrelation   timestamp near now holds at this place in 84 leaves (n=84)\n" in text


def test_what_follows_is_told_as_a_tree(sample: Run) -> None:
    """What follows from something that follows stands below it, and a circle ends."""
    first, second, third, *rest = sample.clusters
    chain = (first, replace(second, derived_from=first.id), replace(third, derived_from=second.id), *rest)
    text = explain(replace(sample, clusters=chain), first.id)
    assert f"\nexplains   {second.id} " in text
    assert f"\n             {third.id} " in text
    circle = (replace(first, derived_from=second.id), replace(second, derived_from=first.id), *rest)
    assert explain(replace(sample, clusters=circle), first.id)

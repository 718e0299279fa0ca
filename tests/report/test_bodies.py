"""How much of the traffic a report shows."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.jobs.reporting import Form, render
from replay.model import Answer, Answers, UsageError
from replay.report.bodies import differing, withhold
from replay.runs import Run

FORMS: tuple[Form, ...] = ("table", "html", "markdown", "junit", "json")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def answer(body: str) -> Answer:
    """Give an answer with this body."""
    return Answer(200, (("x-a", "1"), ("x-b", body[:3])), body, len(body.encode("utf-8", "replace")), "application/json", 1.0)


def answers(*bodies: str) -> Answers:
    """Give an exchange whose sides answer with these bodies."""
    primary, candidate, *control = map(answer, bodies)
    return Answers(1, "GET", "/x", (), "", primary, candidate, control[0] if control else None)


def said(run: Run) -> set[str]:
    """Collect every text of eight characters and more in the answers' bodies, and what places show of them."""
    found: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, str):
            found.add(value)

    for row in run.answers:
        for side in (row.primary, row.candidate, row.control):
            if side is not None and side.body:
                try:
                    walk(json.loads(side.body))
                except ValueError:
                    found.update(side.body.splitlines())
    for cluster in run.clusters:
        for text in (cluster.primary, cluster.candidate, cluster.control):
            if text is not None:
                walk(json.loads(text))
    return {text for text in found if len(text) >= 5}


@pytest.mark.parametrize("form", FORMS)
def test_without_bodies_nothing_that_was_said_is_there(sample: Run, form: Form) -> None:
    """With `none` no text of any body is anywhere in any format, not even where words quote it."""
    quoting = tuple(
        replace(cluster, because=f"{cluster.because}; it says The staging box is called heron and dark roast") for cluster in sample.clusters
    )
    titled = tuple(replace(cause, title=f'{cause.title} hunter2 "Prefers dark roast in the morning"') for cause in sample.causes)
    run = replace(sample, clusters=quoting, causes=titled, because=f"{sample.because}: 7d1f0c52-9a3e-4b61-8c0d-2f5a1e9b7c33")
    text = render(run, form, "none")

    assert not sorted(word for word in said(run) if word in text)
    for secret in ("heron", "hunter2", "Bearer", "7d1f0c52", "q=coffee"):
        assert secret not in text


def test_what_is_withheld_is_judged_alike(sample: Run) -> None:
    """Without values a run keeps its counts, ids and verdicts."""
    bare = withhold(sample)

    assert (bare.identical, bare.compared, bare.verdict) == (sample.identical, sample.compared, sample.verdict)
    assert [cluster.id for cluster in bare.clusters] == [cluster.id for cluster in sample.clusters]
    assert [row.verdict for row in bare.divergences] == [row.verdict for row in sample.divergences]
    assert all(divergence.finding is finding for divergence, finding in zip(bare.divergences, bare.findings, strict=True))


def test_of_a_difference_only_what_differs_is_shown() -> None:
    """What all sides say alike is one ellipsis; what one side alone has, and what differs, stays as it was written."""
    shown = differing(answers('{"a":{"deep":"same"},"n":1.0,"list":[1,2,3],"only":"left"}', '{"n":1,"a":{"deep":"same"},"list":[1,5,3,4]}'))

    assert shown.primary is not None
    assert shown.candidate is not None
    assert shown.primary.body == '{"a":"…","n":1.0,"list":["…",2,"…"],"only":"left"}'
    assert shown.candidate.body == '{"n":1,"a":"…","list":["…",5,"…",4]}'
    assert shown.primary.headers == (("x-b", '{"a'),)


def test_lines_that_all_have_are_left_out_of_texts() -> None:
    """A text shows the lines that differ; equal bodies show nothing."""
    text = differing(answers("same\nleft\n\nend", "same\nright\n\nend", "same\nleft\n\nend"))
    equal = differing(answers('{"secret":1}', '{"secret":1}'))

    assert text.primary is not None
    assert text.primary.body == "…\nleft\n\n…"
    assert equal.primary is not None
    assert equal.primary.body == "…"


@given(VALUES, VALUES)
def test_pruning_never_fails_and_keeps_what_differs(left: object, right: object) -> None:
    """Whatever two answers are, unequal ones stay unequal, and both stay JSON."""
    shown = differing(answers(json.dumps(left), json.dumps(right)))

    assert shown.primary is not None
    assert shown.candidate is not None
    values = (
        json.loads(shown.primary.body) if shown.primary.body != "…" else "…",
        json.loads(shown.candidate.body) if shown.candidate.body != "…" else "…",
    )
    assert (json.dumps(values[0], sort_keys=True) == json.dumps(values[1], sort_keys=True)) == (
        json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    )


def test_only_markdown_is_held_against_another_run(sample: Run) -> None:
    """Another format says which one does; another word for bodies is refused, too."""
    with pytest.raises(UsageError, match="only `--format markdown`"):
        render(sample, "json", "diff", sample)
    with pytest.raises(UsageError, match="none of none, diff, full"):
        render(sample, "json", "some")  # type: ignore[arg-type]  # that is the point

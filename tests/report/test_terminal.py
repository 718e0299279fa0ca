"""Text on a terminal."""

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.report import bound, contract, domains, html, last_line, markdown, share, table, visible
from replay.report.listing import exchanges_table
from replay.report.text import around, cut, shared
from replay.runs import Canaries, Run


def test_last_line_says_everything_that_matters(sample: Run) -> None:
    """The last line has planned, compared, gaps by reason, identical, causes by verdict, canaries and verdict."""
    assert last_line(sample) == (
        "412 planned · 409 compared · 3 gaps (2 unsafe, 1 stream) · 338 identical · 71 divergent and 2 state findings from 7 causes: "
        "4 open, 1 documented, 1 noise, 1 derived · 12/12 canaries · FAIL"
    )


def test_last_line_of_a_clean_run(sample: Run) -> None:
    """A run without gaps, divergences and canaries says so, without empty brackets."""
    pairs = tuple(replace(pair, gap=None, worst=None, findings=0) for pair in sample.pairs)
    clean = replace(sample, pairs=pairs, clusters=(), causes=(), divergences=(), findings=(), verdict="pass", canaries=Canaries())
    assert last_line(clean) == "412 planned · 412 compared · 0 gaps · 412 identical · 0 divergent · no canaries · PASS"


def test_table_ends_with_the_last_line(sample: Run) -> None:
    """The table opens with the verdict, shows nine domains and each cause, and ends with the last line."""
    text = table(sample)
    assert text.startswith("FAIL: ")
    assert text.endswith(last_line(sample))
    for row in domains(sample):
        assert f"\n{row.domain}" in text
    for cause in sample.causes:
        assert f"\n{cause.id}  {cause.difference.value} · {cause.verdict.value}" in text
        assert f" · {cause.clusters[0]}\n" in text


def test_the_listing_has_its_longest_column_last() -> None:
    """Rows of exchanges begin with what is short, so that a long request spoils no column on a narrow terminal."""
    rows = [
        {"id": 7, "request": "GET /" + "x" * 200, "status": 200, "ms": 1.5, "bytes": 3, "end": "complete", "domain": "read"},
        {"id": 12, "request": "POST /y", "status": None, "ms": 20.0, "bytes": 0, "end": "refused", "domain": "write"},
    ]
    head, _, first, second = exchanges_table(rows).splitlines()
    assert head.split() == ["id", "status", "ms", "bytes", "end", "domain", "request"]
    assert first.split()[:6] == ["7", "200", "1.5", "3", "complete", "read"]
    assert first.endswith("x…")
    assert second.split() == ["12", "none", "20", "0", "refused", "write", "POST", "/y"]


def test_many_causes_are_cut_and_counted(sample: Run) -> None:
    """More causes than a terminal holds are cut, and the rest is counted by verdict."""
    many = tuple(replace(cause, id=f"{cause.id}-{number}") for number in range(20) for cause in sample.causes)
    text = table(replace(sample, causes=many))
    assert "… and 100 more (56 open, 14 documented, 15 noise, 15 derived)" in text


def test_nothing_steers_the_terminal(sample: Run, hostile: str) -> None:
    """No control, bidirectional or other hidden character of the traffic reaches the terminal."""
    odd = replace(
        sample,
        because=hostile,
        pairs=(replace(sample.pairs[0], domain="x" + hostile, gap="g" + hostile), *sample.pairs[1:]),
        clusters=tuple(
            replace(
                cluster,
                id=cluster.id + hostile,
                cause=hostile,
                route=hostile,
                path=hostile,
                kind=hostile,
                because=hostile,
                primary=hostile,
                candidate=hostile,
            )
            for cluster in sample.clusters
        ),
        relations=(replace(sample.relations[0], name=hostile),),
        not_compared=((hostile, 1),),
        timing=((hostile, 1),),
        rules_unused=(hostile,),
        canaries=Canaries(2, 1, 0, (hostile,)),
        observed=replace(sample.observed, daemon=hostile, path=hostile, cell=hostile),
    )
    text = table(odd)
    assert {character for character in text if unicodedata.category(character).startswith("C") or character == "\u2028"} == {"\n"}
    assert "\\x1b[31mred" in text
    assert "\\u202ereversed" in text


@given(st.text(st.characters(), max_size=40))
def test_visible_text_is_printable(text: str) -> None:
    """Whatever goes in, what comes out is one printable line that can be encoded."""
    shown = visible(text)
    assert shown.isprintable()
    assert shown.encode("utf-8", "strict") is not None


@given(st.text(st.characters(), max_size=200), st.integers(20, 80))
def test_cut_text_is_short(text: str, characters_max: int) -> None:
    """A cut text is little longer than asked for, and what was left out is counted."""
    assert len(cut(text, characters_max)) <= characters_max + 20


@given(st.text(max_size=300), st.text(max_size=300))
def test_long_values_are_shown_where_they_part(text: str, other: str) -> None:
    """Of two long values the pieces that are shown hold the place where they part, and stay short."""
    shown = around(text, other, 40)
    assert len(shown) <= 40 + 15
    start, _ = shared(visible(text), visible(other))
    assert visible(text)[start : start + 1] in shown
    assert around("a" * 500 + "X" + "b" * 500, "a" * 500 + "Y" + "b" * 500, 40) == "…" + "a" * 13 + "X" + "b" * 26 + "… (1,001 chars)"


def test_ordinary_text_stays() -> None:
    """Letters of other scripts, accents and symbols are shown as they are."""
    assert visible("Grüße, 世界 · → ✓") == "Grüße, 世界 · → ✓"


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_percentages_never_lie(part: int, whole: int) -> None:
    """A share is 0 or 100 per cent only when it is exactly that."""
    shown = share(part, whole)
    assert (shown == "0 %") == (whole > 0 and part == 0)
    assert (shown == "100 %") == (0 < whole <= part)


@pytest.mark.parametrize(
    ("events", "trials", "text"),
    [
        (0, 0, "no evidence"),
        (0, 2, "0/2 (says little)"),
        (0, 12, "0/12 (≤ 25 %)"),
        (0, 409, "0/409 (≤ 0.73 %)"),
        (3, 45, "3/45 (6.7 %)"),
        (4000, 4001, "4,000/4,001 (99.9 %)"),
    ],
)
def test_every_rate_has_its_denominator(events: int, trials: int, text: str) -> None:
    """A rate says out of how many, and zero in n says at most 3/n."""
    assert bound(events, trials) == text


def test_an_archive_without_exchanges_is_listed_too() -> None:
    """Where nothing is whole the table says so."""
    assert exchanges_table([]) == "no whole exchange"


def test_what_the_recording_lacks_is_told(sample: Run) -> None:
    """What was sampled out, or lost without a name, stands beside who was recorded, in every form that people read, and in JSON."""
    lacking = replace(sample, recorded=replace(sample.recorded, lacks=(("not written", 3), ("sampled out", 1234))))
    for text in (table(lacking), html(lacking, "none")):
        assert "lacks 3 not written, 1,234 sampled out" in text
    assert "lacks 3 not written, 1,234 sampled out" in markdown(lacking)
    assert contract(lacking)["recorded"]["lacks"] == {"not written": 3, "sampled out": 1234}
    assert "lacks" not in table(sample)


def test_times_by_route_are_told_in_a_line(sample: Run) -> None:
    """How many routes are late, alike or without evidence, and the usual ratio with its interval."""
    assert "by route   1 late, 1 alike, 1 not enough evidence; usually ×0.62 (0.50 to 0.70) of the control\n" in table(sample)
    assert "by route" not in table(replace(sample, timings=()))

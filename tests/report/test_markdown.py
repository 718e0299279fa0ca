"""A run as Markdown."""

import re
from dataclasses import replace

import pytest

from replay.model import Verdict
from replay.report import last_line, markdown
from replay.report.markdown import code, plain
from replay.runs import Run


def test_markdown_says_what_the_table_says(sample: Run) -> None:
    """Verdict, nine domain rows, each cause and the last line are there."""
    text = markdown(sample)
    assert text.startswith("# FAIL: js 0.145.7 against rust 0.2.0\n")
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 1 + 9 + 1 + 2 + 1 + 2
    assert "| read | 100 | 96 | 1 | 3/99 (3.0 %) |" in text
    assert all(f"`{cause.id}`" in text and f"`{cause.clusters[0]}`" in text for cause in sample.causes)
    assert "| `GET /api/memories` | 42 | 5.0 / 19.0 / 25.0 | 6.0 / 154 / 180 | 1.40 (0.90 to 30.10) | late |" in text
    assert f"\n    {last_line(sample)}\n" in text


def test_nothing_of_the_traffic_is_active(sample: Run, hostile: str) -> None:
    """Tags, links, mentions and references of the traffic are text."""
    nasty = hostile + " [a](http://x) @team #12 ![i](http://x) **b** https://evil.example www.evil.example $x$"
    cluster = replace(sample.clusters[0], cause=nasty, because=nasty)
    cause = replace(sample.causes[0], title=nasty, usual=nasty, name=nasty, clusters=(cluster.id,))
    run = replace(sample, because=nasty, clusters=(cluster,), causes=(cause,))
    for text in (markdown(run), markdown(run, replace(sample, causes=())), markdown(replace(run, causes=()), run), markdown(run, run)):
        outside = re.sub(r"(`+).+?\1", "", text).replace("**1 new**", "").replace("**0 new**", "")
        assert not re.search(r"<script|\]\(|@team|#12|\*\*|://|www\.|\$x", outside)


@pytest.mark.parametrize(("text", "shown"), [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a|b", "`a\\|b`"), ("", "`  `")])
def test_a_code_span_ends_where_its_text_ends(text: str, shown: str) -> None:
    """Backticks in the text lengthen the fence, bars are escaped for tables."""
    assert code(text) == shown


def test_plain_text_stays_readable() -> None:
    """Ordinary punctuation is not escaped."""
    assert plain("q-time: 3 of 4 (75 %), a/b + c = d!") == "q-time: 3 of 4 (75 %), a/b + c = d!"


def test_against_an_older_run_it_says_what_changed(sample: Run) -> None:
    """What is new, gone and still there is told by open causes; what a rule excuses is not passed off as mended."""
    first, second, *rest = (cause for cause in sample.causes if cause.verdict is Verdict.OPEN)
    excused = replace(second, verdict=Verdict.DOCUMENTED)
    older = replace(sample, causes=(replace(second, count=5), *rest))
    text = markdown(replace(sample, causes=(first, excused, *rest)), older)

    assert f"**1 new**, 1 gone, {len(rest)} still there" in text
    assert f"- `{first.id}`, " in text.split("## New")[1].split("## Gone")[0]
    assert f"- `{second.id}` " in text.split("## Gone")[1].split("## Still there")[0]
    assert "(not mended: now documented)" in text
    assert all(f"- `{cause.id}` " in text.split("## Still there")[1] for cause in rest)
    assert len(text.splitlines()) < 60
    assert "different recordings" in markdown(sample, replace(older, recorded=replace(older.recorded, digest="sha256:00")))

"""A run as Markdown."""

import re
from dataclasses import replace

import pytest

from replay.report import last_line, markdown
from replay.report.markdown import code, plain
from replay.runs import Run


def test_markdown_says_what_the_table_says(sample: Run) -> None:
    """Verdict, nine domain rows, each cause and the last line are there."""
    text = markdown(sample)
    assert text.startswith("# FAIL: js 0.145.7 against rust 0.2.0\n")
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 1 + 9
    assert all(f"`{cluster.id}`" in text for cluster in sample.clusters)
    assert f"\n    {last_line(sample)}\n" in text


def test_nothing_of_the_traffic_is_active(sample: Run, hostile: str) -> None:
    """Tags, links, mentions and references of the traffic are text."""
    nasty = hostile + " [a](http://x) @team #12 ![i](http://x) **b** https://evil.example www.evil.example $x$"
    cluster = replace(sample.clusters[0], cause=nasty, because=nasty)
    text = markdown(replace(sample, because=nasty, clusters=(cluster,)))
    outside = re.sub(r"(`+).+?\1", "", text)
    assert not re.search(r"<script|\]\(|@team|#12|\*\*|://|www\.|\$x", outside)


@pytest.mark.parametrize(("text", "shown"), [("a", "`a`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a|b", "`a\\|b`"), ("", "`  `")])
def test_a_code_span_ends_where_its_text_ends(text: str, shown: str) -> None:
    """Backticks in the text lengthen the fence, bars are escaped for tables."""
    assert code(text) == shown


def test_plain_text_stays_readable() -> None:
    """Ordinary punctuation is not escaped."""
    assert plain("q-time: 3 of 4 (75 %), a/b + c = d!") == "q-time: 3 of 4 (75 %), a/b + c = d!"

"""The lines that tell where a replay's time went."""

from replay.jobs.timing import timing_lines
from replay.model import Wait
from replay.play.accounting import Accounting


def test_the_terms_and_the_waits_are_told() -> None:
    """The lines hold the ratio, each term, what was waited beside, and whoever was given up, safe for a terminal."""
    accounting = Accounting()
    accounting.began(0.0)
    accounting.served(0.0, 4.0, over=12.0)
    accounting.polled(6.0, 8.0)
    accounting.waited("settle after writes", 0.5)
    waits = [Wait(3, "extraction", 1500.0, "drained"), Wait(5, "summary\x1b[31m", 30_000.0, "bound met", "2 left")]
    lines = list(timing_lines(accounting.terms().values(), waits, ()))
    assert lines[0].startswith(
        "time: 12.0 s, 2.00 times the daemon's own 6.0 s (service 4.0 s, job tables not empty 0.0 s, named pollers 2.0 s;"
    )
    assert lines[1] == "  waited beside: settle after writes 0.5 s"
    assert "extraction 1.5 s in 1" in lines[2]
    assert "bound met (at #5): 2 left" in lines[3]
    assert "\x1b" not in "".join(lines)


def test_an_archive_without_terms_has_no_lines() -> None:
    """Where no terms stand, or not as numbers, nothing is told."""
    assert not list(timing_lines(None, (), ()))
    assert not list(timing_lines({"wall_s": "long"}, (), ()))

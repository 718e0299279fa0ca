"""What a replay needs of secrets (nothing), and what it says of credentials."""

from dataclasses import replace
from pathlib import Path

from replay.archive import read
from replay.jobs.carried import carried_lines
from replay.jobs.replaying import replay_archive
from replay.jobs.tour import demo_order
from replay.model import Response


def test_a_team_is_replayed_without_any_secret(demo_folder: Path) -> None:
    """The demo asks for credentials, and its recording is redacted: every status comes again without a known secret or a key."""
    order = replace(demo_order(demo_folder, "secretless", "js", ()), known_secrets=(), redaction_key=None)
    replayed = replay_archive(order, lambda *_: None)
    assert replayed.exit_code == 0, replayed.text
    recorded, observed = read(order.archive), read(order.observed)
    here = {exchange.id: exchange.outcome for exchange in observed.exchanges()}
    statuses = {exchange.id: exchange.outcome.status for exchange in recorded.exchanges() if isinstance(exchange.outcome, Response)}
    assert {number: outcome.status for number, outcome in here.items() if isinstance(outcome, Response)} == {
        number: status for number, status in statuses.items() if number in here
    }
    assert {str(gap.reason) for gap in observed.gaps()}.isdisjoint({"credential"})
    assert observed.facts["counts"]["recorded_credentials_sent"] == 0
    assert "recorded ones sent: 0" in replayed.text
    assert observed.facts["clock"] == {"shifted": False, "behind_s": 0}


def test_nothing_is_said_where_nothing_was_done() -> None:
    """Without credentials, waits and dates there is no line."""
    assert carried_lines({"recorded_credentials_sent": 0, "connections": 3}) == []
    assert carried_lines({"recorded_credentials_sent": 2}) == ["credentials: recorded ones sent: 2"]
    said = carried_lines({"tokens_minted": 1, "credentials_kept_forged": 2, "rate_limit_waits": 1, "key_end_waits": 1, "dates_shifted": 1000})
    assert said[0] == "credentials: 1 minted with the recorded claims · kept bad: 2 forged · recorded ones sent: 0"
    assert [line.split(":")[0] for line in said] == ["credentials", "rate limits", "ends of API keys", "dates"]

"""Whether candidate and control say the same, each in its own replay."""

from collections.abc import Callable
from dataclasses import replace

from replay.compare.agreeing import agreement
from replay.compare.state import Side
from replay.content import Number, Value
from replay.identity import Bindings
from replay.model import Exchange

type Maker = Callable[..., Exchange]
R, OBSERVED, CONTROL = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "123")


def judge(exchange: Maker) -> tuple[Callable[[Value, Value], bool], Side, Side]:
    """Give an agreement between an exchange and the same one an hour later, with both sides' bindings."""
    observed = exchange(1, {})
    control = replace(observed, started_at=observed.started_at + 3600, ended_at=observed.ended_at + 3600)
    one, two = Side(Bindings()), Side(Bindings())
    return agreement(observed, control, one, two), one, two


def test_times_agree_by_their_distance_from_now(exchange: Maker) -> None:
    """Ten seconds before each exchange is the same time; tomorrow at nine is not now."""
    agree, _, _ = judge(exchange)

    assert agree("2023-11-14T22:13:20.000Z", "2023-11-14T23:13:20.000Z")
    assert not agree("2023-11-14T22:13:20.000Z", "2023-11-15T09:00:00.000Z")


def test_ids_agree_where_they_stand_for_the_same(exchange: Maker) -> None:
    """Two ids that both stand for a recorded one agree; where only one does they do not."""
    agree, one, two = judge(exchange)
    one.bindings.bind("uuid", R, OBSERVED, 1, "$")

    assert not agree(OBSERVED, CONTROL)
    two.bindings.bind("uuid", R, CONTROL, 1, "$")
    assert agree(OBSERVED, CONTROL)


def test_everything_else_is_compared_blind(exchange: Maker) -> None:
    """Other values agree where they are the same but for ids and times inside."""
    agree, _, _ = judge(exchange)

    assert agree({"a": [OBSERVED, "x"]}, {"a": [CONTROL, "x"]})
    assert not agree({"a": "x"}, {"a": "y"})


def test_epoch_numbers_agree_by_their_distance_too(exchange: Maker) -> None:
    """A number that is a time agrees with one as far from its own exchange, in the same unit, and with no other time."""
    agree, _, _ = judge(exchange)
    now = 1_700_000_010_000

    assert agree(Number(str(now)), Number(str(now + 3_600_000)))
    assert not agree(Number(str(now)), Number(str(now + 90_000_000)))
    assert not agree(Number(str(now)), Number(str(now // 1000 + 3600)))

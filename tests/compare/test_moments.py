"""Times held against the clock of two runs, and the faults that a window as wide as the run would hide."""

from hypothesis import given
from hypothesis import strategies as st

from replay.compare.leaves import relate
from replay.compare.state import Clock, Place, Scene, Side, Window
from replay.content import Number, Value
from replay.identity import Bindings

RECORDED, OBSERVED = 1_763_900_000.0, 1_763_990_000.0
PLACE = Place("$.created_at", "$.created_at", "created_at")


def windows(paces: list[float]) -> list[tuple[Window, Window]]:
    """Make pairs of exchanges: one every ten seconds in the recording, at *paces* in the replay."""
    made, at = [], 0.0
    for number, pace in enumerate(paces):
        one = Window(RECORDED, RECORDED + 10 * number, RECORDED + 10 * number + 0.1)
        made.append((one, Window(OBSERVED, OBSERVED + at, OBSERVED + at + 0.1)))
        at += pace
    return made


def scene(paces: list[float]) -> Scene:
    """Make the scene of the last exchange."""
    pairs = windows(paces)
    return Scene(Side(Bindings.of(()), clock=Clock.of(pairs)), "GET /x", len(pairs), *pairs[-1])


def stamp(seconds: float) -> str:
    """Spell a moment as epoch milliseconds do."""
    return str(round(seconds * 1000))


def found(one: float, two: float, of: Scene) -> list[str]:
    """Relate two moments: the transitions of what is found."""
    values: tuple[Value, Value] = Number(stamp(one)), Number(stamp(two))
    return [item.transition for item in relate(*values, of, PLACE)]


def test_a_time_of_the_same_exchange_is_equal() -> None:
    """What was made during the third exchange of ten lies at the third of the replay, too, though that ran ten times as fast."""
    assert found(RECORDED + 20.05, OBSERVED + 2.05, scene([1.0] * 10)) == []


def test_a_stale_time_is_found() -> None:
    """A time taken from an answer of half a minute earlier lies within the run, which a window of the whole run would let pass."""
    of = scene([10.0] * 10)

    assert found(RECORDED + 60.05, OBSERVED + 60.05, of) == []
    assert found(RECORDED + 60.05, OBSERVED + 30.05, of) == ["timestamp (epoch ms) elsewhere in the run"]


def test_an_expiry_keeps_its_distance() -> None:
    """A time beyond the run is shifted as the run is: an expiry an hour from now that became a day is found, and so is one a minute off."""
    of = scene([10.0] * 10)

    assert found(RECORDED + 3690, OBSERVED + 3690, of) == []
    assert found(RECORDED + 3690, OBSERVED + 86_490, of) != []
    assert found(RECORDED + 3690, OBSERVED + 3750, of) != []


@given(st.lists(st.floats(0.2, 30), min_size=2, max_size=12), st.floats(0, 100))
def test_the_clock_knows_its_marks(paces: list[float], away: float) -> None:
    """Whatever the pace, each exchange's own moment is timely, and one further off than the work around it and the slack is not."""
    pairs, of = windows(paces), scene(paces)
    for one, two in pairs:
        assert found(one.started_at, two.started_at, of) == []
    low, high = of.side.clock.around(pairs[0][0].started_at)
    late = high + 6 + away
    assert low <= pairs[0][1].started_at <= high
    assert found(pairs[0][0].started_at, late, of) != []


def test_without_marks_the_run_is_the_window() -> None:
    """Two exchanges alone have no clock: any moment of the run will do."""
    bare = Scene(Side(Bindings.of(())), "GET /x", 1, *windows([1.0] * 9)[-1])

    assert found(RECORDED + 60, OBSERVED + 1, bare) == []


def test_ids_in_texts_keep_what_they_are() -> None:
    """A part of a text that is an id by what stands around it stays one: `index:obsidian:<ms>` is renamed, its name is not."""
    of = scene([10.0] * 3)
    place = Place("$.job.id", "$.job.id", "id")

    assert relate("index:obsidian:1763900010000", "index:obsidian:1763990010000", of, place) == ()
    assert relate("index:obsidian:1763900010000", "index:github:1763990010000", of, place) != ()


def test_a_placeholder_in_a_text_stands_for_one_secret() -> None:
    """Two recordings hide one secret behind two placeholders; another secret's placeholder there is found."""
    of = scene([10.0] * 3)
    place = Place("$.text", "$.text", "text")
    one, two, other = "REDACTEDaaaaaaaaaaaa", "REDACTEDbbbbbbbbbbbb", "REDACTEDcccccccccccc"

    assert relate(f"key is {one}!", f"key is {two}!", of, place) == ()
    assert relate(f"key is {one}!", f"key is {two}!", of, place) == ()
    assert relate(f"key is {one}!", f"key is {other}!", of, place) != ()
    assert relate(f"key is {one}!", "key is !", of, place) != ()


def test_what_waited_holds_no_clock_up() -> None:
    """An exchange that came a minute late in the replay, and a stream that ended then, move no later time: else each would seem too early."""
    pairs = windows([1.0] * 10)
    one, two = pairs[2]
    late = (one, Window(two.run_started_at, two.started_at + 60, two.started_at + 60.1))
    stream = (Window(one.run_started_at, one.started_at, one.started_at + 1), Window(two.run_started_at, two.started_at, two.started_at + 50))
    of = Scene(Side(Bindings.of(()), clock=Clock.of([*pairs[:2], late, stream, *pairs[3:]])), "GET /x", 10, *pairs[-1])

    assert found(RECORDED + 60.05, OBSERVED + 6.05, of) == []
    assert found(RECORDED + 80.05, OBSERVED + 1.05, of) != []


def test_only_the_daemon_may_have_started_whenever() -> None:
    """A daemon that started weeks ago stands for one of this minute; a task that started in the run stands for none of an hour ago."""
    of, place = scene([10.0] * 10), Place("$.startedAt", "$.startedAt", "startedAt")
    weeks, before, during, hour = "2025-11-01T00:00:00Z", "2025-11-24T13:12:00Z", "2025-11-23T12:14:10Z", "2025-11-24T12:14:10Z"

    assert relate(weeks, before, of, place) == ()
    assert relate(during, hour, of, place) != ()


def test_a_stamp_of_the_start_is_equal_to_one_of_the_start() -> None:
    """A daemon that took twelve seconds to start and one that took three stamped the same; a stamp of a minute before is none of the start."""
    of = scene([10.0] * 10)

    assert found(RECORDED - 12, OBSERVED - 3, of) == []
    assert found(RECORDED - 12, OBSERVED + 30, of) != []
    assert found(RECORDED - 12, OBSERVED - 60, of) != []

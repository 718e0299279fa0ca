"""Two replays at once: who may send, and when one no longer waits for the other."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import UsageError
from replay.play.turns import SIDES, SILENCE_S, Broker, Gate, Turns


def started(seed: str = "7") -> Turns:
    """Give turns of two sides that are both there."""
    turns = Turns(seed)
    for side in (0, 1):
        turns.come(side, 0.0)
    return turns


def test_each_step_is_sent_by_one_and_then_by_the_other() -> None:
    """While both ask, a step goes to one side, then to the other, and each is first with half of the steps."""
    turns = started()
    order = []
    for number in range(40):
        turns.ask(0, number, 0.0)
        turns.ask(1, number, 0.0)
        for _ in (0, 1):
            decided = turns.decide(0.0)
            assert decided is not None
            assert turns.decide(0.0) is None
            side, paired = decided
            assert paired
            order.append((number, side))
            turns.leave(side, 0.0)
    assert [number for number, _ in order] == [number for number in range(40) for _ in (0, 1)]
    firsts = [side for _, side in order[::2]]
    assert sum(firsts) == 20
    assert firsts not in ([0, 1] * 20, [1, 0] * 20)
    assert all(sorted(order[at : at + 2]) == [(at // 2, 0), (at // 2, 1)] for at in range(0, 80, 2))


def test_who_waits_for_background_work_lets_the_other_catch_up() -> None:
    """A side that has left and does not ask yet does not keep the other from a step that it has sent itself."""
    turns = started()
    turns.ask(0, 5, 0.0)
    turns.ask(1, 5, 0.0)
    first, _ = turns.decide(0.0) or (2, False)
    turns.leave(first, 1.0)
    assert turns.decide(1.0) == (1 - first, True)
    turns.leave(1 - first, 2.0)
    turns.ask(1 - first, 6, 2.0)
    assert turns.decide(2.0 + SILENCE_S - 0.1) is None


@pytest.mark.parametrize("kind", ["hangs", "waits"])
def test_a_silent_side_holds_the_other_for_its_bound_alone(kind: str) -> None:
    """After the bound the other goes on at once with each step, not paired; what the silent one sends of these later is not paired either."""
    turns = started()
    turns.ask(0, 0, 0.0)
    turns.ask(1, 0, 0.0)
    first, _ = turns.decide(0.0) or (2, False)
    turns.leave(first, 0.0)
    assert turns.decide(0.0) == (1 - first, True)
    if kind == "waits":
        turns.leave(1 - first, 0.0)
    turns.ask(first, 1, 1.0)
    assert turns.decide(1.0 + SILENCE_S - 0.1) is None
    assert turns.decide(1.0 + SILENCE_S) == (first, False)
    turns.leave(first, 40.0)
    turns.ask(first, 2, 40.0)
    assert turns.decide(40.0) == (first, False)
    turns.ask(1 - first, 1, 41.0)
    assert turns.decide(41.0) is None
    turns.leave(first, 42.0)
    turns.ask(first, 3, 42.0)
    for number in (1, 2):
        assert turns.decide(43.0) == (1 - first, False)
        turns.leave(1 - first, 43.0)
        turns.ask(1 - first, number + 1, 43.0)
    decided = turns.decide(43.0)
    assert decided is not None
    assert decided[1]


def test_a_side_that_is_not_there_yet_is_waited_for_and_one_that_is_gone_is_not() -> None:
    """Cells may take long to start; one that is over leaves the rest to the other, not paired."""
    turns = Turns("1")
    turns.come(0, 0.0)
    turns.ask(0, 0, 0.0)
    assert turns.decide(1000.0) is None
    turns.go(1, 1000.0)
    assert turns.decide(1000.0) == (0, False)


@given(st.lists(st.tuples(st.sampled_from(["step", "leave", "wait"]), st.integers(0, 1)), max_size=200), st.text(max_size=3))
def test_never_both_at_once_within_the_bound(acts: list[tuple[str, int]], seed: str) -> None:
    """Whatever the sides do, no side is let through while the other has its turn, but for the bound; and numbers stay within one of another."""
    turns = started(seed)
    now = 0.0
    at, asking, sending = [-1, -1], [False, False], [False, False]
    for act, side in acts:
        now += 0.01
        if act == "step" and not asking[side]:
            turns.ask(side, at[side] + 1, now)
            asking[side], sending[side] = True, False
        elif act == "leave" and sending[side]:
            turns.leave(side, now)
            sending[side] = False
        while (decided := turns.decide(now)) is not None:
            chosen, paired = decided
            assert paired
            assert asking[chosen]
            assert not any(sending)
            asking[chosen], sending[chosen] = False, True
            at[chosen] += 1
            assert abs(at[0] - at[1]) <= 1


def test_two_gates_and_a_broker_take_turns(tmp_path: Path) -> None:
    """Over a real socket two sides never send at once, and each counts its turns."""
    log: list[tuple[str, int, str]] = []

    async def side(name: str, path: Path) -> dict[str, int]:
        gate = await Gate.open(path, name)
        for number in range(12):
            await gate.pass_(number)
            log.append((name, number, "sends"))
            await asyncio.sleep(0)
            await gate.pass_(number)  # another one while the first is in flight
            log.append((name, number, "done"))
            gate.leave()
        await gate.close()
        return dict(gate.counts)

    async def both(path: Path) -> list[dict[str, int]]:
        return await asyncio.gather(*(side(name, path) for name in SIDES))

    with Broker(tmp_path / "turns", "1"):
        counts = asyncio.run(both(tmp_path / "turns"))
    assert [(each["turns"], each["turns_not_taken"]) for each in counts] == [(12, 0), (12, 0)]
    assert all(log[at][:2] == log[at + 1][:2] for at in range(0, 48, 2))
    assert [number for _, number, _ in log] == [number for number in range(12) for _ in range(4)]


@pytest.mark.parametrize("end", ["never came", "left"])
def test_the_other_side_goes_on_when_one_is_over(end: str, tmp_path: Path) -> None:
    """A cell that never connected, and a player that is gone, hold nobody."""

    async def alone(path: Path, give_up: Callable[[int], None]) -> dict[str, int]:
        if end == "left":
            other = await Gate.open(path, SIDES[1])
            await other.close()
        else:
            give_up(1)
        gate = await Gate.open(path, SIDES[0])
        for number in range(3):
            await gate.pass_(number)
            gate.leave()
        await gate.close()
        return dict(gate.counts)

    with Broker(tmp_path / "turns", "1") as broker:
        counts = asyncio.run(alone(tmp_path / "turns", broker.give_up))
    assert (counts["turns"], counts["turns_not_taken"]) == (3, 3)


def test_a_gate_that_waits_can_be_shut(tmp_path: Path) -> None:
    """A replay that is told to end does not wait for the other side."""

    async def shut(path: Path) -> bool:
        gate = await Gate.open(path, SIDES[0])
        waiting = asyncio.create_task(gate.pass_(0))
        await asyncio.sleep(0)
        gate.shut()
        await waiting
        return True

    with Broker(tmp_path / "turns", "1"):
        assert asyncio.run(shut(tmp_path / "turns"))


def test_without_a_broker_the_door_is_open(tmp_path: Path) -> None:
    """One cell alone takes no turns; a broker that is named and not there is the caller's mistake."""

    async def alone() -> int:
        gate = await Gate.open(None, "")
        await gate.pass_(1)
        gate.leave()
        gate.shut()
        await gate.close()
        return len(gate.counts)

    assert asyncio.run(alone()) == 0
    with pytest.raises(UsageError, match="not there"):
        asyncio.run(Gate.open(tmp_path / "nobody", SIDES[0]))


def test_what_is_no_message_ends_that_connection_alone(tmp_path: Path) -> None:
    """Garbage on the socket neither stops the broker nor counts as a side."""

    async def act(path: Path) -> int:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"\xff\n")
        assert await reader.read() == b""
        writer.close()
        gates = [await Gate.open(path, name) for name in SIDES]
        await asyncio.gather(*(gate.pass_(0) for gate in gates[:1]), gates[1].close())
        await gates[0].close()
        return gates[0].counts["turns"]

    with Broker(tmp_path / "turns", "1"):
        assert asyncio.run(act(tmp_path / "turns")) == 1

"""Which exchange of one recording stands for which of another."""

from collections.abc import Callable

import pytest

from replay.compare.pairing import pair_by_sequence
from replay.model import Exchange, UsageError

type Maker = Callable[..., Exchange]


def test_a_jitter_does_not_lose_anybody(exchange: Maker) -> None:
    """Two requests that swapped places in the other recording still find each other."""
    one = [exchange(n, target=f"/api/{name}".encode()) for n, name in enumerate("abcd", 1)]
    two = [exchange(n, target=f"/api/{name}".encode()) for n, name in enumerate("acbd", 1)]

    assert pair_by_sequence(one, two) == {1: 1, 2: 3, 3: 2, 4: 4}


def test_ids_in_targets_do_not_matter(exchange: Maker) -> None:
    """The same request about another run's id is the same request."""
    one = [exchange(1, target=b"/api/memory/11111111-1111-4111-8111-111111111111")]
    two = [exchange(7, target=b"/api/memory/22222222-2222-4222-8222-222222222222")]

    assert pair_by_sequence(one, two) == {1: 7}


def test_strangers_are_refused(exchange: Maker) -> None:
    """Under 95 % aligned there is nothing to compare."""
    one = [exchange(n, target=f"/api/a{n}/b".encode()) for n in range(1, 20)]

    with pytest.raises(UsageError, match="of 19 exchanges have a partner"):
        pair_by_sequence(one, [exchange(1, target=b"/zzz", method=b"PUT")])

"""What causes are called: a name that stays, and a sentence for people."""

from collections.abc import Iterable, Sequence

from replay.judge.habits import Kin, tally
from replay.judge.quirks import quirk_words
from replay.judge.sights import Sight


def name_of(kin: Kin) -> str:
    """Give the name by which a cause is known from night to night: a quirk's, or its kind with what it is about."""
    if kin.kind == "habit":
        return kin.key[0]
    return " ".join((kin.kind, *(part for part in kin.key if part)))


def title_of(kin: Kin, places: Sequence[Sight]) -> str:
    """Say in one sentence what the candidate does, and where."""
    if kin.kind == "habit":
        return f"{quirk_words(kin.key[0])} ({listed(_fields(places))})"
    return f"{name_of(kin)}: {listed(_fields(places))}"


def listed(names: Iterable[str], most: int = 4) -> str:
    """Give a few names, and how many more there are."""
    shown = list(names)
    rest = len(shown) - most
    return ", ".join(shown[:most]) + (f" and {rest} more" if rest > 0 else "")


def _fields(places: Sequence[Sight]) -> list[str]:
    return [f"`{field}`" for field in tally(place.thing.field or place.cluster.path for place in places)]

"""The nights of a ledger, as the life of a cause is read from them."""

from collections.abc import Iterable

from replay.evidence.ledger import Entry
from replay.judge import Night


def history(entries: Iterable[Entry], *, daemon: str = "") -> tuple[Night, ...]:
    """
    Give the nights of a ledger with the ids of their open causes; with *daemon*, only those in which this candidate was judged.

    A night from before causes were counted tells nothing of them, so it counts as not judged.
    """
    return tuple(
        Night(
            name=entry.run,
            started_at=entry.started_at,
            open=frozenset(entry.open_causes),
            judged=entry.verdict in {"pass", "fail"} and (bool(entry.open_causes) or not entry.open_clusters),
        )
        for entry in entries
        if daemon in {"", entry.daemon}
    )

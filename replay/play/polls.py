"""Tell whether an answer is to a poll that came too early: the work it asks about is still running here and was done in the recording."""

from collections.abc import Iterator
from typing import Final

from replay.content import Value, child, parse
from replay.model import Response

_STATES: Final = frozenset({"status", "state", "phase"})
_RUNNING: Final = frozenset(
    {"pending", "running", "queued", "computing", "processing", "leased", "starting", "indexing", "syncing", "in_progress", "generating"}
)
_LATER: Final = frozenset({202, 404, 409, 425, 503})


def is_early(recorded: Response, observed: Response, *, patient: bool) -> bool:
    """
    Tell whether asking again may give what was recorded.

    `patient` where the recording left time before the request, or the route is one that is polled: then "not there yet" counts, too.
    """
    if observed.status != recorded.status:
        return 200 <= recorded.status < 300 and (observed.status == 202 or (patient and observed.status in _LATER))
    then = dict(_states(_value(recorded), "$"))
    if not then:
        return False
    return any(
        state in _RUNNING and (before := then.get(path)) is not None and before not in _RUNNING for path, state in _states(_value(observed), "$")
    )


def _value(response: Response) -> Value:
    content = parse(response.body or b"", response.header(b"content-type"))
    return content.value if content.kind == "json" else None  # type: ignore[return-value]  # by kind


def _states(value: Value, path: str) -> Iterator[tuple[str, str]]:
    """Give the states in nested objects; lists are not looked into, for their order proves nothing."""
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if isinstance(item, str) and key in _STATES:
            yield child(path, key), item.lower()
        elif isinstance(item, dict):
            yield from _states(item, child(path, key))

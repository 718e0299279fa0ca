"""
Read from answers how far the work is that they speak of.

An answer tells states: the members `status`, `state` and `phase` of its objects, and those such as `extraction_status`. Where they stand is
told without the places in lists, for the order of a list proves nothing: `$.sources[*].indexJob.status`.
"""

from collections.abc import Iterator
from typing import Final

from replay.content import Value, child, parse
from replay.model import Exchange, Outcome, Response

_STATES: Final = frozenset({"status", "state", "phase"})
_ENDINGS: Final = ("_status", "Status")
_RUNNING: Final = frozenset(
    {
        "pending", "running", "queued", "computing", "processing", "leased", "starting", "indexing", "syncing", "in_progress", "generating",
        "extracting", "chunking", "embedding",
    }
)  # fmt: skip
_WORKING: Final = _RUNNING - {"pending", "embedding"}
"""Without what also waits for people to decide, or is no state."""
_LATER: Final = frozenset({202, 404, 409, 425, 503})
_ACCEPTED: Final = 202
_BODY_BYTES_MAX: Final = 1 << 20
"""A longer answer is no poll's."""


def is_early(recorded: Response, observed: Response, *, patient: bool) -> bool:
    """
    Tell whether asking again may give what was recorded: the work asked about is still running here and was done in the recording.

    `patient` where the recording left time before the request, or the route is one that is polled: then "not there yet" counts, too.
    """
    if observed.status != recorded.status:
        return 200 <= recorded.status < 300 and (observed.status == _ACCEPTED or (patient and observed.status in _LATER))
    running = {path for path, state in _told(observed) if state in _RUNNING}
    if not running:
        return False
    then: dict[str, set[str]] = {}
    for path, state in _told(recorded):
        then.setdefault(path, set()).add(state)
    return any(path in then and then[path].isdisjoint(_RUNNING) for path in running)


def goes_on(outcome: Outcome) -> bool:
    """Tell whether an answer says that the daemon has begun work that it did not wait for."""
    if not isinstance(outcome, Response) or not 200 <= outcome.status < 300:
        return False
    return (outcome.status == _ACCEPTED and bool(outcome.body)) or any(state in _WORKING for _, state in _told(outcome, deep=False))


def asks_about(recorded: Exchange, begun: bytes) -> bool:
    """Tell whether a recorded exchange asked how far the work was that a request to the target *begun* began: asking again is enough then."""
    outcome = recorded.outcome
    if recorded.request.method != b"GET" or _place(recorded.request.target) != _place(begun):
        return False
    return isinstance(outcome, Response) and any(True for _ in _told(outcome))


def _place(target: bytes) -> list[bytes]:
    """Give where in the daemon a target lies: the first two names of its path, such as `api/sources`."""
    return target.split(b"?")[0].strip(b"/").split(b"/")[:2]


def _told(answer: Response, *, deep: bool = True) -> Iterator[tuple[str, str]]:
    """Give where a state stands, and the state; not *deep*: only those of the answer itself."""
    body = answer.body or b""
    if len(body) > _BODY_BYTES_MAX or not any(f'{name}"'.encode() in body for name in (*_STATES, *_ENDINGS)):
        return
    content = parse(body, answer.header(b"content-type"))
    if content.kind == "json":
        yield from _states(content.value, "$", deep=deep)  # type: ignore[arg-type]  # by kind


def _states(value: Value, path: str, *, deep: bool) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _states(item, f"{path}[*]", deep=deep)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if isinstance(item, str) and (key in _STATES or key.endswith(_ENDINGS)):
            yield child(path, key), item.lower()
        elif deep and isinstance(item, dict | list):
            yield from _states(item, child(path, key), deep=deep)

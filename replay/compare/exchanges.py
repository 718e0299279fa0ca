"""
Compare one recorded exchange with one observed one.

Order of questions: was there an answer, which status, which headers (`headers`), what kind of body, and then the body's parts (`bodies`).
Where the status changes its class (2xx, 4xx, …) the bodies speak of different things, so their difference is one *derived* difference and not
one per key.
"""

from replay.compare.bodies import body_difference, body_quirk, compare_bodies, content_of
from replay.compare.difference import Difference
from replay.compare.headers import compare_headers
from replay.compare.rpc import compare_messages, messages_of
from replay.compare.state import Scene
from replay.compare.streams import compare_ends
from replay.content import Content, Number, Value
from replay.model import DifferenceClass, EndReason, Exchange, NoResponse, Response

_CLIENT_ERRORS = 400


def compare_exchange(recorded: Exchange, observed: Exchange, scene: Scene) -> list[Difference]:
    """
    List how the observed answer differs from the recorded one.

    The recorded exchange must hold a `Response`; without one there is nothing to compare with (a gap, the caller's affair).
    """
    left, right = recorded.outcome, observed.outcome
    assert isinstance(left, Response)
    if isinstance(right, NoResponse):
        return [_no_response(left, right, hung=observed.end is EndReason.TIMEOUT)]
    one, two = content_of(left), content_of(right)
    head = bool(recorded.request.method.upper() == b"HEAD")
    found: list[Difference] = []
    derived_from = ""
    if left.status != right.status:
        found.append(_status(left, right, body_quirk(one, two, right.status)))
        if _speaks_of_something_else(left.status, right.status):
            derived_from = f"the status ({left.status} → {right.status})"
    if left.body is None and not head:
        # Its client left before the body was whole, so the recording never saw it: no body of the candidate can be wrong.
        scene.side.not_compared["bodies that the recording does not hold"] += 1
    elif right.body is None and not head:
        found.append(body_difference("body-missing", one, two, derived_from))
    elif one.kind != two.kind and not _both_texts(one, two):
        found.append(body_difference("body-kind", one, two, derived_from, right.status))
        if not derived_from:
            found.extend(_same_messages(one, two, scene))
        derived_from = derived_from or f"the body's kind ({one.kind} → {two.kind})"
    elif derived_from:
        if one.value != two.value:
            found.append(body_difference("body", one, two, derived_from, right.status))
    else:
        found.extend(compare_bodies(recorded, observed, one, two, scene))
        found.extend(compare_ends(recorded, observed, one))
    found.extend(compare_headers(left, right, scene, derived_from, head=head))
    return found


def _no_response(left: Response, right: NoResponse, *, hung: bool) -> Difference:
    words, quirk = ("no answer in time", "q-hangs") if hung else ("no answer", "")
    return Difference(DifferenceClass.STRUCTURAL, "no-response", "status", "status", _number(left.status), right.error, words, quirk)


def _status(left: Response, right: Response, quirk: str) -> Difference:
    change = f"{left.status} → {right.status}"
    refused = quirk if quirk != "q-error-envelope" else ""  # which says how it was said, and not why
    one, two = _number(left.status), _number(right.status)
    return Difference(DifferenceClass.STRUCTURAL, "status", "status", "status", one, two, change, refused)


def _same_messages(one: Content, two: Content, scene: Scene) -> list[Difference]:
    """An MCP server may answer with JSON or with a stream; what it says is compared either way."""
    messages = messages_of(one)
    others = messages_of(two) if messages else []
    return list(compare_messages(messages, others, scene)) if others else []


def _speaks_of_something_else(one: int, two: int) -> bool:
    """
    Whether two statuses make two bodies that have nothing to do with each other.

    Another class, two different refusals, or "still at it" against "done" do; 200 and 201 do not.
    """
    return one // 100 != two // 100 or one >= _CLIENT_ERRORS or 202 in {one, two}


def _both_texts(one: Content, two: Content) -> bool:
    return {one.kind, two.kind} == {"text", "html"} and one.media_type == two.media_type


def _number(amount: int) -> Value:
    return Number(str(amount))

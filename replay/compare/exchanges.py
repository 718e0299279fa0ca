"""
Compare one recorded exchange with one observed one.

Order of questions: was there an answer, which status, which headers, what kind of body, and then the body's parts.
Where the status changes its class (2xx, 4xx, …) the bodies speak of different things, so their difference is one *derived* difference and not
one per key. Headers of the transport (date, length, connection) are left out and counted.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from replay.compare.difference import ABSENT, Difference
from replay.compare.state import Place, Scene
from replay.compare.walk import walk_pair
from replay.content import Content, Event, Number, Value, parse
from replay.model import DifferenceClass, EndReason, Exchange, NoResponse, Response

_TRANSPORT: Final = frozenset({"date", "content-length", "connection", "keep-alive", "transfer-encoding", "server"})
_STREAM_ENDS: Final = {
    EndReason.COMPLETE: "ended by the daemon",
    EndReason.SERVER_CLOSED: "broken off by the daemon",
    EndReason.CLIENT_LEFT: "left open",
    EndReason.TIMEOUT: "left open",
}
_ONE_TEXT: Final = frozenset({"json", "text", "html"})


def compare_exchange(recorded: Exchange, observed: Exchange, scene: Scene) -> list[Difference]:
    """
    List how the observed answer differs from the recorded one.

    The recorded exchange must hold a `Response`; without one there is nothing to compare with (a gap, the caller's affair).
    """
    left, right = recorded.outcome, observed.outcome
    assert isinstance(left, Response)
    if isinstance(right, NoResponse):
        hung = observed.end is EndReason.TIMEOUT
        return [
            Difference(
                DifferenceClass.STRUCTURAL,
                "no-response",
                "status",
                "status",
                _number(left.status),
                right.error,
                "no answer in time" if hung else "no answer",
                "q-hangs" if hung else "",
            )
        ]
    found: list[Difference] = []
    status_derived = ""
    if left.status != right.status:
        found.append(
            Difference(
                DifferenceClass.STRUCTURAL,
                "status",
                "status",
                "status",
                _number(left.status),
                _number(right.status),
                f"{left.status} → {right.status}",
            )
        )
        if _speaks_of_something_else(left.status, right.status):
            status_derived = f"the status ({left.status} → {right.status})"
    one = parse(left.body or b"", left.header(b"content-type"))
    two = parse(right.body or b"", right.header(b"content-type"))
    head = bool(recorded.request.method.upper() == b"HEAD")
    kind_derived = ""
    if left.body is None and not head:
        # Its client left before the body was whole, so the recording never saw it: no body of the candidate can be wrong.
        scene.side.not_compared["bodies that the recording does not hold"] += 1
    elif right.body is None and not head:
        found.append(_whole("body-missing", one, two, status_derived))
    elif one.kind != two.kind and not _both_texts(one, two):
        found.append(_whole("body-kind", one, two, status_derived))
        kind_derived = f"the body's kind ({one.kind} → {two.kind})"
    elif status_derived:
        if one.value != two.value:
            found.append(_whole("body", one, two, status_derived))
    else:
        found.extend(_bodies(one, two, scene))
        found.extend(_notes(recorded, observed, one, two))
        found.extend(_ends(recorded, observed, one))
    found.extend(_headers(left, right, scene, status_derived or kind_derived))
    if head:
        found.extend(_lengths(left, right, status_derived))
    return found


def _speaks_of_something_else(one: int, two: int) -> bool:
    """
    Whether two statuses make two bodies that have nothing to do with each other.

    Another class, two different refusals, or "still at it" against "done" do; 200 and 201 do not.
    """
    return one // 100 != two // 100 or one >= 400 or 202 in {one, two}


def _both_texts(one: Content, two: Content) -> bool:
    return {one.kind, two.kind} == {"text", "html"} and one.media_type == two.media_type


def _number(amount: int) -> Value:
    return Number(str(amount))


def _whole(kind: str, one: Content, two: Content, derived_from: str) -> Difference:
    transition = f"{one.kind} → {two.kind}"
    return Difference(
        DifferenceClass.STRUCTURAL,
        kind,
        "body",
        "body",
        _as_value(one),
        _as_value(two),
        transition,
        "q-html-fallback" if two.kind == "html" and one.kind != "html" else "",
        (),
        derived_from,
    )


def _as_value(content: Content) -> Value:
    match content.kind:
        case "empty":
            return ""
        case "binary":
            assert isinstance(content.value, bytes)
            return f"{len(content.value)} bytes, sha256 {_digest(content.value)}"
        case "sse":
            return [_event(event) for event in content.value if isinstance(event, Event)]  # type: ignore[union-attr]
        case "ndjson" | "form":
            return [list(item) if isinstance(item, tuple) else item for item in content.value]  # type: ignore[union-attr,misc]
        case _:
            return content.value  # type: ignore[return-value]


def _event(event: Event) -> Value:
    """Everything of an event that a client can see."""
    value: dict[str, Value] = {"event": event.name, "data": event.data}
    if event.id is not None:
        value["lastEventId"] = event.id
    if event.retry is not None:
        value["retry"] = _number(event.retry)
    return value


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _bodies(one: Content, two: Content, scene: Scene) -> Iterator[Difference]:
    if one.kind == "sse":
        yield from _streams(one, two, scene)
        return
    if one.kind == "binary":
        if one.value != two.value:
            yield Difference(DifferenceClass.SEMANTIC, "value", "body", "body", _as_value(one), _as_value(two), "bytes")
        return
    suffix = "" if one.kind in _ONE_TEXT else f".<{one.kind}>"
    yield from walk_pair(_as_value(one), _as_value(two), scene, Place(f"${suffix}", f"${suffix}"))


def _notes(recorded: Exchange, observed: Exchange, one: Content, two: Content) -> Iterator[Difference]:
    if one.kind == "sse" and EndReason.CLIENT_LEFT in {recorded.end, observed.end}:
        # Whether the client left in the middle of an event is the client's affair.
        return
    odd_one, odd_two = _structural_notes(one), _structural_notes(two)
    if odd_one != odd_two:
        yield Difference(
            DifferenceClass.STRUCTURAL, "body-form", "body", "body", "; ".join(odd_one), "; ".join(odd_two), "how the body is written"
        )


def _structural_notes(content: Content) -> tuple[str, ...]:
    """Notes on the body that a client could trip over: duplicate keys, no UTF-8, no JSON."""
    return tuple(sorted({note.split(" at byte ")[0] for note in content.notes if not note.startswith("JSON, but the media type")}))


def _streams(one: Content, two: Content, scene: Scene) -> Iterator[Difference]:
    """Events as a sequence: data compared one by one, missing and extra events are structural."""
    if one.comments or two.comments:
        scene.side.not_compared["stream keep-alives and comments"] += len(one.comments) + len(two.comments)
    recorded, observed = _as_value(one), _as_value(two)
    for found in walk_pair(recorded, observed, scene, Place("$.<sse>", "$.<sse>")):
        whole_event = found.path in {"$.<sse>[*]", "$.<sse>"}
        if whole_event and found.kind in {"missing-item", "extra-item", "order"}:
            yield Difference(
                DifferenceClass.STRUCTURAL,
                "stream-events",
                found.path,
                found.at,
                found.recorded,
                found.observed,
                {"missing-item": "event missing", "extra-item": "event more", "order": "order"}[found.kind],
            )
        else:
            yield found


def _ends(recorded: Exchange, observed: Exchange, content: Content) -> Iterator[Difference]:
    """How an answer ended: whole, broken off by the daemon, or left open until its client went."""
    if recorded.end is EndReason.PROXY_STOPPED:
        return
    if content.kind in {"sse", "ndjson"}:
        one, two = _STREAM_ENDS.get(recorded.end), _STREAM_ENDS.get(observed.end)
    elif recorded.end is EndReason.COMPLETE:
        # Of an answer that came whole: the bytes may be all there, and a client still waits for the end, or reports that it was cut.
        one, two = _STREAM_ENDS[recorded.end], _STREAM_ENDS.get(observed.end)
    else:
        return
    if one is not None and two is not None and one != two:
        yield Difference(DifferenceClass.STRUCTURAL, "stream-end", "stream", "stream", one, two, f"{one} → {two}")


def _headers(left: Response, right: Response, scene: Scene, derived_from: str) -> Iterator[Difference]:
    one, two = _grouped(left), _grouped(right)
    for name in sorted(one.keys() | two.keys()):
        if name in _TRANSPORT:
            scene.side.not_compared[f"header {name}"] += 1
            continue
        values, others = one.get(name), two.get(name)
        if values == others:
            continue
        place = f"header:{name}"
        kind = "content-type" if name == "content-type" else "header"
        if values is None or others is None:
            transition = "absent → present" if values is None else "present → absent"
            recorded = ABSENT if values is None else ", ".join(values)
            observed = ABSENT if others is None else ", ".join(others)
            yield Difference(DifferenceClass.STRUCTURAL, kind, place, place, recorded, observed, transition, "", (), derived_from)
        elif kind == "content-type":
            spelt, other = [_media(value) for value in values], [_media(value) for value in others]
            if spelt != other:
                transition = f"{', '.join(spelt)} → {', '.join(other)}"
                recorded, observed = ", ".join(values), ", ".join(others)
                yield Difference(
                    DifferenceClass.STRUCTURAL, kind, place, place, recorded, observed, transition, "q-content-type", (), derived_from
                )
            else:
                scene.tolerate("content type spelt differently", place)
        else:
            for found in walk_pair(", ".join(values), ", ".join(others), scene, Place(place, place, name)):
                yield Difference(
                    found.difference, "header", place, place, found.recorded, found.observed, found.transition, "", found.ids, derived_from
                )


def _lengths(left: Response, right: Response, derived_from: str) -> Iterator[Difference]:
    """The length that an answer to HEAD announces is all that there is of its body: announced or not, something or nothing."""
    place = "header:content-length"
    one, two = ((item.header(b"content-length") or b"").decode("latin-1") for item in (left, right))
    if (one in {"", "0"}) != (two in {"", "0"}):
        yield Difference(DifferenceClass.STRUCTURAL, "header", place, place, one, two, f"{_amount(one)} → {_amount(two)}", "", (), derived_from)


def _amount(length: str) -> str:
    return {"": "absent", "0": "nothing"}.get(length, "something")


def _grouped(response: Response) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in response.headers:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


def _media(value: str) -> str:
    """A content type without spelling: lower case, parameters sorted, spaces gone."""
    essence, *parameters = value.lower().split(";")
    return "/".join((essence.strip(), *sorted(part.replace(" ", "").replace('"', "") for part in parameters if part.strip())))

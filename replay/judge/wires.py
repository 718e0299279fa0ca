"""What differs on the wire: statuses, headers, streams, and the calls of an RPC."""

from functools import lru_cache

from replay.judge.contents import of_store
from replay.judge.kinds import FIELDS, PRESENCE, Context, Kin, text_of, value_of
from replay.judge.sights import Sight
from replay.judge.things import family, steps
from replay.model import DifferenceClass
from replay.routes import by_name


def of_wire(place: Sight, context: Context) -> Kin | None:
    """Time, status, headers, streams and bodies as a whole."""
    cluster = place.cluster
    if cluster.difference is DifferenceClass.TIMING:
        return Kin("late", (place.thing.home,))
    match cluster.kind:
        case "status":
            return _of_status(place)
        case "header":
            if place.primary.status != place.candidate.status:
                return _of_status(place)
            return Kin("header")
        case "content-type":
            return Kin("header")
        case "stream-end":
            return Kin("stream-end")
        case "stream-events" if cluster.route in context.ending:
            return Kin("stream-end")
        case "stream-events" | "stream-order" | "late-event":
            return of_store(place)
        case "body-kind" | "bytes" | "body-missing" | "body-form":
            return _refused(place) or (Kin("error-words") if place.failed else of_store(place))
        case "no-response":
            return Kin("no-response", (family(cluster.route),))
        case _:
            return None


def _of_status(place: Sight) -> Kin:
    one, two = _statuses(place) if place.cluster.kind == "status" else (place.primary.status or 0, place.candidate.status or 0)
    refused = _refused(place)
    if refused is not None:
        return refused
    if _speaks_rpc(place.cluster.route):
        return Kin("rpc-transport")
    if two == 405 or (one == 405 and two == 404):
        return Kin("habit", ("q-method-not-allowed", "")) if one == 404 else Kin("not-there", (family(place.cluster.route),))
    if place.candidate.media_type == "text/html" and place.primary.media_type != "text/html":
        return Kin("habit", ("q-html-fallback", ""))
    if two == 501:
        return Kin("refusal", ("501", ""))
    if two >= 500:
        return Kin("refusal", (str(two), place.candidate.refusal))
    if one < 400:
        return _of_success(place, two)
    if two < 400:
        return Kin("lenient") if one in {400, 413, 414, 422, 431} else Kin("lenient-state", (place.thing.home,))
    return Kin("status-code")


@lru_cache(maxsize=4096)
def _speaks_rpc(route: str | None) -> bool:
    known = by_name().get(route or "")
    return known is not None and known.replay_class == "rpc"


def _of_success(place: Sight, two: int) -> Kin:
    if two < 400:
        return Kin("status-code")
    if two == 404:
        return of_store(place)
    return Kin("refusal", (str(two), place.candidate.refusal))


def _refused(place: Sight) -> Kin | None:
    """A refusal in plain text comes from the framework in front of the route, which knows the type that a body or query must have."""
    status = place.candidate.status or 0
    typed = status in {400, 413, 415, 422} and place.candidate.media_type == "text/plain" and place.candidate.text
    return Kin("habit", ("q-typed-body", "")) if typed else None


def _statuses(place: Sight) -> tuple[int, int]:
    values = [value_of(text) for text in (place.cluster.primary, place.cluster.candidate)]
    one, two = (value if isinstance(value, int) else 0 for value in values)
    return one, two


def of_tool_list(place: Sight, _: Context) -> Kin | None:
    """The list of tools, by what differs in it."""
    names = [step.name for step in steps(place.cluster.path) if step.kind == "key"]
    return Kin("tools", (_of_tools(place, names),)) if place.tool == "tools/list" and "tools" in names else None


def of_rpc(place: Sight, _: Context) -> Kin | None:
    """Calls of tools that are not there or fail, and what is said around the calls."""
    names = [step.name for step in steps(place.cluster.path) if step.kind == "key"]
    if not place.tool:
        return None
    if names[:1] == ["error"]:
        return Kin("error-words")
    if place.tool == "initialize":
        return Kin("rpc-versions")
    said = text_of(place.cluster.candidate) if names[-1:] == ["text"] and place.cluster.kind in FIELDS else None
    if place.cluster.kind == "rpc-error" or names[-1:] == ["isError"]:
        fails = "isError" in (place.cluster.candidate or "") or place.cluster.candidate == "true"
        return Kin("tool-fails") if fails else Kin("lenient-state", (place.thing.home,))
    # What was an object in JSON and is a sentence now is no answer of the tool.
    return Kin("tool-fails") if said and not said.lstrip().startswith(("{", "[")) else None


def _of_tools(place: Sight, names: list[str]) -> str:
    kind = place.cluster.kind
    if names == ["result", "tools"]:
        return "tools"
    if "properties" in names and kind in PRESENCE and names.index("properties") == len(names) - 2:
        return "parameters"
    return "words"

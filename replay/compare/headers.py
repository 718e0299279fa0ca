"""
Compare the headers of two answers.

Which headers count, and why
----------------------------
All of them, but for what only one connection can see: `date`, `server`, `connection`, `keep-alive`, `transfer-encoding`, and `content-length`
(chunked or not, a client gets the same body), which are counted. An answer to HEAD has no body, so there the length counts: whether
something, nothing, or no length is announced.

How each is compared depends on what a client does with it:

- `vary`, `allow`, `accept-ranges`, `access-control-allow-methods` … are sets: order, repetition and letter case say nothing.
- `cache-control` is a set of directives, with their amounts.
- `set-cookie` is one thing for each cookie: its attributes must be the same, its value is the daemon's own to choose.
- `etag`, `mcp-session-id`, `x-request-id` and their like are opaque: a client only gives them back. One recorded value is one observed value.
- `retry-after` and `x-ratelimit-reset` are times to wait, or moments. `server-timing` and its like are measured.
- `content-type` is compared by type and parameters, `link` by its links; `location` and everything else as text, with ids and times as roles.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Final

from replay.compare.difference import ABSENT, Difference
from replay.compare.leaves import relate
from replay.compare.state import Place, Scene
from replay.compare.walk import walk_pair
from replay.content import Number, Value
from replay.identity import classify
from replay.model import DifferenceClass, Header, IdMapping, Response

_TRANSPORT: Final = frozenset({"date", "content-length", "connection", "keep-alive", "transfer-encoding", "server"})
_SETS: Final = frozenset(
    {
        "accept-ranges",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-expose-headers",
        "allow",
        "cache-control",
        "content-encoding",
        "content-language",
        "pragma",
        "vary",
    }
)
_OPAQUE: Final = re.compile(r"etag|.*-(?:request|session|trace|correlation)-id|x-(?:request|trace|correlation)id|traceparent")
_WAITS: Final = re.compile(r"retry-after(?:-ms)?|(?:x-)?rate-?limit-reset(?:-.*)?|x-ratelimit-.*-reset")
_MEASURED: Final = frozenset({"server-timing", "x-response-time", "x-runtime", "x-process-time", "x-duration", "x-duration-ms"})
_AMOUNT: Final = re.compile(r"\d+(?:\.\d+)?")
_LINK: Final = re.compile(r"<([^>]*)>((?:[^,\"]|\"[^\"]*\")*)")
_COOKIE_NUMBERS: Final = frozenset({"max-age"})
_FREE_MIN: Final = 8
"""A shorter opaque value may stand anywhere by chance, so it is no identity and must be equal."""
_WAIT_SLACK_S: Final = 5.0
_EPOCH_S: Final = 1_000_000_000
_TOLD_MAX: Final = 50

type _Compare = Callable[[str, Sequence[str], Sequence[str], Scene], Iterator[Difference]]


def compare_headers(left: Response, right: Response, scene: Scene, derived_from: str, *, head: bool) -> Iterator[Difference]:
    """
    Yield how two heads differ; all of it follows from *derived_from* where that is said.

    *head* says that the answers are to HEAD requests, where the length is all there is of a body.
    """
    for found in _compare(_grouped(left.headers), _grouped(right.headers), "header", scene):
        yield replace(found, derived_from=derived_from) if derived_from else found
    for found in _compare(_grouped(left.trailers), _grouped(right.trailers), "trailer", scene):
        yield replace(found, derived_from=derived_from) if derived_from else found
    if head:
        for found in _lengths(left, right):
            yield replace(found, derived_from=derived_from) if derived_from else found


def media_of(value: str) -> tuple[str, tuple[str, ...]]:
    """Give a content type's essence and its parameters without spelling: lower case, parameters sorted, spaces and quotes gone."""
    essence, *parameters = value.lower().split(";")
    return essence.strip(), tuple(sorted(part.replace(" ", "").replace('"', "") for part in parameters if part.strip()))


def _compare(one: dict[str, list[str]], two: dict[str, list[str]], word: str, scene: Scene) -> Iterator[Difference]:
    for name in sorted(one.keys() | two.keys()):
        if name in _TRANSPORT:
            scene.side.not_compared[f"{word} {name}"] += 1
            continue
        values, others = one.get(name), two.get(name)
        if values is None or others is None:
            yield _alone(name, values, others, word)
        elif values != others or _is_renamed(values[0], scene):
            place = f"{word}:{name}"
            for found in _way_of(name)(name, values, others, scene):
                yield replace(found, path=place, at=place) if found.path.startswith("header") else found


def _is_renamed(value: str, scene: Scene) -> bool:
    """Whether a value is the recorded run's own, which has another name over there: then equal is wrong."""
    return any(scene.side.bindings.observed_for(word) not in {None, word} for word in (value, _bare(value)))


def _way_of(name: str) -> _Compare:
    known = _WAYS.get(name)
    if known is not None:
        return known
    if name in _SETS:
        return _sets
    if name in _MEASURED:
        return _measured
    if _WAITS.fullmatch(name):
        return _waits
    return _opaque if _OPAQUE.fullmatch(name) else _texts


def _alone(name: str, values: list[str] | None, others: list[str] | None, word: str) -> Difference:
    place, kind = f"{word}:{name}", "content-type" if name == "content-type" else "header"
    transition = "absent → present" if values is None else "present → absent"
    recorded = ABSENT if values is None else _joined(values)
    observed = ABSENT if others is None else _joined(others)
    return Difference(DifferenceClass.STRUCTURAL, kind, place, place, recorded, observed, transition)


def _difference(
    name: str, values: Sequence[str], others: Sequence[str], transition: str, quirk: str = "", *, structural: bool = False
) -> Difference:
    place, grade = f"header:{name}", DifferenceClass.STRUCTURAL if structural else DifferenceClass.SEMANTIC
    return Difference(grade, "header", place, place, _joined(values), _joined(others), transition, quirk)


def _joined(values: Sequence[str]) -> str:
    return ", ".join(values)


# --- text, and what a client opens no further ---


def _texts(name: str, values: Sequence[str], others: Sequence[str], scene: Scene) -> Iterator[Difference]:
    for found in relate(_joined(values), _joined(others), scene, _place(name)):
        place = f"header:{name}"
        one, two = _joined(values), _joined(others)
        yield Difference(found.difference, "header", place, place, one, two, found.transition, found.quirk, found.ids)


def _place(name: str) -> Place:
    return Place(f"header:{name}", f"header:{name}", name)


def _opaque(name: str, values: Sequence[str], others: Sequence[str], scene: Scene) -> Iterator[Difference]:
    one, two = _joined(values), _joined(others)
    if name == "etag" and one.startswith("W/") != two.startswith("W/"):
        yield _difference(name, values, others, "weak → strong" if one.startswith("W/") else "strong → weak")
    yield from _identities(name, one, two, scene, name)


def _identities(name: str, one: str, two: str, scene: Scene, what: str) -> Iterator[Difference]:
    """Compare two values that their daemons chose: ids by their relation, anything else as a name of its own."""
    left, right = _bare(one), _bare(two)
    if classify(left) is not None or classify(right) is not None or min(len(left), len(right)) < _FREE_MIN:
        yield from _texts(name, [one], [two], scene)
        return
    bindings, place = scene.side.bindings, f"header:{name}"
    known, owner = bindings.observed_for(left), bindings.recorded_for(right)
    if known is not None or (owner is not None and owner != left):
        if known == right:
            scene.tolerate("renamed id", place)
            return
        recorded, observed = (left, known) if known is not None else (owner or "", right)
        shown = IdMapping(what, recorded, observed, scene.side.born.get(("token", recorded), ""))
        words = f"{what} → another {what}" if known is not None else f"two recorded values of {what} became one"
        yield Difference(DifferenceClass.STRUCTURAL, "header", place, place, one, two, words, "", (shown,))
    elif left == right:
        return
    elif scene.binding and any(map(str.isdigit, left)):
        bindings.bind("token", left, right, scene.exchange, place)
        scene.side.born["token", left] = f"#{scene.exchange} {scene.route} {place}"
        scene.tolerate("renamed id", place)
    else:
        scene.tolerate("renamed id, not verified", place)


def _bare(value: str) -> str:
    return value.removeprefix("W/").strip('"')


# --- sets and directives ---


def _sets(name: str, values: Sequence[str], others: Sequence[str], scene: Scene) -> Iterator[Difference]:
    one, two = _members(values), _members(others)
    if one == two:
        if scene.bytewise:
            yield _bytes(name, values, others, "order, repetition or case of a list")
        else:
            scene.tolerate("the same set, written otherwise", f"header:{name}")
        return
    words = [f"{member} missing" for member in sorted(one.keys() - two.keys())]
    words += [f"{member} more" for member in sorted(two.keys() - one.keys())]
    words += [f"{member}: another amount" for member in sorted(one.keys() & two.keys()) if one[member] != two[member]]
    yield _difference(name, values, others, _words(words))


def _members(values: Sequence[str]) -> dict[str, str]:
    """A list's members in lower case, each with what follows its `=`."""
    parts = [part.strip().lower() for value in values for part in value.split(",") if part.strip()]
    return {key.strip(): amount.strip(' "') for key, _, amount in (part.partition("=") for part in parts)}


def _words(words: list[str]) -> str:
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")


def _bytes(name: str, values: Sequence[str], others: Sequence[str], transition: str) -> Difference:
    place = f"header:{name}"
    return Difference(DifferenceClass.SEMANTIC, "bytes", place, place, _joined(values), _joined(others), transition)


# --- content type ---


def _content_type(name: str, values: Sequence[str], others: Sequence[str], scene: Scene) -> Iterator[Difference]:
    one, two = [media_of(value) for value in values], [media_of(value) for value in others]
    if one == two:
        if scene.bytewise:
            yield _bytes(name, values, others, "content type spelt differently")
        elif list(values) != list(others):
            scene.tolerate("content type spelt differently", f"header:{name}")
        return
    transition = f"{_joined([_spelt(media) for media in one])} → {_joined([_spelt(media) for media in two])}"
    same_type = [media[0] for media in one] == [media[0] for media in two]
    quirk = "q-charset" if same_type and all(_only_charset(media) for media in (*one, *two)) else "q-content-type"
    place = f"header:{name}"
    yield Difference(DifferenceClass.STRUCTURAL, "content-type", place, place, _joined(values), _joined(others), transition, quirk)


def _spelt(media: tuple[str, tuple[str, ...]]) -> str:
    return "/".join((media[0], *media[1]))


def _only_charset(media: tuple[str, tuple[str, ...]]) -> bool:
    return all(part.startswith("charset=") for part in media[1])


# --- cookies ---


def _cookies(name: str, values: Sequence[str], others: Sequence[str], scene: Scene) -> Iterator[Difference]:
    one, two = _jar(values), _jar(others)
    for cookie in sorted(one.keys() | two.keys())[:_TOLD_MAX]:
        left, right = one.get(cookie), two.get(cookie)
        if left is None or right is None:
            yield _difference(name, values, others, "cookie more" if left is None else "cookie missing", structural=True)
            continue
        yield from _identities(name, left[""], right[""], scene, "cookie")
        for attribute in sorted((left.keys() | right.keys()) - {""}):
            first, second = left.get(attribute), right.get(attribute)
            if first is None or second is None:
                yield _difference(name, values, others, f"{attribute} {'more' if first is None else 'missing'}", structural=True)
            elif first.lower() != second.lower():
                yield from _attribute(name, (values, others), attribute, (first, second), scene)


def _attribute(
    name: str, whole: tuple[Sequence[str], Sequence[str]], attribute: str, pair: tuple[str, str], scene: Scene
) -> Iterator[Difference]:
    one: Value = Number(pair[0]) if attribute in _COOKIE_NUMBERS and pair[0].isdigit() else pair[0]
    two: Value = Number(pair[1]) if attribute in _COOKIE_NUMBERS and pair[1].isdigit() else pair[1]
    for found in relate(one, two, scene, _place(name)):
        yield _difference(name, *whole, f"{attribute}: {found.transition}", found.quirk)


def _jar(values: Sequence[str]) -> dict[str, dict[str, str]]:
    """Cookies by name; the empty attribute is the cookie's value."""
    jar: dict[str, dict[str, str]] = {}
    for value in values:
        pair, *rest = value.split(";")
        cookie, _, content = pair.partition("=")
        attributes = {key.strip().lower(): amount.strip() for key, _, amount in (part.partition("=") for part in rest)}
        jar[cookie.strip()] = {**attributes, "": content.strip()}
    return jar


# --- waiting, measuring, linking ---


def _waits(name: str, values: Sequence[str], others: Sequence[str], scene: Scene) -> Iterator[Difference]:
    one, two = _joined(values), _joined(others)
    if not (_is_amount(one) and _is_amount(two)):
        if _is_amount(one) != _is_amount(two):
            yield _difference(name, values, others, f"{_waiting(one)} → {_waiting(two)}", "q-time-format")
        else:
            yield from _texts(name, values, others, scene)
        return
    first, second = float(one), float(two)
    unit = 1000.0 if name.endswith("-ms") else 1.0
    if min(first, second) >= _EPOCH_S:
        for found in relate(Number(one), Number(two), scene, Place(f"header:{name}", f"header:{name}", "resetAt")):
            yield _difference(name, values, others, found.transition, found.quirk)
    elif max(first, second) >= _EPOCH_S:
        yield _difference(name, values, others, "duration → moment" if second >= _EPOCH_S else "moment → duration", "q-time-format")
    elif one.isdigit() != two.isdigit():
        yield _difference(name, values, others, "whole → fractional" if one.isdigit() else "fractional → whole", "q-number-format")
    elif abs(first - second) > _WAIT_SLACK_S * unit or (min(first, second) == 0 and max(first, second) > unit):
        yield _difference(name, values, others, "another time to wait")
    else:
        scene.tolerate("time to wait", f"header:{name}")


def _is_amount(text: str) -> bool:
    return len(text) < 20 and text.isascii() and _AMOUNT.fullmatch(text) is not None


def _waiting(text: str) -> str:
    return "seconds" if _is_amount(text) else "moment" if text else "empty"


def _measured(name: str, values: Sequence[str], others: Sequence[str], scene: Scene) -> Iterator[Difference]:
    if _AMOUNT.sub("<n>", _joined(values)) == _AMOUNT.sub("<n>", _joined(others)):
        scene.tolerate("duration or process fact", f"header:{name}")
    else:
        yield from _texts(name, values, others, scene)


def _links(name: str, values: Sequence[str], others: Sequence[str], scene: Scene) -> Iterator[Difference]:
    one, two = ([_link(match) for match in _LINK.finditer(_joined(side))] for side in (values, others))
    if not one or not two:
        yield from _texts(name, values, others, scene)
        return
    for found in islice(walk_pair(one, two, scene, _place(name)), _TOLD_MAX):
        yield _difference(name, values, others, f"{found.kind}: {found.transition}", found.quirk)


def _link(match: re.Match[str]) -> Value:
    members = (part.partition("=") for part in match.group(2).split(";") if part.strip())
    return {"url": match.group(1), **{key.strip().lower(): value.strip().strip('"') for key, _, value in members}}


def _challenges(name: str, values: Sequence[str], others: Sequence[str], scene: Scene) -> Iterator[Difference]:
    """A scheme's letter case says nothing."""
    one, two = ([_challenge(value) for value in side] for side in (values, others))
    if one != two:
        yield from _texts(name, one, two, scene)


def _challenge(value: str) -> str:
    scheme, space, rest = value.partition(" ")
    return scheme.lower() + space + rest


_WAYS: Final = MappingProxyType(
    {
        "content-type": _content_type,
        "set-cookie": _cookies,
        "link": _links,
        "www-authenticate": _challenges,
    }
)


# --- lengths ---


def _lengths(left: Response, right: Response) -> Iterator[Difference]:
    """The length that an answer to HEAD announces is all that there is of its body: something, nothing, or no length at all."""
    one, two = _announced(left), _announced(right)
    if one != two and not {one, two} <= {"absent", "chunked"}:
        place = "header:content-length"
        quirk = "q-chunked" if "chunked" in {one, two} else ""
        values = [(item.header(b"content-length") or b"").decode("latin-1") for item in (left, right)]
        yield Difference(DifferenceClass.STRUCTURAL, "header", place, place, values[0], values[1], f"{one} → {two}", quirk)


def _announced(response: Response) -> str:
    length = response.header(b"content-length")
    if not length:
        coding = response.header(b"transfer-encoding") or b""
        return "chunked" if b"chunked" in coding.lower() else "absent"
    return "nothing" if length.strip(b"0 ") == b"" else "something"


def _grouped(headers: Sequence[Header]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return grouped

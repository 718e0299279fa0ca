"""
Byte for byte: what two bodies write differently though they mean the same.

How this works
--------------
Ids and times stand for one another here, too, so bytes can't simply be equal. What differs in meaning is found by the comparison of meaning,
which says number spellings and all that texts hold. What it passes on purpose is found here, each as a `bytes` difference that names it: the
order of keys, white space between the parts, escapes in texts, how fields of a form are encoded, and how events and lines are framed.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import unquote_plus

from replay.compare.blinding import blind_text
from replay.compare.difference import Difference
from replay.content import Content, Value, child
from replay.model import DifferenceClass

_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[ \t\r\n]++|[{}\[\],:]|[^ \t\r\n{}\[\],:"]++', re.DOTALL)
_LINE: Final = re.compile(r"([^\r\n]*+)(\r\n|\n|\r|\Z)")
_SIGNS: Final = frozenset("{}[],:")
_SHOWN_MAX: Final = 120
_KEYS_TOLD_MAX: Final = 200


def compare_layouts(recorded: bytes, observed: bytes, one: Content, two: Content) -> Iterator[Difference]:
    """Yield what two bodies of one kind write differently beside what they mean."""
    if recorded == observed:
        return
    left, right = (body.decode("utf-8", "surrogateescape") for body in (recorded, observed))
    match one.kind:
        case "json":
            yield from _key_orders(cast("Value", one.value), cast("Value", two.value), "$", "$")
            yield from _tokens(left, right, "$")
        case "ndjson":
            yield from _framing(_line_ends(left), _line_ends(right), "ends of lines", "$.<ndjson>")
            lines = [[line for line in text.splitlines() if line.strip()] for text in (left, right)]
            for index, (first, second) in enumerate(zip(one.value, two.value, strict=False)):  # type: ignore[arg-type]  # by kind
                yield from _key_orders(cast("Value", first), cast("Value", second), f"$.<ndjson>[{index}]", "$.<ndjson>[*]")
            yield from _tokens("\n".join(lines[0]), "\n".join(lines[1]), "$.<ndjson>[*]")
        case "sse":
            yield from _framing(_line_ends(left), _line_ends(right), "ends of lines", "$.<sse>")
            yield from _framing(_shapes(left), _shapes(right), "framing of events", "$.<sse>[*]")
        case "form":
            yield from _fields(left, right)
        case _:
            return


def _difference(path: str, at: str, one: str, two: str, transition: str) -> Difference:
    return Difference(DifferenceClass.SEMANTIC, "bytes", path, at, one[:_SHOWN_MAX], two[:_SHOWN_MAX], transition)


# --- key order ---


def _key_orders(recorded: Value, observed: Value, at: str, path: str) -> Iterator[Difference]:
    """One difference for each place whose objects have their common keys in another order."""
    told: set[str] = set()
    stack: list[tuple[Value, Value, str, str]] = [(recorded, observed, at, path)]
    while stack and len(told) < _KEYS_TOLD_MAX:
        one, two, here, skeleton = stack.pop()
        if isinstance(one, dict) and isinstance(two, dict):
            keys, others = [key for key in one if key in two], [key for key in two if key in one]
            if keys != others and skeleton not in told:
                told.add(skeleton)
                yield _difference(skeleton, here, " ".join(keys), " ".join(others), "order of keys")
            stack.extend((one[key], two[key], child(here, key), child(skeleton, blind_text(key))) for key in keys)
        elif isinstance(one, list) and isinstance(two, list):
            pairs = enumerate(zip(one, two, strict=False))
            stack.extend((first, second, f"{here}[{index}]", f"{skeleton}[*]") for index, (first, second) in pairs)


# --- white space and escapes ---


@dataclass(frozen=True, slots=True)
class _Tokens:
    gaps: tuple[str, ...]
    """The white space before each token, and at the end."""
    style: Mapping[tuple[str, str], frozenset[str]]
    """(sign before, sign after) → white space between them: how it is set, whatever the number of parts."""
    texts: dict[str, str]
    """Each text, as it is spelt where it first stands."""


def _tokens(recorded: str, observed: str, path: str) -> Iterator[Difference]:
    one, two = _read(recorded), _read(observed)
    if len(one.gaps) == len(two.gaps):
        apart = [] if one.gaps == two.gaps else list(one.style)
    else:  # other parts: only what stands between the same signs on both sides can be said to be set otherwise
        apart = [signs for signs, gaps in one.style.items() if two.style.get(signs, gaps) != gaps]
    if apart:
        words = [" ".join(json.dumps(sorted(side.style[signs])) for signs in apart[:4] if signs in side.style) for side in (one, two)]
        yield _difference(path, path, words[0], words[1], "white space")
    spelt = next(((raw, two.texts[text]) for text, raw in one.texts.items() if two.texts.get(text, raw) != raw), None)
    if spelt is not None:
        yield _difference(path, path, spelt[0], spelt[1], "escapes in texts")


def _read(text: str) -> _Tokens:
    gaps: list[str] = []
    style: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    texts: dict[str, str] = {}
    gap, before = "", ""
    for match in _TOKEN.finditer(text):
        part = match.group()
        if part[0] in " \t\r\n":
            gap = part
            continue
        after = part if part in _SIGNS else "…"
        gaps.append(gap)
        style[before, after].add(_measure(gap))
        if part[0] == '"':
            texts.setdefault(_decoded(part), part)
        gap, before = "", after
    gaps.append(gap)
    style[before, ""].add(gap)
    return _Tokens(tuple(gaps), {signs: frozenset(found) for signs, found in style.items()}, texts)


def _measure(gap: str) -> str:
    """Indentation grows with depth: how deep says nothing of the style."""
    return "\n" if gap.startswith("\n") else "\r\n" if gap.startswith("\r\n") else gap


def _decoded(token: str) -> str:
    try:
        text: str = json.loads(token)
    except ValueError:  # a control character that the JSON was refused for
        return token
    return text


# --- lines, events and fields ---


def _framing(one: frozenset[str], two: frozenset[str], words: str, path: str) -> Iterator[Difference]:
    if one != two:
        yield _difference(path, path, " ".join(sorted(one)), " ".join(sorted(two)), words)


def _line_ends(text: str) -> frozenset[str]:
    ends = {json.dumps(match.group(2)) for match in _LINE.finditer(text) if match.group(2)}
    return frozenset(ends | ({"none at the end"} if text and text[-1] not in "\r\n" else set()))


def _shapes(text: str) -> frozenset[str]:
    """How events are written: the fields of each in their order, with the space after the colon."""
    shapes: set[str] = set()
    fields: list[str] = []
    for match in _LINE.finditer(text):
        line = match.group(1)
        if line.startswith(":"):
            continue
        if line:
            name, colon, value = line.partition(":")
            fields.append(f"{name}{colon}{'_' if value.startswith(' ') else ''}")
        elif fields:
            shapes.add(" ".join(fields))
            fields = []
    return frozenset(shapes)


def _fields(recorded: str, observed: str) -> Iterator[Difference]:
    one, two = recorded.split("&"), observed.split("&")
    # Fields that differ in meaning are told already; here only how what is the same was encoded.
    for left, right in zip(one, two, strict=False):
        if left != right and _plain(left) == _plain(right):
            yield _difference("$.<form>", "$.<form>", left, right, "encoding of fields")
            return
    if sorted(map(_plain, one)) == sorted(map(_plain, two)) and list(map(_plain, one)) != list(map(_plain, two)):
        yield _difference("$.<form>", "$.<form>", recorded, observed, "order of fields")


def _plain(field: str) -> str:
    return unquote_plus(field)

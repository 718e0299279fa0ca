"""
Where a body can be changed, and how a change is put back by exact span.

How this works
--------------
A body becomes *pages*: texts in which values stand. JSON is one page, an event stream one for each event's data, NDJSON one for each line, and a
string that holds JSON is a page of its own inside another one. Each value on a page is a `Spot` with its span, so a change replaces that span
alone; the page knows how its new text goes back into the body, through as many strings as it lies in. Text that is no JSON is one spot.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from replay.compare.blinding import blind_text
from replay.content import Content, child, embedded
from replay.content.parse import decode

_TOKEN: Final = re.compile(r'[ \t\r\n]*+([{}\[\],:]|"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s{}\[\],:"]+)', re.DOTALL)
_DATA: Final = re.compile(r"^data:(?: )?(.*)$", re.MULTILINE)
_LONE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_KINDS: Final = {"{": "object", "[": "list", '"': "string", "t": "boolean", "f": "boolean", "n": "null"}

type Whole = Callable[[str], str]
"""From a page's new text to the body's."""


@dataclass(frozen=True, slots=True)
class Page:
    """A text in which values stand, inside a body."""

    text: str
    whole: Whole


@dataclass(frozen=True, slots=True)
class Spot:
    """A value of a body and where it stands."""

    page: Page
    kind: str
    """`object`, `list`, `string`, `number`, `boolean`, `null`, or `text` for a text that is no JSON."""
    start: int
    end: int
    at: str
    path: str
    """The same as a skeleton, spelt as the comparer spells it."""
    key: str
    """The nearest object key."""
    members: tuple[tuple[str, int, "Spot"], ...] = ()
    """Of an object: key, where the key begins, value."""
    items: tuple["Spot", ...] = ()
    """Of a list."""
    value: str = ""
    """Of a string or text: what it says."""

    @property
    def source(self) -> str:
        """The value as it is spelt."""
        return self.page.text[self.start : self.end]

    def put(self, new: str) -> str:
        """Give the body's text with *new* at this place."""
        return self.replace(self.start, self.end, new)

    def replace(self, start: int, end: int, new: str) -> str:
        """Give the body's text with *new* for a span of this page."""
        return self.page.whole(self.page.text[:start] + new + self.page.text[end:])


def spell(text: str) -> str:
    """Spell a text as a JSON string; a lone surrogate stays escaped, since no body can hold it otherwise."""
    return _LONE.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(text, ensure_ascii=False))


def spots_of(body: bytes, content: Content) -> list[Spot]:
    """List every value of a body, outer ones before inner ones; nothing for bytes that are no text."""
    text, odd = decode(body)
    match content.kind:
        case "json" if not text.startswith("\ufeff"):
            roots = [_root(Page(text, _same), "$")]
        case "ndjson":
            roots = list(_lines(text))
        case "sse":
            roots = list(_events(text))
        case "text" | "html" if not odd:
            roots = [Spot(Page(text, _same), "text", 0, len(text), "$", "$", "", value=text)]
        case _:
            return []
    return [spot for root in roots for spot in _all(root)]


def _same(text: str) -> str:
    return text


def _lines(text: str) -> Iterator[Spot]:
    position, number = 0, 0
    for line in text.splitlines(keepends=True):
        stripped = line.rstrip("\r\n")
        if stripped.strip():
            yield from _inside(text, position, position + len(stripped), f"$.<ndjson>[{number}]", "$.<ndjson>[*]")
            number += 1
        position += len(line)


def _events(text: str) -> Iterator[Spot]:
    """Give what each event of one data line holds; data over several lines is left alone."""
    number = 0
    position = 0
    for block in re.split(r"(\r?\n\r?\n)", text):
        lines = list(_DATA.finditer(block))
        if lines:
            if len(lines) == 1:
                start, end = lines[0].span(1)
                end -= block[start:end].endswith("\r")
                yield from _inside(text, position + start, position + end, f"$.<sse>[{number}].data", "$.<sse>[*].data")
            number += 1
        position += len(block)


def _inside(text: str, start: int, end: int, at: str, path: str) -> Iterator[Spot]:
    def whole(new: str) -> str:
        return text[:start] + new + text[end:]

    page = Page(text[start:end], whole)
    try:
        json.loads(page.text)
    except (ValueError, RecursionError):
        yield Spot(page, "text", 0, len(page.text), at, path, "", value=page.text)
    else:
        yield _root(page, at, path)


def _root(page: Page, at: str, path: str = "$", key: str = "") -> Spot:
    tokens = _TOKEN.finditer(page.text)
    return _read(page, tokens, next(tokens), at, path, key)


def _read(page: Page, tokens: Iterator[re.Match[str]], token: re.Match[str], at: str, path: str, key: str) -> Spot:  # noqa: PLR0917
    """Read one value, which begins with *token*; the text is known to be JSON, and not nested beyond what the parser takes."""
    start = token.start(1)
    kind = _KINDS.get(token[1][0], "number")
    if kind == "object":
        members: list[tuple[str, int, Spot]] = []
        while (name := next(tokens))[1] != "}":
            if name[1] == ",":
                name = next(tokens)
            spelt = json.loads(name[1])
            next(tokens)
            members.append((spelt, name.start(1), _read(page, tokens, next(tokens), child(at, spelt), child(path, blind_text(spelt)), spelt)))
        return Spot(page, kind, start, name.end(1), at, path, key, members=tuple(members))
    if kind == "list":
        items: list[Spot] = []
        while (item := next(tokens))[1] != "]":
            if item[1] == ",":
                item = next(tokens)
            items.append(_read(page, tokens, item, f"{at}[{len(items)}]", f"{path}[*]", key))
        return Spot(page, kind, start, item.end(1), at, path, key, items=tuple(items))
    value = json.loads(token[1]) if kind == "string" else ""
    return Spot(page, kind, start, token.end(1), at, path, key, value=value)


def _all(root: Spot) -> Iterator[Spot]:
    stack = [root]
    while stack:
        spot = stack.pop()
        yield spot
        stack.extend(item for _, _, item in reversed(spot.members))
        stack.extend(reversed(spot.items))
        if spot.kind in {"string", "text"} and embedded(spot.value) is not None:
            stack.append(_opened(spot))


def _opened(outer: Spot) -> Spot:
    """Give the JSON in a string."""

    def whole(new: str) -> str:
        return outer.put(spell(new) if outer.kind == "string" else new)

    return _root(Page(outer.value, whole), f"{outer.at}.<json>", f"{outer.path}.<json>", outer.key)

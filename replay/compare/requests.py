"""
What the requests say about ids: where the same client sent one id in the recording and another one in the replay, the two stand for each other.

A client sends an id because it meant that very thing, so this is the strongest evidence there is, and it comes before the answers are read.
"""

import re
from collections.abc import Iterator
from typing import Final

from replay.compare.blinding import blind_text
from replay.compare.state import Side
from replay.content import Content, parse, strings
from replay.identity import ID_KINDS, find
from replay.model import Exchange

NOBODY: Final = "00000000-0000-4000-8000-000000000000"
"""What clients send where they have no id: it stands for nobody."""
_BODY_BYTES_MAX: Final = 1_000_000
_CREDENTIALS: Final = re.compile(rb"(?i)authorization|cookie|x-api-key")


def learn_request(recorded: Exchange, observed: Exchange, side: Side, route: str) -> None:
    """Bind the ids that stand at the same places of both requests."""
    for place, left, right in _texts(recorded, observed):
        one, two = find(left), find(right)
        if len(one) != len(two):
            continue
        for span, other in zip(one, two, strict=True):
            kind = span.role.kind
            if kind in ID_KINDS and kind == other.role.kind:
                old, new = left[span.start : span.end], right[other.start : other.end]
                if old != new and NOBODY not in {old, new} and side.bindings.observed_for(old) is None:
                    side.bindings.bind(kind, old, new, recorded.id, place)
                    side.born[kind, old] = f"#{recorded.id} {route} {place}"


def other_question(recorded: Exchange, observed: Exchange, side: Side) -> str:
    """
    Say where two requests that stand for each other ask for different things; empty where they ask the same.

    Needed for two recordings of one client, whose requests came about by themselves: an id that the one got and the other did not leads to
    another question, and its answer proves nothing. Ids that the bindings know as a pair, times and credentials are the same question.
    """
    for place, left, right in _texts(recorded, observed):
        if place.startswith("request header"):
            continue
        if (NOBODY in left and NOBODY not in right) or (NOBODY in right and NOBODY not in left):
            return f"{place}: an id on one side, nobody's on the other"
        if left != right and blind_text(left) != blind_text(right) and side.bindings.rewrite_text(left) != right:
            return f"{place}: {left[:60]!r} and {right[:60]!r}"
    return ""


def _texts(recorded: Exchange, observed: Exchange) -> Iterator[tuple[str, str, str]]:
    """Give (place, recorded text, observed text) of everything that is there on both sides."""
    one, two = recorded.request, observed.request
    yield "request target", one.target.decode("latin-1"), two.target.decode("latin-1")
    for name, value in one.headers:
        other = two.header(name)
        if other is not None and other != value and not _CREDENTIALS.fullmatch(name):
            yield f"request header {name.decode('latin-1').lower()}", value.decode("latin-1"), other.decode("latin-1")
    if not one.body or not two.body or one.body == two.body or max(len(one.body), len(two.body)) > _BODY_BYTES_MAX:
        return
    left, right = (_strings(parse(item.body or b"", item.header(b"content-type"))) for item in (one, two))
    for place, text in left.items():
        if place in right and text != right[place]:
            yield f"request {place}", text, right[place]


def _strings(content: Content) -> dict[str, str]:
    return dict(strings(content))

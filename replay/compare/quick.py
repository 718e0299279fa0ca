"""
The short way: pairs of exchanges that are the same, told without reading what is in them.

How this works
--------------
Most pairs of a good replay are the same byte for byte, or the same up to ids and times. Of such a pair nothing is parsed. The requests must be
equal, the statuses, the headers but for those of the transport, and the bodies: byte by byte, or piece by piece between the quotation marks of
their JSON (`frames`).

Equal bytes are no proof that all is well: an id that has another name over there must not come back under its old one. So an equal body in which
a word is an id that is bound to another one goes the long way, like everything else that is not plainly the same. The short way never finds
a difference, and what it lets pass it counts as the long way does: that both give the same is tested (`tests/compare/test_quick.py`).
"""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from replay.archive import Slip
from replay.compare.frames import Frames, pieces_of
from replay.compare.partners import LANE, Partners, Standing
from replay.compare.state import Scene, Side
from replay.content.parse import essence, kind_of_media
from replay.identity import Bindings

_TRANSPORT: Final = frozenset({"date", "content-length", "connection", "keep-alive", "transfer-encoding", "server"})
"""As `headers` has them."""
_CREDENTIALS: Final = frozenset({b"authorization", b"cookie", b"x-api-key"})
_SENT_BYTES_MAX: Final = 65_536
_BY_WORD: Final = frozenset({"json", "text", "html", None})
"""Kinds whose strings stand in the body as they are, between quotation marks or alone."""
_ODD: Final = (KeyError, TypeError, AttributeError, ValueError, IndexError)
"""What reading a slip raises that is none of the format: whoever reads it checked says so."""

type Header = tuple[bytes, bytes]


class Quick:
    """Tells of one comparison which pairs are the same."""

    def __init__(self) -> None:
        self._frames = Frames()
        self._heads: Counter[tuple[bytes, ...]] = Counter()

    def same(self, one: Slip, two: Slip, side: Side, scene: Callable[[], Scene], *, of_control: bool = False) -> bool:
        """
        Tell whether two exchanges surely are the same; False says nothing. What is let pass is counted.

        *scene* makes the scene on *side*, where one is needed.
        """
        try:
            return _plain(one) and _plain(two) and self._same(one, two, side, scene, of_control=of_control)
        except _ODD:
            return False

    def settle(self, side: Side) -> None:
        """Count what was left out of all headers."""
        for names, count in self._heads.items():
            for name in {name.lower().decode("latin-1") for name in names} & _TRANSPORT:
                side.not_compared[f"header {name}"] += count
        self._heads.clear()

    def _same(self, one: Slip, two: Slip, side: Side, scene: Callable[[], Scene], *, of_control: bool) -> bool:
        ended, other = one.ended, two.ended
        asked, again = one.opened["request"], two.opened["request"]
        if asked["method"] != again["method"] or asked["method"] == b"HEAD" or not _same_heads(asked["headers"], again["headers"]):
            return False
        bindings = side.bindings
        for sent, sent_again in ((asked["target"], again["target"]), (ended["request_body"], other["request_body"])):
            if sent != sent_again and not _is_renamed(sent, sent_again, bindings):
                return False
        answer, answered = ended["outcome"], other["outcome"]
        if answer["status"] != answered["status"]:
            return False
        left, right = answer["headers"], answered["headers"]
        media = _same_answers(left, right, bindings)
        if media is None:
            return False
        kind = _kind(media)
        if kind not in _BY_WORD:
            return False
        if answer["body"] == answered["body"]:
            same = _stands(answer["body"], kind, side)
        else:
            same = kind == "json" and self._frames.same(answer["body"], answered["body"], scene())
        if same and not of_control:
            names = [name for name, _ in left]
            if len(left) != len(right):
                names += [name for name, _ in right]
            self._heads[tuple(names)] += 1
        return same


def slips(number: int, recorded: Standing, candidate: Partners, control: Partners | None) -> tuple[Slip, Slip, Slip | None] | None:
    """Give the records of an exchange on all sides; None where one of them has to be read as an exchange."""
    if number in candidate.gaps or not isinstance(candidate.exchanges, Standing):
        return None
    one, two = recorded.slip(number), candidate.exchanges.slip(number)
    if one is None or two is None:
        return None
    if control is None or number not in control.exchanges:
        return one, two, None
    three = control.exchanges.slip(number) if isinstance(control.exchanges, Standing) else None
    return None if three is None else (one, two, three)


def _plain(slip: Slip) -> bool:
    """Whether a whole answer came in one piece, and there is nothing to say about it."""
    opened, ended = slip.opened, slip.ended
    outcome: Any = ended["outcome"]
    return (
        not slip.chunked
        and ended["end"] == "complete"
        and ended["note"] == ""
        and opened["lane"] == LANE
        and outcome["type"] == "response"
        and type(outcome["status"]) is int
        and type(outcome["body"]) is bytes
        and outcome["trailers"] == ()
        and type(ended["request_body"]) is bytes
        and type(opened["at"]) is type(ended["at"]) is float
    )


def _same_heads(left: tuple[Header, ...], right: tuple[Header, ...]) -> bool:
    """Whether two requests have the same headers but for credentials."""
    if left == right:
        return True
    if len(left) != len(right):
        return False
    return all(
        name == other and (value == again or name.lower() in _CREDENTIALS) for (name, value), (other, again) in zip(left, right, strict=True)
    )


def _same_answers(left: tuple[Header, ...], right: tuple[Header, ...], bindings: Bindings) -> bytes | None:
    """Give the content type of two answers whose headers are the same but for those of the transport; None where they are not."""
    media, plain = b"", True
    for header, other in zip(left, right, strict=False):
        if header != other and (header[0] != other[0] or _role(header[0]) != "transport"):
            plain = False
            break
    if not plain or len(left) != len(right):
        ours, theirs = ([header for header in headers if _role(header[0]) != "transport"] for headers in (left, right))
        if _sorted(ours) != _sorted(theirs):
            return None
    known = len(bindings) > 0
    for name, value in left:
        role = _role(name)
        if role == "content-type":
            if media:
                return None
            media = value
        if known and role != "transport" and bindings.observed_for(value.decode("latin-1")) is not None:
            return None
    return media


def _sorted(headers: list[Header]) -> list[Header]:
    """Give headers by their names, of which the order and letter case say nothing; those of one name stay in order."""
    return sorted(((name.lower(), value) for name, value in headers), key=lambda header: header[0])


def _is_renamed(sent: bytes, other: bytes, bindings: Bindings) -> bool:
    """Whether two parts of requests are the same up to ids that are known."""
    if len(sent) > _SENT_BYTES_MAX or not bindings.renames:
        return False
    return bindings.rewrite_text(sent.decode("utf-8")) == other.decode("utf-8")


@lru_cache(maxsize=1024)
def _role(name: bytes) -> str:
    word = name.lower().decode("latin-1")
    return "transport" if word in _TRANSPORT else "content-type" if word == "content-type" else ""


@lru_cache(maxsize=1024)
def _kind(media: bytes) -> str | None:
    return kind_of_media(essence(media))


def _stands(body: bytes, kind: str | None, side: Side) -> bool:
    """Whether an equal body surely holds no id that has another name over there."""
    if not side.bindings.renames or not body:
        return True
    if b"\\u" in body or (kind is None and b"=" in body):
        return False
    return not side.bindings.touch(pieces_of(body))

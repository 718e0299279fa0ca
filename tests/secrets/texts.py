"""
Texts that hold secrets at known places, so that what an archive made of each can be asked for.

A text is a row of plain bytes and pieces. A piece is a secret with what stands directly around it, under none or more coats (base64, JSON's
escapes, …), the innermost first. Because redaction keeps lengths, a piece is found again at its own place; its coats are undone, what stood
around must be as it was, and what is left is what stands for the secret.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes


@dataclass(frozen=True, slots=True)
class Secret:
    """A planted value."""

    kind: str
    value: bytes
    hidden: tuple[bytes, ...]
    """The parts that must never be found; what is public of a key (its prefix, a token's claims) is none of them."""


type Secrets = Mapping[str, Secret]


def _escape(data: bytes) -> bytes:
    return json.dumps(data.decode(), ensure_ascii=False)[1:-1].encode()


def _unescape(data: bytes) -> bytes:
    return str(json.loads(b'"' + data + b'"')).encode()


def _unbase64(data: bytes) -> bytes:
    return base64.urlsafe_b64decode(data.replace(b"+", b"-").replace(b"/", b"_") + b"=" * (-len(data) % 4))


COATS: Final[dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]]] = {
    "json": (_escape, _unescape),
    "base64": (base64.b64encode, _unbase64),
    "base64url": (lambda data: base64.urlsafe_b64encode(data).rstrip(b"="), _unbase64),
    "hex": (lambda data: data.hex().encode(), lambda data: bytes.fromhex(data.decode())),
    "percent": (lambda data: b"".join(b"%%%02X" % byte if not chr(byte).isalnum() else bytes((byte,)) for byte in data), unquote_to_bytes),
    "percent all": (lambda data: b"".join(b"%%%02x" % byte for byte in data), unquote_to_bytes),
    "unicode": (lambda data: b"".join(b"\\u%04x" % byte for byte in data), _unescape),
}
"""Name → putting it on, taking it off."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A secret with what stands around it."""

    before: bytes
    secret: str
    after: bytes = b""
    coats: tuple[str, ...] = ()

    def render(self, secrets: Secrets) -> bytes:
        """Give it as it is sent."""
        data = self.before + secrets[self.secret].value + self.after
        for coat in self.coats:
            data = COATS[coat][0](data)
        return data

    def stand_in(self, seen: bytes) -> bytes | None:
        """Give what stands for the secret in *seen*, what became of the piece; None where what stood around it has changed too."""
        try:
            for coat in reversed(self.coats):
                seen = COATS[coat][1](seen)
        except ValueError:
            return None
        if not (seen.startswith(self.before) and seen.endswith(self.after)):
            return None
        return seen[len(self.before) : len(seen) - len(self.after)]


type Text = tuple[bytes | Piece, ...]


def render(text: Text, secrets: Secrets) -> bytes:
    """Give a text as it is sent."""
    return b"".join(part if isinstance(part, bytes) else part.render(secrets) for part in text)


def spots(text: Text, secrets: Secrets) -> Iterator[tuple[int, int, Piece]]:
    """Give (start, end, piece) of each piece."""
    at = 0
    for part in text:
        length = len(part) if isinstance(part, bytes) else len(part.render(secrets))
        if isinstance(part, Piece):
            yield at, at + length, part
        at += length


def piece(template: bytes, *coats: str) -> Piece:
    """Make a piece of a template such as `{"token":"<<name>>"}`."""
    before, _, rest = template.partition(b"<<")
    name, _, after = rest.partition(b">>")
    return Piece(before, name.decode(), after, coats)


def text(template: bytes) -> Text:
    """Make a text of a template in which `<<name>>` stands for a bare secret."""
    parts: list[bytes | Piece] = []
    while b"<<" in template:
        before, _, rest = template.partition(b"<<")
        name, _, template = rest.partition(b">>")
        parts += [before, Piece(b"", name.decode())]
    return (*parts, template)


def escaped(template: bytes, depth: int) -> Text:
    """Make a text that is itself a JSON string's inside, *depth* times; the secrets in it are escaped with it."""
    coats = ("json",) * depth
    out: list[bytes | Piece] = []
    for part in text(template):
        if isinstance(part, Piece):
            out.append(Piece(b"", part.secret, b"", coats))
        else:
            data = part
            for _ in range(depth):
                data = _escape(data)
            out.append(data)
    return tuple(out)

"""
What of a workspace's content is secret, and the same placeholders for it as in the records.

Texts are searched by the redactor as the traffic that quotes them is: by names, by shape, under encodings, by the operator's own rules.
On top of that: columns whose name says that the whole cell is secret, the environment and headers of registered MCP servers, and values
that are known from the store of secrets, wherever they stand. What is no text is searched by shape alone: names in a program's strings
are no settings.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from replay.model import Redaction
from replay.redact import Redactor, Rule, Rules
from replay.redact.edits import apply_edits, merge_edits, redactions_of
from replay.redact.names import fold, is_secret_name, replace_string
from replay.redact.placeholder import make_credential, make_opaque
from replay.redact.shapes import find_shapes

KNOWN_BYTES_MIN: Final = 12
"""A known value that is shorter might be anybody's word."""
_SHORTEST_BYTES: Final = 8
"""Shorter texts hold neither a name with its value nor a secret's shape."""
_ARTIFACT_TOKEN: Final = "session_token"  # noqa: S105 (a name)
"""The daemon's own name for a part of an artifact's file name: made from the session's key, open to everybody, and made again in a replay."""
_SERVERS: Final = re.compile(rb'"(?:env|headers)"\s*+:\s*+\{([^{}]*+)\}')
_PAIR: Final = re.compile(rb'"(?:[^"\\]|\\.){1,128}"\s*+:\s*+"((?:[^"\\]|\\.)++)"', re.DOTALL)
_LENGTH: Final = re.compile(rb"(?<=[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xff])[!-~](?=[!-~]{16})")
_BINARY_BYTES: Final = 8192


class Masking:
    """Replaces secrets under one key, and counts them by kind."""

    def __init__(self, key: bytes, rules: Rules, known: Mapping[bytes, bytes] | None = None) -> None:
        """*known*: values that are secret wherever they stand, and what shall stand there."""
        self._key = key
        self._redactor = Redactor(key, Rules((*rules.rules, Rule(where="workspace", name=_ARTIFACT_TOKEN, keep=True)), rules.digest))
        self._known = {secret: stand_in for secret, stand_in in (known or {}).items() if len(secret) >= KNOWN_BYTES_MIN}
        self._known_anywhere = re.compile(b"|".join(map(re.escape, sorted(self._known, key=len, reverse=True)))) if self._known else None
        self.counts: Counter[str] = Counter()

    def credential(self, kind: str, secret: bytes) -> bytes:
        """Give the placeholder of a secret that stands alone, as it is in the records."""
        replaced = make_credential(self._key, secret)
        self.counts[kind] += replaced != secret
        return replaced

    def opaque(self, kind: str, secret: bytes, length: int) -> bytes:
        """Give a placeholder of *length* bytes for a secret of which only this is known."""
        self.counts[kind] += 1
        return make_opaque(self._key, secret, length)

    def text(self, data: bytes) -> bytes:
        """Replace secrets in a text, or in what is none."""
        if len(data) >= _SHORTEST_BYTES:
            clean, redactions = self._redactor.file(data) if _is_text(data) else self._shaped(data)
            self._count(data, clean, redactions)
            data = clean
        if self._known_anywhere is not None:
            data = self._known_anywhere.sub(self._known_value, data)
        return data

    def cell(self, column: str, content: bytes) -> bytes:
        """Replace secrets in a cell of a database."""
        name = column.encode(errors="surrogateescape")
        rules = self._redactor.rules
        if is_secret_name(name, rules.names("workspace", ""), rules.kept_names("workspace", "")):
            return self.credential("column", content)
        return self.text(content)

    def document(self, path: PurePosixPath, data: bytes) -> bytes:
        """Replace secrets in (a piece of) the workspace's file *path*."""
        if path.parts[:1] == ("marketplace",):
            data = _SERVERS.sub(lambda block: _PAIR.sub(self._server_value, block[0]), data)
        return self.text(data)

    def _shaped(self, data: bytes) -> tuple[bytes, tuple[Redaction, ...]]:
        # A text in binary may have its length before it, which reads as one of its letters.
        apart = _LENGTH.sub(b" ", data)
        edits = merge_edits(find_shapes(data, fold(data), self._key), find_shapes(apart, fold(apart), self._key))
        return apply_edits(data, edits), redactions_of("content", edits)

    def _count(self, data: bytes, clean: bytes, redactions: Iterable[Redaction]) -> None:
        if clean is not data:
            for redaction in redactions:
                span = slice(redaction.start, redaction.start + redaction.length)
                self.counts[redaction.kind] += data[span] != clean[span]

    def _server_value(self, pair: re.Match[bytes]) -> bytes:
        start = pair.start(1) - pair.start()
        edits = replace_string(pair[1], start, "server-setting", self._key)
        clean = apply_edits(pair[0], edits)
        self._count(pair[0], clean, redactions_of("content", edits))
        return clean

    def _known_value(self, found: re.Match[bytes]) -> bytes:
        self.counts["known"] += 1
        return self._known[found[0]]


def _is_text(data: bytes) -> bool:
    start = data[:_BINARY_BYTES]
    if b"\0" in start:
        return False
    try:
        start.decode()
    except UnicodeDecodeError as error:
        # Cut in the middle of a letter, or a text in another encoding than ours: most of what is a text reads as ASCII.
        letters = sum(byte < 128 for byte in start)
        return error.start > len(start) - 4 or letters * 10 >= len(start) * 9
    return True

"""From a recorded request to the one that is sent: ids by their bindings, credentials signed again, nothing else changed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from replay.content import Replace, rewrite, rewrite_target, rewrite_text
from replay.identity import Bindings
from replay.model import Exchange, ParityError, Request, Response
from replay.workspace import tokens

_KEPT: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"date"})
_BEARER: Final = re.compile(r"(Bearer +)(\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A request ready to be sent, and what was done to it."""

    request: Request
    """What is sent."""
    shown: Request
    """What is written down: the same, but for placeholders of secrets, which stay placeholders."""
    replaced: int
    notes: tuple[str, ...] = ()


class Rewriter:
    """Rewrites requests for one replay."""

    def __init__(self, bindings: Bindings, *, auth_secret: bytes | None, offset_s: float, replacements: Mapping[str, str]) -> None:
        self._bindings = bindings
        self._auth_secret = auth_secret
        self._offset_s = offset_s
        self._replacements = dict(replacements)

    def rewrite(self, exchange: Exchange) -> Rewritten:
        """Give the request of an exchange as it goes to this daemon."""
        notes: list[str] = []
        shown, count = self._rewritten(exchange, self._bindings.edits, notes)
        if not self._replacements:
            return Rewritten(shown, shown, count, tuple(notes))
        sent, count = self._rewritten(exchange, self._replace, [])
        return Rewritten(sent, shown, count, tuple(notes))

    def _rewritten(self, exchange: Exchange, replacing: Replace, notes: list[str]) -> tuple[Request, int]:
        request, told = self._bindings.counters.rewrite(exchange.request)
        notes.extend(told)
        target, count = rewrite_target(request.target, replacing)
        body, changed = rewrite(request.body or b"", request.header(b"content-type"), replacing)
        changed += len(told)
        count += changed
        headers: list[tuple[bytes, bytes]] = []
        for name, value in request.headers:
            lower = name.lower()
            new = value
            if lower == b"content-length":
                new = str(len(body)).encode() if changed else value
            elif lower not in _KEPT:
                new = self._header(lower, value, exchange, replacing, notes)
                count += new != value
            headers.append((name, new))
        if body and request.header(b"content-length") is None and request.header(b"transfer-encoding") is None:
            headers.append((b"Content-Length", str(len(body)).encode()))
            notes.append("content-length added: the recorded request does not say how long its body is")
        return replace(request, target=target, headers=tuple(headers), body=body), count

    def _replace(self, text: str) -> str | list[tuple[int, int, str]] | None:
        if not any(placeholder in text for placeholder in self._replacements):
            return self._bindings.edits(text)
        for placeholder, value in self._replacements.items():
            text = text.replace(placeholder, value)
        return self._bindings.rewrite_text(text)

    def _header(self, name: bytes, value: bytes, exchange: Exchange, replacing: Replace, notes: list[str]) -> bytes:
        text = value.decode("latin-1")
        if name in {b"authorization", b"x-api-key"}:
            bearer = _BEARER.fullmatch(text)
            if bearer is not None and self._bindings.observed_for(bearer[2]) is None:
                minted = self._mint(bearer[2], exchange, notes)
                if minted is not None:
                    return f"{bearer[1]}{minted}".encode("latin-1")
        new, changed = rewrite_text(text, replacing)
        return new.encode("latin-1", "replace") if changed else value

    def _mint(self, token: str, exchange: Exchange, notes: list[str]) -> str | None:
        """Sign a token's claims again, its times moved to the replay's now; None where it is none, or was refused when it was recorded."""
        claims: dict[str, Any] | None = tokens.claims(token)
        if claims is None:
            return None
        refused = isinstance(exchange.outcome, Response) and exchange.outcome.status == 401
        if refused:
            return None
        if self._auth_secret is None:
            notes.append("the bearer token was sent as recorded: the cell has no key to sign it")
            return None
        moved = {
            name: value + int(self._offset_s) if name in {"exp", "iat"} and isinstance(value, int | float) else value
            for name, value in claims.items()
        }
        return tokens.mint(self._auth_secret, moved)


def read_auth_secret(path: Path | None) -> bytes | None:
    """Read the cell's signing key; None where it has none."""
    if path is None:
        return None
    try:
        return tokens.read_auth_secret(path)
    except ParityError:
        return None

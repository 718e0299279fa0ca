"""From a recorded request to the one that is sent: ids by their bindings, credentials signed again, nothing else changed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from replay.content import Replace, rewrite, rewrite_target, rewrite_text
from replay.identity import Bindings
from replay.identity.derived import rederive
from replay.model import Exchange, Header, ParityError, Request
from replay.play.credentials import Credentials
from replay.play.dates import Dates
from replay.play.verdicts import HEADERS
from replay.workspace import tokens

_KEY_END_MAX_S: Final = 60.0
_MARGIN_S: Final = 0.1
_KEPT: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"date"})
_UNCHANGED_MAX: Final = 1024


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

    def __init__(self, bindings: Bindings, *, credentials: Credentials, dates: Dates, replacements: Mapping[str, str]) -> None:
        self._bindings = bindings
        self._credentials = credentials
        self._dates = dates
        self._replacements = dict(replacements)
        self._unchanged: dict[tuple[Header, ...], int] = {}
        """Headers that stayed as they were, and for which version of the bindings: clients send the same ones again and again."""

    @property
    def counts(self) -> Counter[str]:
        """What was minted, kept bad and shifted, so far."""
        return self._credentials.counts + self._dates.counts

    def wait_s(self, exchange: Exchange, now: float) -> float:
        """Give how long to wait, at most a minute, until an API key has ended that had ended when it was refused; 0 where none had."""
        ends = [self._dates.ends[number] for number in self._credentials.keys_of(exchange) if number in self._dates.ends]
        left_s = max(ends, default=now) - now
        return left_s + _MARGIN_S if 0 < left_s <= _KEY_END_MAX_S else 0.0

    def rewrite(self, exchange: Exchange) -> Rewritten:
        """Give the request of an exchange as it goes to this daemon."""
        self._dates.passed(exchange)
        rederive(exchange.request, exchange.id, self._bindings)
        login = self._credentials.body(exchange, exchange.request.body or b"")
        notes: list[str] = []
        shown, count = self._rewritten(exchange, exchange.request, self._bindings.edits, notes)
        if not self._replacements and login is None:
            return Rewritten(shown, shown, count, tuple(notes))
        asked = exchange.request if login is None else replace(exchange.request, body=login)
        sent, count = self._rewritten(exchange, asked, self._replace, None)
        return Rewritten(sent, shown, count, tuple(notes))

    def _rewritten(self, exchange: Exchange, asked: Request, replacing: Replace, notes: list[str] | None) -> tuple[Request, int]:
        """Rewrite *asked*, the exchange's request but for a login's body; *notes* is None where they were told before."""
        request, told = self._bindings.counters.rewrite(asked)
        request, dated = self._dates.shift(exchange, request, count=notes is not None)
        told = [*told, *dated]
        if notes is not None:
            notes.extend(told)
        quoted = self._credentials.in_text(exchange, notes)
        if not told and quoted is None and asked is exchange.request and self._goes_as_recorded(request):
            return request, 0
        target, count = rewrite_target(request.target, replacing)
        body, changed = rewrite(request.body or b"", request.header(b"content-type"), replacing)
        changed += len(told) + (asked is not exchange.request)
        if quoted is not None:
            target, there = rewrite_target(target, quoted)
            body, here = rewrite(body, request.header(b"content-type"), quoted)
            count, changed = count + there, changed + here
        count += changed
        if not changed and self._unchanged.get(request.headers) == self._bindings.version:
            headers = list(request.headers)
        else:
            headers, replaced = self._headers(exchange, request, body, replacing, notes, changed=changed > 0)
            count += replaced
        if body and request.header(b"content-length") is None and request.header(b"transfer-encoding") is None:
            headers.append((b"Content-Length", str(len(body)).encode()))
            if notes is not None:
                notes.append("content-length added: the recorded request does not say how long its body is")
        return replace(request, target=target, headers=tuple(headers), body=body), count

    def _goes_as_recorded(self, request: Request) -> bool:
        """Tell cheaply whether a request holds nothing that anything is put in the place of; False says nothing."""
        if self._replacements or request.body is None or not self._are_left(request.headers):
            return False
        if request.body:
            if request.header(b"content-length") is None and request.header(b"transfer-encoding") is None:
                return False
            if not self._bindings.leaves(request.body):
                return False
        return self._bindings.leaves(request.target)

    def _are_left(self, headers: tuple[Header, ...]) -> bool:
        if self._unchanged.get(headers) == self._bindings.version:
            return True
        for name, value in headers:
            lower = name.lower()
            if lower in HEADERS or not (lower in _KEPT or self._bindings.leaves(value)):
                return False
        self._note_unchanged(headers)
        return True

    def _note_unchanged(self, headers: tuple[Header, ...]) -> None:
        if len(self._unchanged) >= _UNCHANGED_MAX:
            self._unchanged.clear()
        self._unchanged[headers] = self._bindings.version

    def _headers(
        self, exchange: Exchange, request: Request, body: bytes, replacing: Replace, notes: list[str] | None, *, changed: bool
    ) -> tuple[list[Header], int]:
        """Rewrite the headers; *changed*: the body is another one than was recorded. Gives how many are new, but for its length."""
        headers: list[Header] = []
        count, guarded = 0, False
        for name, value in request.headers:
            lower = name.lower()
            new = value
            if lower == b"content-length":
                new = str(len(body)).encode() if changed else value
            elif lower not in _KEPT:
                new = self._header(lower, value, exchange, replacing, notes)
                count += new != value
            guarded = guarded or lower in HEADERS
            headers.append((name, new))
        if not (guarded or changed or count or self._replacements):
            self._note_unchanged(request.headers)
        return headers, count

    def _replace(self, text: str) -> str | list[tuple[int, int, str]] | None:
        if not any(placeholder in text for placeholder in self._replacements):
            return self._bindings.edits(text)
        for placeholder, value in self._replacements.items():
            text = text.replace(placeholder, value)
        return self._bindings.rewrite_text(text)

    def _header(self, name: bytes, value: bytes, exchange: Exchange, replacing: Replace, notes: list[str] | None) -> bytes:
        credential = self._credentials.header(name, value, exchange, notes)
        if credential is not None:
            return credential
        new, changed = rewrite_text(value.decode("latin-1"), replacing)
        return new.encode("latin-1", "replace") if changed else value


def read_auth_secret(path: Path | None) -> bytes | None:
    """Read the cell's signing key; None where it has none."""
    if path is None:
        return None
    try:
        return tokens.read_auth_secret(path)
    except ParityError:
        return None

"""
What a recording shows of the credentials in it: which were good, and why the others were refused.

How this works
--------------
One pass over the records. A credential that an answer gave is good, whatever became of it later: where it was refused it had ended or been
revoked, and that comes about again by itself. One from before the recording is good where a request with it passed a door that is guarded.
Of one that was only ever refused the daemon's own word says why, and without a word its claims do: an end before the request was made is
why, else it was the signature. A placeholder of the redaction keeps claims and dots, so all of this is still there to be seen.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from replay.identity import find
from replay.model import Ended, Opened, Record, Request, Response
from replay.workspace import tokens

HEADERS: Final = frozenset({b"authorization", b"x-api-key"})
"""Request headers that bear a credential. The daemon reads no cookies."""
LOGIN: Final = (b"POST", b"/api/auth/login")
_OPEN: Final = (b"/health", b"/api/auth/login", b"/api/auth/methods", b"/api/auth/whoami", b"/api/auth/sso/", b"/api/auth/saml/")
"""Doors that stand open to everybody, and to a bad credential too (the dashboard's files as well: see `_is_guarded`)."""
_GUARDED: Final = (b"/api/", b"/memory/", b"/mcp", b"/v1/")
_KINDS: Final = frozenset({"bearer", "api-key"})
_PASSWORD: Final = re.compile(r'("password"\s*:\s*)"((?:[^"\\]|\\.)*)"')
_USERNAME: Final = re.compile(r'("username"\s*:\s*)"((?:[^"\\]|\\.)*)"')
_COLLIDES_BELOW: Final = 8
"""Placeholders of shorter secrets hold so little of a hash that two secrets may have the same one."""


class Verdict(StrEnum):
    """What a credential was."""

    GOOD = "good"
    EXPIRED = "expired"
    REVOKED = "revoked"
    FORGED = "forged"
    """Its signature was wrong, or its secret part."""
    MALFORMED = "malformed"
    UNCHECKED = "unchecked"
    """No guarded door saw it."""


_WORDS: Final = (
    ("signature", Verdict.FORGED),
    ("revoked", Verdict.REVOKED),
    ("expired", Verdict.EXPIRED),
    ("malformed", Verdict.MALFORMED),
)


@dataclass(slots=True)
class _Seen:
    born: bool = False
    passed: bool = False
    refused_at: float | None = None
    word: Verdict | None = None
    as_key: bool = False


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and a password, as they stand in a request."""

    username: str
    password: str


@dataclass(slots=True)
class Verdicts:
    """All credentials of a recording. Filled by `survey`, only read afterwards."""

    checked: bool = False
    """Whether any request was refused for its credentials: a daemon in local mode refuses none."""
    logins: dict[int, tuple[Login, int]] = field(default_factory=dict)
    """Exchange → what was tried, and the status of the answer (0 without one)."""
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def verdict(self, credential: str) -> Verdict:
        """Say what a credential was."""
        seen = self._seen.get(credential)
        if seen is None:
            return Verdict.UNCHECKED
        if seen.born or seen.passed:
            return Verdict.GOOD
        if seen.refused_at is None:
            return Verdict.UNCHECKED
        found = tokens.claims(credential)
        if seen.word is not None:
            return seen.word
        if found is None:
            return Verdict.FORGED if tokens.api_key_prefix(credential) else Verdict.MALFORMED
        return Verdict.EXPIRED if has_ended(found, seen.refused_at) else Verdict.FORGED

    def was_key(self, credential: str) -> bool:
        """Say whether the daemon took a credential that it refused for an API key, whatever is left of it here."""
        seen = self._seen.get(credential)
        return seen is not None and seen.as_key

    def credentials(self) -> frozenset[str]:
        """Give every bearer token and API key of the recording, and whatever else stood in its place."""
        return frozenset(self._seen)

    def born(self) -> frozenset[str]:
        """Give those that an answer of the recording gave."""
        return frozenset(credential for credential, seen in self._seen.items() if seen.born)

    def good_login(self) -> Login | None:
        """Give the login that succeeded first; None where none did."""
        return next((login for login, status in self.logins.values() if status < 300), None)

    def is_good_login(self, exchange: int) -> bool:
        """Say whether an exchange bears the user name and the password of a login that succeeded."""
        tried, good = self.logins.get(exchange), self.good_login()
        if tried is None or good is None or tried[0] != good:
            return False
        # refused with the good one's placeholder: another short password that has the same
        return tried[1] != 401 or len(good.password) >= _COLLIDES_BELOW

    # --- while surveying ---

    def take_request(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, ...]:
        """Note the credentials of a request; gives them."""
        found = tuple(word for name, value in headers if name.lower() in HEADERS for word in words(value.decode("latin-1")))
        for word in found:
            self._seen.setdefault(word, _Seen())
        return found

    def take_answer(self, request: Request, shown: tuple[str, ...], at: float, answer: Response) -> None:
        """Note what an answer says of the credentials that its request showed, and those that it gave."""
        self.checked = self.checked or answer.status == 401
        if answer.body and (b"eyJ" in answer.body or b"sig_sk_" in answer.body):
            for given in given_by(answer.body):
                self._seen.setdefault(given, _Seen()).born = True
        for word in shown:
            seen = self._seen[word]
            if answer.status == 401:
                seen.refused_at = at
                seen.word = seen.word or said_why(answer.body)
                seen.as_key = seen.as_key or b"api key" in (answer.body or b"").lower()
            elif _is_guarded(request):
                seen.passed = True
            else:
                told = _told(answer.body)
                seen.passed = seen.passed or told is True
                if told is False and tokens.claims(word) is not None:  # an open door looks at tokens only, and never says why
                    seen.refused_at = at


def survey(records: Iterable[Record], also: Callable[[Opened, Ended], None]) -> Verdicts:
    """
    Read the credentials of a recording from its records, once, with the heads of those exchanges in memory that are open.

    *also* gets every exchange of the daemon's own lane.
    """
    found = Verdicts()
    heads: dict[int, tuple[Opened, tuple[str, ...]]] = {}
    for record in records:
        if isinstance(record, Opened):
            if record.lane == "daemon":
                heads[record.exchange] = record, found.take_request(record.request.headers)
        elif isinstance(record, Ended):
            head = heads.pop(record.exchange, None)
            if head is None:
                continue
            opened, shown = head
            also(opened, record)
            if (opened.request.method, opened.request.target.partition(b"?")[0]) == LOGIN:
                _take_login(found, opened.exchange, record)
            if isinstance(record.outcome, Response):
                found.take_answer(opened.request, shown, opened.at, record.outcome)
    return found


def words(value: str) -> tuple[str, ...]:
    """Give the credentials in a header's value: all words behind the scheme; a value of one word is one where it has the shape."""
    parts = value.split()
    if len(parts) > 1:
        return tuple(parts[1:])
    return tuple(part for part in parts if tokens.claims(part) is not None or tokens.api_key_prefix(part))


def given_by(body: bytes) -> list[str]:
    """Give the tokens and API keys in an answer's body, placeholders of them too."""
    text = body.decode("utf-8", "replace")
    return [text[span.start : span.end] for span in find(text) if span.role.kind in _KINDS]


def has_ended(claims: Mapping[str, Any], at: float) -> bool:
    """Say whether claims have ended at a time (seconds since the epoch)."""
    end = claims.get("exp")
    return isinstance(end, int | float) and not isinstance(end, bool) and at >= end


def read_login(body: bytes) -> Login | None:
    """Read a login's body; None where it is none."""
    text = body.decode("utf-8", "replace")
    name, password = _USERNAME.search(text), _PASSWORD.search(text)
    return Login(_unquoted(name[2]), _unquoted(password[2])) if name is not None and password is not None else None


def write_login(body: bytes, login: Login) -> bytes:
    """Put another user name and password into a login's body, all else byte by byte."""
    text = body.decode("utf-8", "surrogateescape")
    for member, value in ((_USERNAME, login.username), (_PASSWORD, login.password)):
        found = member.search(text)
        if found is not None:
            text = f"{text[: found.end(1)]}{json.dumps(value, ensure_ascii=False)}{text[found.end() :]}"
    return text.encode("utf-8", "surrogateescape")


def _take_login(found: Verdicts, exchange: int, record: Ended) -> None:
    login = read_login(record.request_body or b"")
    if login is not None:
        found.logins[exchange] = login, record.outcome.status if isinstance(record.outcome, Response) else 0


def _is_guarded(request: Request) -> bool:
    path = request.target.partition(b"?")[0]
    return request.method != b"OPTIONS" and path.startswith(_GUARDED) and not path.startswith(_OPEN)


def said_why(body: bytes | None) -> Verdict | None:
    """Read out of a refusal's body why a credential was refused; None where it does not say it."""
    text = (body or b"").decode("utf-8", "replace").lower()
    return next((verdict for word, verdict in _WORDS if word in text), None)


def _told(body: bytes | None) -> bool | None:
    """Read whether an answer says of the asker that it is known."""
    try:
        answer = json.loads(body or b"")
    except ValueError:
        return None
    told = answer.get("authenticated") if isinstance(answer, dict) else None
    return told if isinstance(told, bool) else None


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text

"""
Credentials for the candidate: what was good is minted again, what was bad stays bad in the same way.

How this works
--------------
A token or key that the candidate itself gave is sent as it gave it. A token from before the recording is signed again with the cell's key,
its claims byte by byte but for `iat` and `exp`, which move to the daemon's now. A token's age is what counts for its end, and a replay runs
at another pace than the recording: where the two would make a token that was good an ended one, or the other way round, its times move so
that it is as old as it was then, with the lifetime that the candidate gave it.

A forged token gets its claims and a signature that is wrong again, a malformed one is spelt anew in the same shape, a key that never was
gets another secret part. So nothing that stood for a credential in the recording is ever sent; `recorded_in` looks, request by request.
"""

import hashlib
import secrets
import string
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from replay.content import Replace
from replay.identity import Bindings, find
from replay.model import Exchange, Request, Response
from replay.play.verdicts import HEADERS, Login, Verdict, Verdicts, given_by, has_ended, said_why, words, write_login
from replay.redact import is_placeholder
from replay.workspace import tokens

_LETTERS: Final = string.ascii_letters + string.digits
_BASE64URL: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_SIGNATURE_LENGTH: Final = 43
_KEY_PREFIX: Final = "sig_sk_"
_UNAUTHORISED: Final = 401


class Credentials:
    """
    Puts one candidate's credentials in the place of the recorded ones.

    *secret* is the cell's signing key, *login* what its daemon takes, *keys* the recorded API keys from before the recording and those
    that the cell's database knows in their place. *clock* is the daemon's; *shifted*: it runs at the recording's time, so tokens keep theirs.
    *unguarded*: the daemon checks nothing, so nothing is withheld; None: so it is if the recording refused nobody.
    """

    def __init__(
        self,
        verdicts: Verdicts,
        bindings: Bindings,
        *,
        secret: bytes | None,
        clock: Callable[[], float],
        shifted: bool = False,
        login: Login | None = None,
        keys: Mapping[str, str] | None = None,
        replacements: Mapping[str, str] | None = None,
        unguarded: bool | None = None,
    ) -> None:
        self._verdicts = verdicts
        self._bindings = bindings
        self._secret = secret
        self._clock = clock
        self._shifted = shifted
        self._login = login
        self._keys = dict(keys or {})
        self._replaced = frozenset(replacements or {})
        self._unguarded = not verdicts.checked if unguarded is None else unguarded
        self._recorded = verdicts.credentials()
        self._moved_by: dict[str, float] = {}
        self._wrong_key = secrets.token_bytes(32)
        self._born = {prefix: key for key in verdicts.born() if (prefix := tokens.api_key_prefix(key)) is not None}
        self.counts: Counter[str] = Counter()

    def header(self, name: bytes, value: bytes, exchange: Exchange, notes: list[str] | None) -> bytes | None:
        """
        Give the value of a request header with the candidate's credentials in it; None where it bears none.

        What was done is counted and told in *notes*; None: it was told before.
        """
        if name.lower() not in HEADERS:
            return None
        text = value.decode("latin-1")
        shown = words(text)
        if not shown or not self._replaced.isdisjoint(shown):  # what the user named is put back as any other secret
            return None
        end = len(text)
        for word in reversed(shown):  # from behind: the scheme's name may stand in a credential
            start = text.rindex(word, 0, end)
            text = f"{text[:start]}{self._counterpart(word, exchange, notes)}{text[start + len(word) :]}"
            end = start
        return text.encode("latin-1")

    def in_text(self, exchange: Exchange, notes: list[str] | None) -> Replace | None:
        """Give what puts the candidate's credentials into a body or target that quotes recorded ones; None where it quotes none."""
        request = exchange.request
        if not self._recorded or not any(
            word in self._recorded for part in (request.target, request.body) if _may_hold(part) for word in given_by(part or b"")
        ):
            return None

        def replace(text: str) -> list[tuple[int, int, str]]:
            spans = [(span.start, span.end, text[span.start : span.end]) for span in find(text)]
            return [(start, end, self._counterpart(word, exchange, notes)) for start, end, word in spans if word in self._recorded]

        return replace

    def body(self, exchange: Exchange, body: bytes) -> bytes | None:
        """Give the body of a login with the cell's own user name and password, where it was a good one; else None."""
        if self._login is None or not self._verdicts.is_good_login(exchange.id):
            return None
        self.counts["logins_with_the_cells_password"] += 1
        return write_login(body, self._login)

    def withheld(self, exchange: Exchange) -> str | None:
        """Say why a request can't be sent, because it would not be taken as it was; None where it can."""
        if self._verdicts.is_good_login(exchange.id) and self._login is None:
            password = self._verdicts.logins[exchange.id][0].password
            if is_placeholder(password.encode()) and password not in self._replaced:
                return (
                    "the password of this login is redacted, and the cell's is not known: put SIGNET_ADMIN_PASSWORD into the "
                    "daemon's description, or name it with --known-secrets and --redaction-key"
                )
        if self._unguarded:
            return None
        for name, value in exchange.request.headers:
            if name.lower() in HEADERS:
                for word in words(value.decode("latin-1")):
                    why = self._why_not(word)
                    if why is not None:
                        return why
        return None

    def keys_of(self, exchange: Exchange) -> tuple[int, ...]:
        """
        Give the exchanges that made the API keys with which a request was refused because they had ended.

        A token's age can be set, a key's can't: its end must be waited for.
        """
        if not isinstance(exchange.outcome, Response) or exchange.outcome.status != _UNAUTHORISED:
            return ()
        if said_why(exchange.outcome.body) is not Verdict.EXPIRED:
            return ()
        shown = (word for name, value in exchange.request.headers if name.lower() in HEADERS for word in words(value.decode("latin-1")))
        born = (self._bindings.born(word) for word in shown if tokens.api_key_prefix(word) is not None)
        return tuple(binding.exchange for binding in born if binding is not None)

    def recorded_in(self, request: Request) -> tuple[str, ...]:
        """Give the recorded credentials that a request still holds, as it would be sent."""
        if not self._recorded:
            return ()
        parts = (request.target, request.body, *(value for _, value in request.headers))
        found = {word for part in parts if _may_hold(part) for word in given_by(part or b"") if word in self._recorded}
        for name, value in request.headers:
            if name.lower() in HEADERS:
                found.update(word for word in words(value.decode("latin-1")) if word in self._recorded and stand_in(word) != word)
        return tuple(sorted(found))

    # --- one credential ---

    def _why_not(self, word: str) -> str | None:
        if self._verdicts.verdict(word) is not Verdict.GOOD or self._bindings.observed_for(word) is not None:
            return None
        if tokens.claims(word) is not None:
            return None if self._secret is not None else "its bearer token was good, and there is no key here to sign it again"
        prefix = tokens.api_key_prefix(word)
        if prefix is None or word in self._keys:
            return None
        return f"its API key {prefix}… was good, and the state has no row for it"

    def _counterpart(self, word: str, exchange: Exchange, notes: list[str] | None) -> str:
        bound = self._bindings.observed_for(word)
        if tokens.claims(word) is not None:
            return self._token(word, bound, exchange, notes)
        if bound is not None or word in self._keys:
            self._count("credentials_given_by_the_candidate" if bound is not None else "api_keys_renewed", notes)
            return bound if bound is not None else self._keys[word]
        self._count(f"credentials_kept_{self._verdicts.verdict(word)}", notes)
        prefix = tokens.api_key_prefix(word)
        if prefix is None:
            is_key = word.startswith(_KEY_PREFIX) or (self._verdicts.was_key(word) and len(word) > len(_KEY_PREFIX))
            return f"{_KEY_PREFIX}{stand_in(word)[len(_KEY_PREFIX) :]}" if is_key else stand_in(word)
        sibling = self._bindings.observed_for(self._born.get(prefix, ""))
        return f"{(tokens.api_key_prefix(sibling) if sibling else None) or prefix}_{stand_in(word[len(prefix) + 1 :])}"

    def _token(self, token: str, bound: str | None, exchange: Exchange, notes: list[str] | None) -> str:
        now = self._clock()
        if bound is not None:
            aged = self._aged(token, bound, exchange.started_at, now)
            self._count("credentials_given_by_the_candidate" if aged is None else "tokens_aged", notes)
            if aged is not None and notes is not None:
                notes.append("credential: the candidate's token was signed again, as old as the recorded one was")
            return aged or bound
        verdict = self._verdicts.verdict(token)
        payload = tokens.move(token, self._offset_s(token, exchange.started_at, now)) or token.partition(".")[0]
        if verdict is Verdict.FORGED or self._secret is None:
            self._count(f"credentials_kept_{verdict}", notes)
            signature = tokens.sign(self._wrong_key, payload).rpartition(".")[2]
            wanted = len(token.partition(".")[2])
            return f"{payload}.{signature if wanted == _SIGNATURE_LENGTH else stand_in(token.partition('.')[2])}"
        self._count("tokens_minted" if verdict in {Verdict.GOOD, Verdict.UNCHECKED} else f"credentials_kept_{verdict}", notes)
        return tokens.sign(self._secret, payload)

    def _offset_s(self, token: str, recorded_at: float, now: float) -> float:
        """Give by how much a token's times move: always as much, unless it would have ended where it had not, or the other way round."""
        found = tokens.claims(token) or {}
        kept = self._moved_by.setdefault(token, 0.0 if self._shifted else float(round(now - recorded_at)))
        if has_ended(found, recorded_at) == has_ended(found, now - kept):
            return kept
        self._moved_by[token] = now - recorded_at
        return self._moved_by[token]

    def _aged(self, token: str, bound: str, recorded_at: float, now: float) -> str | None:
        """Sign the candidate's own token again, as old as the recorded one was, where the pace made one of them end and not the other."""
        then, here = tokens.claims(token) or {}, tokens.claims(bound)
        if here is None or self._secret is None or has_ended(then, recorded_at) == has_ended(here, now):
            return None
        born_then, born_here = then.get("iat"), here.get("iat")
        if not isinstance(born_then, int | float) or not isinstance(born_here, int | float):
            return None
        payload = tokens.move(bound, now - (recorded_at - born_then) - born_here)
        return None if payload is None else tokens.sign(self._secret, payload)

    def _count(self, name: str, notes: list[str] | None) -> None:
        if notes is not None:
            self.counts[name] += 1


def asks_for_nothing(configuration: Mapping[str, Any]) -> bool:
    """Say whether a daemon with this `agent.yaml` checks no credentials; False where that is not known."""
    settings = configuration.get("auth")
    mode = settings.get("mode") if isinstance(settings, dict) else None
    return bool(configuration) and mode not in {"team", "hybrid"}


def stand_in(word: str) -> str:
    """
    Spell a credential anew in the same shape: its dots and other marks where they are, other letters, always the same ones.

    The last letter of a part of base64 keeps the bits that a strict decoder looks at.
    """
    drawn = hashlib.shake_256(b"signet-parity stand-in" + word.encode("utf-8", "surrogateescape")).digest(len(word))
    spelt = []
    for place, (letter, number) in enumerate(zip(word, drawn, strict=True)):
        ends = place + 1 == len(word) or word[place + 1] == "."
        if ends and letter in _BASE64URL:
            at = _BASE64URL.index(letter)
            spelt.append(_BASE64URL[at % 16 + 16 * ((at // 16 + 1 + number % 3) % 4)])
        elif letter in _LETTERS or letter == "~":
            spelt.append(next(other for other in _rotated(number) if other != letter))
        else:
            spelt.append(letter)
    return "".join(spelt)


def _may_hold(part: bytes | None) -> bool:
    """Tell at a glance whether a part of a request may hold a token or an API key: most don't, and are not searched."""
    return part is not None and (b"eyJ" in part or b"sig_sk_" in part)


def _rotated(number: int) -> str:
    at = number % len(_LETTERS)
    return _LETTERS[at:] + _LETTERS[:at]

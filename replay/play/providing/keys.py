"""
By what a recorded answer is found again: a row of keys from the strictest to the most tolerant.

    request     the same endpoint and the same body
    text        the same model and, sign by sign, the same text
    named       the same text once the replay's ids are put back to the recorded ones
    plain       the same words once white space, made ids and present times are masked
    payload     the same stage and payload, however the daemon words its question; for a decision: the fact and the set of candidates,
                and for a question about a list the set of its items
    task        the same thing to be done, but what the daemon knew at the time is not: a decision's candidates, the evidence of a note, the
                memories that a reflection quotes; what differs there is told

An embedder's keys hold the model, for the vectors of one are nothing to another.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from replay.play.providing.asks import Ask, Kind
from replay.play.providing.listings import Listing, listing_of
from replay.play.providing.plain import Plain, Present, plain, tidy
from replay.play.providing.stages import OTHER, Decision, decision_of, payload_of, stage_of, task_of

type Key = tuple[str, bytes]
"""What the key goes by, and its digest."""


@dataclass(frozen=True, slots=True)
class Understood:
    """An ask with its stage and its keys."""

    ask: Ask
    stage: str
    plain: Plain
    keys: tuple[Key, ...]
    decision: Decision | None = None
    listing: Listing | None = None
    items: tuple[tuple[bytes, bytes], ...] = ()
    """For a list of which each item gets a result: two digests of each, with what the list is about and without."""

    @property
    def name(self) -> str:
        """What to call it: its stage and the start of its most telling digest."""
        return f"{self.stage}/{next((digest for by, digest in self.keys if by == 'plain'), self.keys[0][1]).hex()[:12]}"


def understand(ask: Ask, present: Present, put_back: Callable[[str], str] | None = None) -> Understood:
    """
    Name an ask's stage and make its keys; never raises.

    *put_back* gives a text with the ids of the replay replaced by the recorded ones; None for an ask that was recorded.
    """
    request = _digest("request", f"{ask.method} {ask.target}", _canonical(ask.body))
    if ask.kind is Kind.MODELS:
        return Understood(ask, "models", Plain("", (), ()), (("request", request), ("plain", _digest("models"))))
    if ask.kind is Kind.OTHER:
        told = plain(ask.body.decode("utf-8", "surrogateescape"), present)
        keys = (("request", request), ("plain", _digest(OTHER, ask.method, ask.target, told.text)))
        return Understood(ask, OTHER, told, keys)
    text, kind = ask.text, str(ask.kind)
    masked = plain(text, present)
    named = text if put_back is None else put_back(text)
    rows: list[Key] = [("request", request), ("text", _digest("text", kind, ask.model, text))]
    rows.append(("named", _digest("text", kind, ask.model, named)))
    if ask.kind is Kind.VECTORS:
        rows += [("plain", _digest("tidy", ask.model, tidy(text))), ("plain", _digest("vectors", ask.model, masked.text))]
        return Understood(ask, "embedding", masked, _distinct(rows))
    stage = stage_of(text)
    rows.append(("plain", _digest("plain", stage, masked.text)))
    decision = decision_of(text) if stage == "decision" else None
    if decision is not None:
        fact = (decision.type, decision.confidence, plain(decision.content, present).text)
        contents = sorted(plain(candidate.content, present).text for candidate in decision.candidates)
        rows += [("payload", _digest(stage, *fact, *contents)), ("task", _digest("task", stage, *fact))]
    listing = listing_of(stage, text)
    items: tuple[tuple[bytes, bytes], ...] = ()
    if listing is not None:
        texts = [plain(item, present).text for item in listing.items]
        head = plain(listing.head, present).text
        rows.append(("payload", _digest(stage, head, *sorted(texts))))
        if listing.each:
            items = tuple((_digest("item", stage, head, item), _digest("any item", stage, item)) for item in texts)
        else:
            rows.append(("task", _digest("task", stage, head)))
    elif (payload := payload_of(stage, text)) is not None:
        rows.append(("payload", _digest(stage, plain(payload, present).text)))
    elif (task := task_of(stage, text)) is not None:
        rows.append(("task", _digest("task", stage, plain(task, present).text)))
    return Understood(ask, stage, masked, _distinct(rows), decision, listing, items)


def _distinct(rows: list[Key]) -> tuple[Key, ...]:
    """Leave out a digest that stands there already: what was put back is what came."""
    seen: dict[bytes, str] = {}
    for by, digest in rows:
        seen.setdefault(digest, by)
    return tuple((by, digest) for digest, by in seen.items())


def _canonical(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "surrogateescape")


def _digest(*parts: str) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(data) + data)
    return state.digest()

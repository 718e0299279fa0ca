"""
From what a daemon asks to what it is answered, and how that came about. No sockets.

How this works
--------------
The recording is looked up by the ask's keys, strictest first. What is found is given as it was recorded: status, headers, body, pieces. It is
changed in two cases only. Where the recorded question named other ids or another day, those are replaced in the answer by the ones that stand
at the same place in the question asked now; for a decision, by the ids of the candidates with the same content. And where the daemon speaks
another wire, or streams where the recorded one did not, the text is wrapped anew.

What is not found, or can't be changed so that it fits, is a miss: an error, never a guess and never a live call.
"""

from dataclasses import replace
from typing import Any, Final

from replay.identity import Bindings
from replay.model import Header
from replay.play.providing.asks import Ask
from replay.play.providing.given import EXACT, MISS, NORMALISED, REPEATED, REWRITTEN, Given, cut, put_in_bytes
from replay.play.providing.keys import Understood, understand
from replay.play.providing.listings import listing_of, read_results, write_results
from replay.play.providing.nearest import differences, nearest, other_candidates
from replay.play.providing.plain import Plain, Present, plain, put_in, renamings, renamings_by_line
from replay.play.providing.stages import Decision, decision_of, payload_of
from replay.play.providing.store import Entry, Found, Store, single, text_of, unpack, vector_of
from replay.play.providing.wires import Reply, error_body, error_message, read_reply, wrap

_SHOWN_MAX: Final = 4
MISS_STATUS: Final = 503
_JSON_TYPE: Final = (b"content-type", b"application/json; charset=utf-8")
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"content-encoding", b"connection", b"keep-alive"})


class _UnfitError(Exception):
    """A recorded answer that can't be given to what was asked; the message says why."""


class Answering:
    """Answers for one lane."""

    def __init__(self, lane: str, store: Store, present: Present, bindings: Bindings) -> None:
        self._lane = lane
        self._store = store
        self._present = present
        self._bindings = bindings

    def answer(self, ask: Ask) -> Given:
        """Find what is to be answered; never raises."""
        asked = understand(ask, self._present, self._bindings.rewrite_back)
        found = self._store.find(asked)
        if found is None and len(ask.texts) > 1:
            gathered = self._gather(asked)
            if gathered is not None:
                return gathered
        try:
            if found is not None:
                return self._fit(asked, found)
            items = self._store.find_items(asked)
            return self._miss(asked, "") if items is None else self._assemble(asked, items)
        except _UnfitError as error:
            return self._miss(asked, str(error))

    def _fit(self, asked: Understood, found: Found) -> Given:
        entry, recorded = found.entry, found.entry.answer
        match: dict[str, Any] = {"exchange": entry.exchange, "by": found.by}
        names = self._renamings(asked, found, match) if found.by not in {"request", "text"} else {}
        if entry.model != asked.ask.model:
            match["model"] = [entry.model, asked.ask.model]
        body = unpack(recorded.body)
        sizes = recorded.sizes
        content_type: Header | None = None
        made = False
        if recorded.status == 0:
            return self._given(asked, found, match, body=b"", sizes=(), content_type=None, made=False)
        relisted = self._relisted(asked, found, match)
        same_form = relisted is None and entry.shape is asked.ask.shape and entry.stream == asked.ask.stream and entry.item is None
        if not same_form:
            if relisted is None:
                match["wrapped"] = f"{entry.shape.value}{', a stream' * entry.stream}"
            content_type, body, sizes = self._wrapped(asked.ask, entry, body, names, relisted)
            made = True
        elif names:
            content_type, changed, sizes = self._renamed(asked.ask, entry, body, sizes, names)
            made, body = changed != body, changed
        if made and names:
            match["renamed"] = len(names)
        return self._given(asked, found, match, body=body, sizes=sizes, content_type=content_type, made=made)

    def _renamings(self, asked: Understood, found: Found, match: dict[str, Any]) -> dict[str, str]:
        """Give what to replace in the recorded answer; says in *match* where a decision's candidates differ."""
        text = text_of(found.entry)
        if found.by == "task":
            theirs, mine = (plain(each, self._present).text for each in (text, asked.ask.text))
            match["context"] = differences(theirs, mine)[:_SHOWN_MAX]
        if found.by in {"payload", "task"} and asked.decision is not None:
            recorded = decision_of(text)
            if recorded is not None:
                names = self._targets(recorded, asked.decision)
                if found.by == "task":
                    match["context"] = other_candidates(recorded, asked.decision, self._present)
                    self._expect_target(found.entry, recorded, names)
                return {old: new for old, new in names.items() if old != new}
        if found.by not in {"payload", "task"}:
            return renamings(plain(text, self._present), asked.plain)
        # The texts differ: only what is in both payloads or lines stands at the same place, and the day that each text names first.
        days = (Plain("", (), times[:1]) for times in (self._plain(text).times, asked.plain.times))
        names = {**renamings(*days), **renamings_by_line(text, asked.ask.text, self._present)}
        payloads = [payload_of(asked.stage, each) for each in (text, asked.ask.text)] if found.by == "payload" else []
        return {**names, **renamings(*(self._plain(each or "") for each in payloads))} if payloads else names

    def _plain(self, text: str) -> Plain:
        return plain(text, self._present)

    def _targets(self, recorded: Decision, asked: Decision) -> dict[str, str]:
        """Pair the candidates of two decisions: bound ids first, then by content, equal ones in their order."""
        left = {each.id: plain(each.content, self._present).text for each in asked.candidates}
        names: dict[str, str] = {}
        for each in recorded.candidates:
            bound = self._bindings.observed_for(each.id) or each.id
            if left.get(bound) == plain(each.content, self._present).text:
                names[each.id] = bound
                del left[bound]
        for each in recorded.candidates:
            content = plain(each.content, self._present).text
            other = next((id_ for id_, text in left.items() if text == content), None) if each.id not in names else None
            if other is not None:
                names[each.id] = other
                del left[other]
        return names

    def _expect_target(self, entry: Entry, recorded: Decision, names: dict[str, str]) -> None:
        """
        Make sure that what a recorded decision is about is among the candidates.

        Raises: _UnfitError.
        """
        reply = read_reply(entry.shape, entry.kind, unpack(entry.answer.body), stream=entry.stream)
        text = "" if reply is None else reply.text
        lost = next((each for each in recorded.candidates if each.id in text and each.id not in names), None)
        if lost is not None:
            raise _UnfitError(
                f"the recorded decision (#{entry.exchange}) is about a memory that is not among the candidates: {lost.content[:160]}"
            )

    def _renamed(
        self, ask: Ask, entry: Entry, body: bytes, sizes: tuple[int, ...], names: dict[str, str]
    ) -> tuple[Header | None, bytes, tuple[int, ...]]:
        """Replace names in an answer; where one may stand across two pieces of a stream, the text is wrapped anew."""
        if not sizes:
            return None, put_in_bytes(body, names), ()
        pieces = [put_in_bytes(piece, names) for piece in cut(body, sizes)]
        before = read_reply(entry.shape, entry.kind, body, stream=entry.stream)
        after = read_reply(entry.shape, entry.kind, b"".join(pieces), stream=entry.stream)
        if before is None or after is None or put_in(before.text, names) == after.text:
            return None, b"".join(pieces), tuple(len(piece) for piece in pieces)
        return self._wrapped(ask, entry, body, names)

    def _wrapped(
        self, ask: Ask, entry: Entry, body: bytes, names: dict[str, str], text: str | None = None
    ) -> tuple[Header, bytes, tuple[int, ...]]:
        """
        Give an answer in the form that was asked for, with another text where one is given.

        Raises: _UnfitError where it has no such form.
        """
        if entry.answer.status >= 400:
            return _JSON_TYPE, error_body(ask.shape, error_message(body)), ()
        if entry.item is not None and len(ask.texts) == 1:
            vector = vector_of(entry)
            reply = None if vector is None else Reply(vectors=(vector,))
        else:
            reply = read_reply(entry.shape, entry.kind, body, stream=entry.stream)
        if reply is None:
            raise _UnfitError(f"the recorded answer (#{entry.exchange}, {entry.shape.value}) can't be read, to give it as {ask.shape.value}")
        wrapped = wrap(ask, replace(reply, text=put_in(reply.text if text is None else text, names)))
        if wrapped is None:
            raise _UnfitError(f"the recorded answer (#{entry.exchange}, {entry.shape.value}) can't be given as {ask.shape.value}")
        sizes = tuple(len(piece) for piece in wrapped.pieces) if ask.stream else ()
        return (b"content-type", wrapped.content_type), b"".join(wrapped.pieces), sizes

    def _relisted(self, asked: Understood, found: Found, match: dict[str, Any]) -> str | None:
        """
        Give the recorded results of a list with the numbers that its items have now; None where they stand as recorded.

        Raises: _UnfitError where the recorded answer has no results that can be read.
        """
        if found.by != "payload" or asked.listing is None:
            return None
        recorded = listing_of(asked.stage, text_of(found.entry))
        if recorded is None:
            return None
        if recorded.context != asked.listing.context:
            match["context"] = [recorded.context, asked.listing.context]
        theirs, mine = ([self._plain(item).text for item in each.items] for each in (recorded, asked.listing))
        if not asked.listing.each or theirs == mine:
            return None
        like, rows = self._results(found.entry)
        places: dict[int, int] = {}
        for place, item in enumerate(mine, 1):
            places[theirs.index(item) + 1] = place
            theirs[theirs.index(item)] = ""  # of two that are equal the second is another
        return write_results(like, sorted(({**row, "i": places[row["i"]]} for row in rows if row["i"] in places), key=lambda row: row["i"]))

    def _assemble(self, asked: Understood, items: list[Found]) -> Given:
        """
        Answer for a list by what was recorded of each item in other lists.

        Raises: _UnfitError where one of the recorded answers can't be read.
        """
        rows: list[dict[str, Any]] = []
        for place, each in enumerate(items, 1):
            _, results = self._results(each.entry)
            # What the recorded model said nothing of, it says nothing of now.
            rows += [{**row, "i": place} for row in results if row["i"] == (each.entry.item or 0) + 1]
        like, _ = self._results(items[0].entry)
        first = items[0]
        body = unpack(first.entry.answer.body)
        content_type, body, sizes = self._wrapped(asked.ask, replace(first.entry, item=None), body, {}, write_results(like, rows))
        match: dict[str, Any] = {"exchanges": [each.entry.exchange for each in items], "by": "items"}
        strangers = [place for place, each in enumerate(items, 1) if each.by != "items"]
        if strangers:
            match["context"] = {"items of another list's entity": strangers}
        again = all(each.again for each in items)
        return self._given(asked, replace(first, again=again), match, body=body, sizes=sizes, content_type=content_type, made=True)

    def _results(self, entry: Entry) -> tuple[str, list[dict[str, Any]]]:
        reply = read_reply(entry.shape, entry.kind, unpack(entry.answer.body), stream=entry.stream)
        rows = None if reply is None else read_results(reply.text)
        if reply is None or rows is None:
            raise _UnfitError(f"the recorded answer (#{entry.exchange}) holds no results by number, and its list came in another order or alone")
        return reply.text, rows

    def _gather(self, asked: Understood) -> Given | None:
        """Answer for several texts at once by what was recorded of each; None where one of them is not known."""
        ask = asked.ask
        found = [self._store.find(understand(single(ask, text), self._present)) for text in ask.texts]
        vectors = [None if each is None else vector_of(each.entry) for each in found]
        if any(vector is None for vector in vectors):
            return None
        wrapped = wrap(ask, Reply(vectors=tuple(vectors)))
        first = found[0]
        if wrapped is None or first is None:
            return None
        match = {"exchanges": [each.entry.exchange for each in found if each is not None], "by": "each text"}
        return self._given(
            asked,
            replace(first, by="each text"),
            match,
            body=wrapped.pieces[0],
            sizes=(),
            content_type=(b"content-type", wrapped.content_type),
            made=True,
        )

    def _given(
        self,
        asked: Understood,
        found: Found,
        match: dict[str, Any],
        *,
        body: bytes,
        sizes: tuple[int, ...],
        content_type: Header | None,
        made: bool,
    ) -> Given:
        recorded = found.entry.answer
        headers = tuple(header for header in recorded.headers if header[0].lower() not in _FRAMING or (not made and _encodes(header)))
        if content_type is not None:
            headers = (*(header for header in headers if header[0].lower() != b"content-type"), content_type)
        tier = REPEATED if found.again else _tier(found.by, made=made)
        # Of a big answer that came in pieces the recorded head told the length; one that is wrapped anew is a stream or has no pieces.
        told = content_type is None and any(name.lower() == b"content-length" for name, _ in recorded.headers)
        chunked = bool(sizes) and not told
        return Given(
            stage=asked.stage,
            tier=tier,
            status=recorded.status,
            reason=recorded.reason,
            headers=headers,
            pieces=cut(body, sizes) if sizes else (body,),
            chunked=chunked,
            whole=recorded.whole,
            broken=recorded.broken,
            match=self._match(asked, tier, match),
            made=made,
        )

    def _miss(self, asked: Understood, why: str) -> Given:
        ask = asked.ask
        near = nearest(asked, self._store.likely(asked), self._present)
        match: dict[str, Any] = {}
        if why:
            match["why"] = why
        if near is not None:
            match["nearest"] = {"exchange": near.exchange, "key": near.key, "likeness": near.likeness}
            match["difference"] = list(near.difference)
        said = why or "no recorded call has this key"
        body = error_body(ask.shape, f"signet-parity: {said} ({asked.name}); a replay asks no live model")
        return Given(
            stage=asked.stage,
            tier=MISS,
            status=MISS_STATUS,
            reason=b"Service Unavailable",
            headers=(_JSON_TYPE,),
            pieces=(body,),
            chunked=False,
            whole=True,
            broken=False,
            match=self._match(asked, MISS, match),
            made=True,
        )

    def _match(self, asked: Understood, tier: str, rest: dict[str, Any]) -> dict[str, Any]:
        return {"lane": self._lane, "tier": tier, "key": asked.name, **rest}


def _tier(by: str, *, made: bool) -> str:
    if made:
        return REWRITTEN
    return EXACT if by in {"request", "text"} else NORMALISED


def _encodes(header: Header) -> bool:
    return header[0].lower() == b"content-encoding"

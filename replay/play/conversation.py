"""
One exchange, from its request to its end: send, receive, notice, leave, give up.

How this works
--------------
`begin` sends (the player awaits it in recorded order), `finish` reads the answer beside all others. An answer ends by itself, at its
bound, or, where the recorded client left it, when all that ended before the leaving has ended here and the recorded events have come.
A stream's head and events teach ids at once, for a later request may need them while the stream is open.

A connection that served before may be closed by the daemon before the first byte of an answer: GET and HEAD are then sent once more over a
fresh one, and the note says so; for other methods the daemon may have acted, so that is the answer.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from replay.content import Event, read_events
from replay.identity import Bindings, learn, learn_pair
from replay.model import STREAM_TYPES, Binding, EndReason, NoResponse, Outcome, Response
from replay.plan import Step
from replay.play.link import Link
from replay.play.observed import Observation
from replay.play.rewriting import Rewritten
from replay.play.wire import AnswerReader, request_bytes

LEFT: Final = frozenset({EndReason.CLIENT_LEFT, EndReason.PROXY_STOPPED, EndReason.TIMEOUT})
"""How a recorded exchange ended where its answer did not end by itself."""

_EVENTS: Final = b"text/event-stream"
_BLANK_LINE: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long things may take, in seconds."""

    request_s: float
    stream_s: float


class Conversation:
    """Has one exchange with the daemon."""

    def __init__(
        self,
        step: Step,
        link: Link,
        observation: Observation,
        bindings: Bindings,
        chosen: frozenset[str],
        *,
        clock: Callable[[], float],
        taught: Callable[[], None],
    ) -> None:
        self.step = step
        self.notes: list[str] = []
        self.new: list[Binding] = []
        self.end = EndReason.COMPLETE
        self.outcome: Outcome = NoResponse("not asked")
        self.retried = False
        self.begun = False
        """Whether the head of an answer has come."""
        self.link = link
        self._observation = observation
        self._bindings = bindings
        self._chosen = chosen
        self._clock = clock
        self._taught = taught
        self._answer = AnswerReader(step.exchange.request.method)
        self._body: list[bytes] = []
        self._raw = b""
        self._rest = b""
        self._events = 0
        self._has_events = False
        self._moved = asyncio.Event()
        self._recorded_events = _recorded_events(step)

    def begin(self, rewritten: Rewritten) -> None:
        """Send the request; the link must be ready."""
        self._raw = request_bytes(rewritten.request)
        self.link.send(self._raw)
        self._observation.request_ended_at = self._clock()

    async def finish(self, bounds: Bounds, may_leave: Callable[[], Awaitable[None]]) -> None:
        """
        Receive the answer; afterwards `outcome`, `end`, `notes` and `new` say what came of it.

        Raises:
            RefusedError: nobody listens when the request is sent once more.

        """
        left_here = self.step.exchange.end in LEFT
        receiving = asyncio.ensure_future(self._receive())
        leaving = asyncio.ensure_future(self._leave(may_leave, bounds.stream_s)) if left_here else None
        try:
            waiting = {receiving} if leaving is None else {receiving, leaving}
            await asyncio.wait(waiting, timeout=None if left_here else bounds.request_s, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                trouble = receiving.result()
                self.end = EndReason.COMPLETE if not trouble else EndReason.SERVER_CLOSED
            elif leaving is not None:
                leaving.result()
                trouble, self.end = "left, as the recorded client did", EndReason.CLIENT_LEFT
            else:
                trouble, self.end = f"no end within {bounds.request_s:g} s", EndReason.TIMEOUT
        finally:
            for task in (receiving, leaving):
                if task is not None and not task.done():
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
        if self.end is not EndReason.COMPLETE:
            await self.link.close()
        if trouble and self.end is not EndReason.CLIENT_LEFT:
            self.notes.append(trouble)
        if self._answer.interim:
            self.notes.append("before it: " + ", ".join(map(str, self._answer.interim)))
        self.outcome = self._response() if self._answer.head_whole else NoResponse(trouble)
        self._learn_whole()

    def again(self) -> None:
        """Make ready to ask the same request once more."""
        self._answer = AnswerReader(self.step.exchange.request.method)
        self._observation.forget()
        self._body.clear()

    def write(self, *, server: str) -> None:
        """Write the end of the exchange to the observed archive."""
        self._observation.end(self._clock(), self.end, self.outcome, note="; ".join(self.notes), server=server)

    async def _receive(self) -> str:
        trouble = await self.link.receive(self._answer, self._progress)
        method = self.step.exchange.request.method
        if trouble and not self._answer.any_byte and self.link.reused and method in _IDEMPOTENT:
            self.retried = True
            self.notes.append("sent once more over a fresh connection: the daemon had closed the old one without an answer")
            self._answer = AnswerReader(method)
            await self.link.close()
            await self.link.make_ready()
            self.link.send(self._raw)
            trouble = await self.link.receive(self._answer, self._progress)
        return trouble

    async def _leave(self, may_leave: Callable[[], Awaitable[None]], bound_s: float) -> None:
        await may_leave()
        try:
            async with asyncio.timeout(bound_s):
                while not self._answer.head_whole or self._events < len(self._recorded_events):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            if isinstance(self.step.exchange.outcome, Response):
                self.notes.append(
                    f"left after {bound_s:g} s with {self._events} of {len(self._recorded_events)} recorded events"
                    if self._answer.head_whole
                    else f"left after {bound_s:g} s without a head"
                )

    def _progress(self) -> None:
        answer, observation, now = self._answer, self._observation, self._clock()
        if answer.any_byte and observation.first_byte_at is None:
            observation.first_byte_at = now
        if answer.head_whole and observation.headers_event is None:
            media = next((value for name, value in answer.headers if name.lower() == b"content-type"), b"").lower()
            observation.head(now, streamed=media.startswith(STREAM_TYPES))
            self._has_events = media.startswith(_EVENTS)
            self._learn_head()
            self.begun = True
            self._taught()
        data = answer.take()
        if data:
            observation.body(now, data)
            self._body.append(data)
            if self._has_events:
                self._read_events(data)
        self._moved.set()

    def _read_events(self, data: bytes) -> None:
        searched = max(0, len(self._rest) - 3)
        self._rest += data
        ends = [match.end() for match in _BLANK_LINE.finditer(self._rest, searched)]
        if not ends:
            return
        text, self._rest = self._rest[: ends[-1]].decode("utf-8", "replace"), self._rest[ends[-1] :]
        for event in read_events(text)[0]:
            if self._events < len(self._recorded_events):
                recorded = self._recorded_events[self._events]
                if recorded.name == event.name:
                    path = f"$.<sse>[{self._events}].data"
                    self._keep(learn_pair(recorded.data, event.data, self._bindings, self.step.exchange.id, path=path, chosen=self._chosen))
            self._events += 1

    def _learn_head(self) -> None:
        recorded = self.step.exchange.outcome
        if isinstance(recorded, Response):
            empty = replace(self._response(), body=b"")
            self._keep(learn(replace(recorded, body=b""), empty, self._bindings, self.step.exchange.id, chosen=self._chosen))

    def _learn_whole(self) -> None:
        recorded = self.step.exchange.outcome
        if isinstance(recorded, Response) and isinstance(self.outcome, Response):
            said = len(self._bindings.contradictions)
            number, request = self.step.exchange.id, self.step.exchange.request
            self._keep(learn(recorded, self.outcome, self._bindings, number, chosen=self._chosen, request=request))
            fresh = self._bindings.contradictions[said:]
            if fresh:
                self.notes.append(f"{len(fresh)} ids contradict earlier ones, such as {fresh[0]}")

    def _keep(self, new: list[Binding]) -> None:
        if new:
            self.new.extend(new)
            self._taught()

    def _response(self) -> Response:
        answer = self._answer
        return Response(answer.version, answer.status, answer.reason, tuple(answer.headers), b"".join(self._body), tuple(answer.trailers))


def _recorded_events(step: Step) -> tuple[Event, ...]:
    outcome = step.exchange.outcome
    if not isinstance(outcome, Response) or not outcome.body or not (outcome.header(b"content-type") or b"").lower().startswith(_EVENTS):
        return ()
    return tuple(event for event in read_events(outcome.body.decode("utf-8", "replace"))[0] if event.finished)

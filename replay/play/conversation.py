"""
One exchange, from its request to its end: send, receive, notice, leave, give up.

How this works
--------------
No task stands behind an exchange: `begin` sends, and the connection's callbacks bring the answer, note when what came, and see its end. An
answer ends by itself, at its bound, or, where the recorded client left it, when all that ended before the leaving has ended here and the
recorded events have come (or a bound passed). Then `over` is called, once, and the player lets the conversation `conclude`: what was learned
and has to be said is worked out there, after the clock was read, so that no other exchange's times suffer from it.
A stream's head and events teach ids at once, for a later request may need them while the stream is open.

A connection that served before may be closed by the daemon before the first byte of an answer: GET and HEAD are then sent once more over a
fresh one, and the note says so; for other methods the daemon may have acted, so that is the answer.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from replay.content import Event, read_events
from replay.identity import learn_pair
from replay.model import STREAM_TYPES, Binding, EndReason, NoResponse, Outcome, Response
from replay.plan import Step
from replay.play.learning import Learning
from replay.play.link import Link
from replay.play.observed import Observation
from replay.play.rewriting import Rewritten
from replay.play.wire import AnswerReader, NotHttpError, request_bytes

LEFT: Final = frozenset({EndReason.CLIENT_LEFT, EndReason.PROXY_STOPPED, EndReason.TIMEOUT})
"""How a recorded exchange ended where its answer did not end by itself."""

IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})

_EVENTS: Final = b"text/event-stream"
_EVENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""A longer one is not read while its stream runs."""
_LEARNED_BYTES_MAX: Final = 32 * 1024 * 1024
"""From a longer answer nothing is learned: a daemon that floods must not hold up the replay."""
_BLANK_LINE: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long things may take, in seconds."""

    request_s: float
    stream_s: float
    release_s: float
    """After how long others go on without it."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a conversation needs of those around it, and whom it tells."""

    learning: Learning
    clock: Callable[[], float]
    taught: Callable[[], None]
    """An id was learned, or an answer's head came."""
    heard: Callable[[], None]
    """The daemon sent something."""
    again: Callable[["Conversation"], None]
    """Wants its request sent once more, over a fresh connection."""
    slow: Callable[["Conversation"], None]
    """Took so long that others go on."""


class Conversation:
    """Has one exchange with the daemon."""

    __slots__ = (
        "_answer",
        "_around",
        "_bindings",
        "_body",
        "_bounds",
        "_events",
        "_has_events",
        "_learning",
        "_may_leave",
        "_observation",
        "_raw",
        "_recorded_events",
        "_rest",
        "_timer",
        "_trouble",
        "begun",
        "end",
        "ended",
        "ended_at",
        "heard",
        "last_byte_at",
        "link",
        "new",
        "notes",
        "outcome",
        "over",
        "released",
        "retried",
        "sent_at",
        "step",
    )

    def __init__(self, step: Step, link: Link, observation: Observation, around: Around, bounds: Bounds) -> None:
        self.step = step
        self.notes: list[str] = []
        self.new: list[Binding] = []
        self.end = EndReason.COMPLETE
        self.outcome: Outcome = NoResponse("not asked")
        self.retried = False
        self.begun = False
        """Whether the head of an answer has come."""
        self.ended = False
        """Whether nothing more is taken."""
        self.released = False
        """Whether others went on without its end."""
        self.sent_at = self.ended_at = 0.0
        self.last_byte_at: float | None = None
        self.heard = 0
        """How much the daemon had sent, on all connections, when this was sent."""
        self.link = link
        self.over: Callable[[Conversation], None] | None = None
        """Called at the end, once."""
        self._observation = observation
        self._bindings = around.learning.bindings
        self._learning = around.learning
        self._around = around
        self._bounds = bounds
        self._answer = AnswerReader(step.exchange.request.method)
        self._body: list[bytes] = []
        self._raw = b""
        self._rest = b""
        self._events = 0
        self._has_events = False
        self._trouble = ""
        self._may_leave = False
        self._recorded_events = _recorded_events(step)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def streams(self) -> bool:
        """Whether the head of a stream has come: others need not wait for its end."""
        return self.begun and self._observation.streamed

    @property
    def leaves(self) -> bool:
        """Whether the recorded client left the answer, so that it is left here too."""
        return self.step.exchange.end in LEFT

    @property
    def any_byte(self) -> bool:
        """Whether anything of an answer came."""
        return self._answer.any_byte

    def begin(self, rewritten: Rewritten) -> None:
        """Send the request; the link must be ready."""
        self._raw = request_bytes(rewritten.request)
        if not self.leaves:
            self._timer = asyncio.get_running_loop().call_later(min(self._bounds.release_s, self._bounds.request_s), self._run_late)
        self.link.send(self._raw, self)
        self.sent_at = self._observation.request_ended_at = self._around.clock()

    def resend(self) -> None:
        """Send the same request once more; the link must be ready again."""
        if not self.ended:
            self.link.send(self._raw, self)

    def leave(self) -> None:
        """Say that all that ended before the leaving has ended here: the answer is left as soon as the recorded events are here."""
        if self.ended:
            return
        self._may_leave = True
        if self._has_all():
            self._stop(EndReason.CLIENT_LEFT, "")
        else:
            self._timer = asyncio.get_running_loop().call_later(self._bounds.stream_s, self._leave_without)

    def stop(self, trouble: str) -> None:
        """End it from outside, as if the daemon had closed it."""
        if not self.ended:
            self._stop(EndReason.SERVER_CLOSED, trouble)

    def drop(self) -> None:
        """End it from outside without a word: nothing comes of it any more."""
        self.ended = True
        self._cancel_timer()
        self.link.close()

    def conclude(self) -> None:
        """Work out `outcome`, `notes` and `new` after the end."""
        if self._trouble:
            self.notes.append(self._trouble)
        if self._answer.interim:
            self.notes.append("before it: " + ", ".join(map(str, self._answer.interim)))
        if not self._answer.head_whole:
            self.outcome = NoResponse(self._trouble or "left, as the recorded client did")
            return
        self.outcome = self._response()
        if len(self.outcome.body or b"") > _LEARNED_BYTES_MAX:
            self.notes.append(f"longer than {_LEARNED_BYTES_MAX} bytes: no ids were learned from it")
            return
        said = len(self._bindings.contradictions)
        self.new.extend(self._learning.whole(self.step.exchange, self.outcome, dull=self.step.dull))
        if len(self._bindings.contradictions) > said:
            fresh = self._bindings.contradictions[said:]
            self.notes.append(f"{len(fresh)} ids contradict earlier ones, such as {fresh[0]}")

    def again(self) -> None:
        """Make ready to ask the same request once more."""
        self._answer = AnswerReader(self.step.exchange.request.method)
        self._observation.forget()
        self._body.clear()
        self.ended, self.end, self._trouble = False, EndReason.COMPLETE, ""
        self.released = False

    def write(self, *, server: str) -> None:
        """Write the end of the exchange to the observed archive."""
        self._observation.end(self.end, self.outcome, note="; ".join(self.notes), server=server)

    # --- called by the connection ---

    def take(self, data: bytes) -> None:
        """Take a piece of the answer."""
        self._around.heard()
        try:
            self._answer.feed(data)
        except NotHttpError as error:
            self._progress()
            self._stop(EndReason.SERVER_CLOSED, f"what came is not HTTP: {error}")
            return
        self._progress()
        if self._answer.whole:
            self._stop(EndReason.COMPLETE, "")
        elif self._may_leave and self._has_all():
            self._stop(EndReason.CLIENT_LEFT, "")

    def lose(self, why: str) -> None:
        """Learn that the connection is gone."""
        answer = self._answer
        if not why and answer.end_of_stream():
            self._stop(EndReason.COMPLETE, "")
        elif not answer.any_byte and self.link.reused and not self.retried and self.step.exchange.request.method in IDEMPOTENT:
            self.retried = True
            self.notes.append("sent once more over a fresh connection: the daemon had closed the old one without an answer")
            self.link.close()
            self._around.again(self)
        elif why:
            self._stop(EndReason.SERVER_CLOSED, f"the connection broke {'in the middle of' if answer.any_byte else 'before'} the answer: {why}")
        else:
            where = "in the middle of its answer" if answer.any_byte else "before the first byte of an answer"
            self._stop(EndReason.SERVER_CLOSED, f"the daemon closed the connection {where}")

    # --- how it ends ---

    def _stop(self, end: EndReason, trouble: str) -> None:
        self.ended = True
        self._cancel_timer()
        self.ended_at = self._around.clock()
        self._observation.note_end(self.ended_at)
        self.end, self._trouble = end, trouble
        self._answer.close()
        self.link.end(keeps_alive=end is EndReason.COMPLETE and self._answer.keeps_alive)
        if self.over is not None:
            self.over(self)

    def _run_late(self) -> None:
        rest_s = self._bounds.request_s - self._bounds.release_s
        if rest_s <= 0 or self.released:
            self._give_up()
            return
        self._timer = asyncio.get_running_loop().call_later(rest_s, self._give_up)
        self.released = True
        self.notes.append(f"no end within {self._bounds.release_s:g} s: what came after it went on")
        self._around.slow(self)

    def _give_up(self) -> None:
        self._stop(EndReason.TIMEOUT, f"no end within {self._bounds.request_s:g} s")

    def _leave_without(self) -> None:
        if isinstance(self.step.exchange.outcome, Response):
            self.notes.append(
                f"left after {self._bounds.stream_s:g} s with {self._events} of {len(self._recorded_events)} recorded events"
                if self._answer.head_whole
                else f"left after {self._bounds.stream_s:g} s without a head"
            )
        self._stop(EndReason.CLIENT_LEFT, "")

    def _has_all(self) -> bool:
        return self._answer.head_whole and self._events >= len(self._recorded_events)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- what comes ---

    def _progress(self) -> None:
        answer, observation, now = self._answer, self._observation, self._around.clock()
        if observation.first_byte_at is None and answer.any_byte:
            observation.first_byte_at = now
        if answer.head_whole and observation.headers_event is None:
            media = answer.header(b"content-type").lower()
            observation.head(now, streamed=media.startswith(STREAM_TYPES))
            self._has_events = media.startswith(_EVENTS)
            self._learn_head()
            self.begun = True
            if not answer.whole:
                self._around.taught()
        data = answer.take()
        if data:
            self.last_byte_at = now
            if observation.streamed:
                observation.body(now, data)
            self._body.append(data)
            if self._has_events:
                self._read_events(data)

    def _read_events(self, data: bytes) -> None:
        if self._events >= len(self._recorded_events):
            return  # nothing is left to learn from, and a daemon may send events for ever
        searched = max(0, len(self._rest) - 3)
        self._rest += data
        ends = [match.end() for match in _BLANK_LINE.finditer(self._rest, searched)]
        if not ends:
            if len(self._rest) > _EVENT_BYTES_MAX:
                self._rest, self._has_events = b"", False
            return
        text, self._rest = self._rest[: ends[-1]].decode("utf-8", "replace"), self._rest[ends[-1] :]
        for event in read_events(text)[0]:
            if self._events < len(self._recorded_events):
                recorded = self._recorded_events[self._events]
                if recorded.name == event.name:
                    path = f"$.<sse>[{self._events}].data"
                    chosen = self._learning.chosen
                    self._keep(learn_pair(recorded.data, event.data, self._bindings, self.step.exchange.id, path=path, chosen=chosen))
            self._events += 1

    def _learn_head(self) -> None:
        if not self._answer.whole:  # what is whole is learned as a whole
            self._keep(self._learning.head(self.step.exchange, self._response()))

    def _keep(self, new: list[Binding]) -> None:
        if new:
            self.new.extend(new)
            self._around.taught()

    def _response(self) -> Response:
        answer, body = self._answer, self._body
        whole = body[0] if len(body) == 1 else b"".join(body)
        return Response(answer.version, answer.status, answer.reason, tuple(answer.headers), whole, tuple(answer.trailers))


def _recorded_events(step: Step) -> tuple[Event, ...]:
    outcome = step.exchange.outcome
    if not isinstance(outcome, Response) or not outcome.body or not (outcome.header(b"content-type") or b"").lower().startswith(_EVENTS):
        return ()
    return tuple(event for event in read_events(outcome.body.decode("utf-8", "replace"))[0] if event.finished)

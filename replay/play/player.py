"""
Walk the steps of a plan against a daemon in a cell, and write down what was observed.

How this works
--------------
One walk over the steps in the order of their recorded starts. Before each, the player waits for the frontier (so many recorded ends have
ended here), for the step before on the same connection, for the ids that the request needs, and for the daemon's background work where
the recording left time. Then it sends, and goes on to the next step while the answer is received beside. Every exchange has a bound, so
the walk always ends. When it does, each planned exchange is observed or a gap: asserted.
"""

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Final

from replay.identity import Bindings, classify
from replay.model import Connection, DaemonRecord, EndReason, GapReason, NoResponse, Response, Statistics
from replay.plan import Laying, Plan, Step
from replay.play.conversation import LEFT, Bounds, Conversation
from replay.play.job import CellFacts, Job
from replay.play.laying import Layer
from replay.play.link import Link, RefusedError
from replay.play.observed import Observed
from replay.play.polls import is_early
from replay.play.quiet import Quiet
from replay.play.rewriting import Rewriter
from replay.routes import ACTS_OUTSIDE

_CONNECT_TRIES: Final = 4
_CONNECT_AGAIN_S: Final = 0.4
_ASK_AGAIN_S: Final = 0.25
_HANGS_MAX: Final = 5
_IDLE_S: Final = 2.0
_LOG_TAIL_BYTES: Final = 4000
_UNRENEWED: Final = frozenset({"uuid", "api-key", "api-key-id", "time-id"})


class Player:
    """Plays one plan once."""

    def __init__(
        self,
        plan: Plan,
        job: Job,
        facts: CellFacts,
        observed: Observed,
        *,
        rewriter: Rewriter,
        bindings: Bindings,
        clock: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._job = job
        self._facts = facts
        self._observed = observed
        self._rewriter = rewriter
        self._bindings = bindings
        self._clock = clock
        self._quiet = Quiet(facts.drained, clock)
        self._links: dict[str, Link] = {}
        self._all_links: list[Link] = []
        self._used_at: dict[str, float] = {}
        self._wants_fresh: set[str] = set()
        self._done: set[int] = set()
        self._ends = plan.ends
        self._layer = Layer(plan.layings, job, facts, observed, rewrite=bindings.rewrite_text, clock=clock)
        self._front = 0
        self._changed = asyncio.Event()
        self._over: tuple[GapReason, str] | None = None
        self._hangs = 0
        self._impatient: set[str] = set()
        self._outside = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: dict[int, Conversation] = {}
        self.counts: Counter[str] = Counter()

    async def run(self) -> bool:
        """Play; gives whether the daemon lived and every step was walked to its end."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in a main thread: nobody signals it
            loop.add_signal_handler(signal.SIGTERM, self.stop)
        for gap in self._plan.gaps:
            self._observed.take_over(gap)
        started = self._clock()
        try:
            async with asyncio.TaskGroup() as tasks:
                for number, step in enumerate(self._plan.steps, 1):
                    await self._walk(step, tasks, started)
                    _tell(f"{number} of {len(self._plan.steps)} sent", last=number == len(self._plan.steps))
                await self._lay(None, self._ends[-1] if self._ends else 0, started)
        finally:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(signal.SIGTERM)
            for link in self._all_links:
                await link.close()
        for exchange in self._ends:
            if exchange not in self._observed.ended and exchange not in self._observed.gaps:
                reason, detail = self._over or (GapReason.NOT_OBSERVED, "its end was not seen")
                self._observed.gap(reason, exchange, detail)
        self.counts["connections"] = sum(link.opened for link in self._all_links)
        self.counts["bindings"] = len(self._bindings)
        self.counts["contradictions"] = len(self._bindings.contradictions)
        self.counts.update(self._layer.counts)
        self._observed.append(Statistics(self._clock(), {name: float(count) for name, count in self.counts.items()}))
        seen = len(self._observed.ended) + len(self._observed.gaps)
        assert seen == self._plan.planned, f"{self._plan.planned} planned, but {seen} observed or gaps"
        return self._over is None

    def stop(self) -> None:
        """End early: what is not over becomes a gap."""
        self._end(GapReason.NOT_OBSERVED, "the player was told to stop")
        for task in self._tasks:
            task.cancel()

    # --- the walk ---

    async def _walk(self, step: Step, tasks: asyncio.TaskGroup, started: float) -> None:
        await self._until(lambda: self._front >= step.after and (step.previous is None or step.previous in self._done))
        await self._lay(step.exchange.opened_event, step.exchange.id, started)
        await self._until(lambda: all(self._has_begun(number) for number in step.heads))
        await self._until(lambda: all(need.exchange in self._done or self._bindings.observed_for(need.id) for need in step.needs))
        if self._over is None:
            await self._keep_pace(step, step.exchange.id, step.exchange.started_at, started)
        if self._over is None and self._is_loopback(step):
            self._observed.gap(GapReason.LOOPBACK, step.exchange.id, "another daemon listens on the recorded port, which /mcp calls")
            self._finish(step)
            return
        if self._over is not None:
            self._observed.gap(*self._gap_for(step))
            self._finish(step)
            return
        conversation = await self._send(step)
        if conversation is None:
            self._finish(step)
            return
        task = tasks.create_task(self._receive(conversation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lay(self, before: int | None, exchange: int, started: float) -> None:
        """Lay the files whose turn comes before an event, or all that are left; *exchange* names the place in what is observed."""
        for laying in self._layer.due(before):
            after = laying.after
            await self._until(lambda after=after: self._front >= after)  # type: ignore[misc]  # it takes none
            if self._over is None:
                await self._keep_pace(laying, exchange, laying.at, started)
            if self._over is None:
                self._layer.lay(laying)

    async def _keep_pace(self, step: Step | Laying, exchange: int, at: float, started: float) -> None:
        if step.settles and self._job.pace != "recorded":
            before = self._clock()
            least_s = min(step.pause_s, self._job.settle_outside_s if self._outside else self._job.settle_s)
            if not self._facts.drained:
                least_s = min(step.pause_s, max(least_s, 2.0))
            for wait in await self._quiet.wait(exchange, least_s):
                self._observed.append(wait)
            self._outside = False
            self.counts["waits"] += 1
            self.counts["wait_ms"] += round((self._clock() - before) * 1000)
        if self._job.pace != "asap":
            factor = 1.0 if isinstance(self._job.pace, str) else float(self._job.pace)
            due = started + (at - self._plan.started_at) / factor
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - self._clock())):
                    await self._until(lambda: False)

    async def _send(self, step: Step) -> Conversation | None:
        exchange = step.exchange
        client = exchange.connection.client
        link = self._links.get(client)
        if link is None or link.busy:  # busy: the one before on this connection outlasted it when it was recorded
            link = self._links[client] = Link(self._facts.host, self._facts.port)
            self._all_links.append(link)
        rewritten = self._rewriter.rewrite(exchange)
        connection = Connection(client=client, peer=exchange.connection.peer)
        for number in range(1, _CONNECT_TRIES + 1):
            fresh = client in self._wants_fresh or self._is_stale(step, self._clock())
            try:
                if fresh:
                    await link.close()
                    self._wants_fresh.discard(client)
                await link.make_ready()
            except RefusedError as error:
                if number == _CONNECT_TRIES:
                    self._daemon_died(str(error))
                    self._observed.gap(*self._gap_for(step))
                    return None
                await asyncio.sleep(_CONNECT_AGAIN_S)
                continue
            break
        observation = self._observed.open(exchange.id, self._clock(), rewritten.shown, connection)
        conversation = Conversation(step, link, observation, self._bindings, self._plan.chosen, clock=self._clock, taught=self._notify)
        conversation.notes.extend(rewritten.notes)
        conversation.notes.extend(self._layer.notes_for(exchange.id))
        conversation.notes.extend(self._unrenewed(step))
        conversation.begin(rewritten)
        self._open[exchange.id] = conversation
        self._outside = self._outside or step.route.replay_class in ACTS_OUTSIDE
        self.counts["rewritten"] += rewritten.replaced > 0
        return conversation

    async def _receive(self, conversation: Conversation) -> None:
        step = conversation.step
        exchange = step.exchange
        bounds = Bounds(
            request_s=min(max(self._job.request_bound_s, exchange.duration_ms / 100.0), self._job.request_bound_max_s),
            stream_s=self._job.stream_bound_s,
        )
        try:
            await conversation.finish(bounds, lambda: self._until(lambda: self._front >= step.leave_after))
            await self._ask_again(conversation, bounds)
        except RefusedError as error:
            self._daemon_died(str(error))
            conversation.end, conversation.outcome = EndReason.SERVER_CLOSED, NoResponse(f"the daemon is gone: {error}")
        except asyncio.CancelledError:
            if self._over is None:
                raise
            return  # told to stop: the walk makes a gap of it
        self._write(conversation)
        self._finish(step)

    async def _ask_again(self, conversation: Conversation, bounds: Bounds) -> None:
        """Repeat a poll that came too early until it is as far as in the recording, or its bound passes."""
        step = conversation.step
        recorded = step.exchange.outcome
        if step.exchange.request.method != b"GET" or not isinstance(recorded, Response) or step.exchange.end in LEFT:
            return
        patient = step.pause_s > 0 and (step.settles or step.route.replay_class == "volatile-read")
        started, asked = self._clock(), 1
        while (
            isinstance(conversation.outcome, Response)
            and self._over is None
            and step.route.name not in self._impatient
            and is_early(recorded, conversation.outcome, patient=patient)
        ):
            if self._clock() - started > self._job.poll_bound_s:
                self._impatient.add(step.route.name)
                conversation.notes.append("it did not get as far as recorded; the route is not asked again any more")
                break
            await asyncio.sleep(_ASK_AGAIN_S)
            asked += 1
            conversation.again()
            await conversation.link.make_ready()
            conversation.begin(self._rewriter.rewrite(step.exchange))
            await conversation.finish(bounds, lambda: self._until(lambda: True))
        if asked > 1:
            self.counts["asked_again"] += asked - 1
            conversation.notes.append(f"folded poll: asked {asked} times in {self._clock() - started:.2f} s")

    def _write(self, conversation: Conversation) -> None:
        step, outcome = conversation.step, conversation.outcome
        client = step.exchange.connection.client
        self._used_at[client] = self._clock()
        if step.route.replay_class == "static" or (isinstance(outcome, Response) and outcome.status >= 300):
            # After a static file, or an answer given before the request was read, the daemon may drop the next request unseen.
            self._wants_fresh.add(client)
        conversation.write(server=f"{client}/{conversation.link.opened}")
        for binding in conversation.new:
            self._observed.append(binding)
        self.counts["retried"] += conversation.retried
        if conversation.end is EndReason.TIMEOUT:
            self.counts["timeouts"] += 1
            self._hangs += isinstance(outcome, NoResponse)
            if self._hangs >= _HANGS_MAX:
                self._daemon_died(f"{self._hangs} requests in a row got no answer within their bounds")
        else:
            self._hangs = 0

    # --- what the walk waits for ---

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds() and self._over is None:
            self._changed.clear()
            await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()

    def _has_begun(self, number: int) -> bool:
        """Whether an exchange's answer has begun, or can't any more."""
        return number in self._done or (number in self._open and self._open[number].begun)

    def _finish(self, step: Step) -> None:
        self._done.add(step.exchange.id)
        self._open.pop(step.exchange.id, None)
        while self._front < len(self._ends) and self._ends[self._front] in self._done:
            self._front += 1
        self._notify()

    def _end(self, reason: GapReason, detail: str) -> None:
        if self._over is None:
            self._over = (reason, detail)
            self._notify()

    def _daemon_died(self, detail: str) -> None:
        if self._over is None:
            self._observed.append(DaemonRecord(self._clock(), "died", detail, self._log_tail()))
        self._end(GapReason.DAEMON_DEAD, detail)

    def _gap_for(self, step: Step) -> tuple[GapReason, int, str]:
        assert self._over is not None
        return self._over[0], step.exchange.id, self._over[1]

    # --- what a step is like ---

    def _is_stale(self, step: Step, now: float) -> bool:
        """Tell whether the connection idled so long that the daemon may be closing it: a write is not risked on it."""
        used = self._used_at.get(step.exchange.connection.client)
        return used is not None and now - used > _IDLE_S and step.exchange.request.method not in {b"GET", b"HEAD"}

    def _is_loopback(self, step: Step) -> bool:
        return step.route.template == "/mcp" and bool(self._facts.told.get("recorded_port_taken"))

    def _unrenewed(self, step: Step) -> list[str]:
        """Name ids that the request still holds as recorded, because their exchanges did not give them again."""
        missing = [
            need
            for need in step.needs
            if self._bindings.observed_for(need.id) is None and (role := classify(need.id)) is not None and role.kind in _UNRENEWED
        ]
        return [f"{need.id} was not given again by #{need.exchange}" for need in (*step.lost, *missing)[:3]]

    def _log_tail(self) -> str:
        if self._facts.log is None:
            return ""
        try:
            with self._facts.log.open("rb") as log:
                log.seek(max(0, self._facts.log.stat().st_size - _LOG_TAIL_BYTES))
                return log.read().decode("utf-8", "replace")
        except OSError as error:
            return f"({self._facts.log}: {error})"


def _tell(line: str, *, last: bool) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}" + ("\n" if last else ""))
        sys.stderr.flush()

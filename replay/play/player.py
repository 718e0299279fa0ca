"""
Walk the steps of a plan against a daemon in a cell, and write down what was observed.

How this works
--------------
One walk over the steps in the order of their recorded starts. Before each, the player waits for the frontier (so many recorded ends have
ended here), for the step before on the same connection, for the ids that the request needs, and for the daemon's background work where
the recording left time. Then it sends, and goes on to the next step while the answer comes in the connection's callbacks. What ended is
settled afterwards, one exchange in each turn of the loop, so that no other one's times wait for it; then those who wait for exactly this are
woken. Every exchange has a bound, so the walk always ends. When it does, each planned exchange is observed or a gap: asserted.

Nothing is kept of an exchange that is over but a bit: what is held grows with what is open, and with the ids that were bound.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Final

from replay.identity import Bindings, classify
from replay.model import Connection, DaemonRecord, EndReason, Exchange, GapReason, ParityError, Response, Statistics, Wait, WorkspaceChange
from replay.plan import Laying, Need, Plan, Step
from replay.plan.silences import PAUSE_S
from replay.play.accounting import Accounting
from replay.play.conversation import Around, Bounds, Conversation
from replay.play.costs import Costs
from replay.play.credentials import Credentials
from replay.play.hanging import Watch
from replay.play.job import CellFacts, Job
from replay.play.laying import Layer
from replay.play.learning import Learning
from replay.play.limits import Limits
from replay.play.link import Link, Links, RefusedError
from replay.play.looks import Looks
from replay.play.observed import Observed
from replay.play.order import Front
from replay.play.polls import is_early
from replay.play.quiet import Quiet
from replay.play.rewriting import Rewriter
from replay.play.rows import Looked, Rows
from replay.play.sampling import Sampler
from replay.play.turns import Gate

_CONNECT_TRIES: Final = 4
_CONNECT_AGAIN_S: Final = 0.4
_ASK_AGAIN_S: Final = 0.1
_IDLE_S: Final = 2.0
_TICK_S: Final = 0.5
_SEEN_OFF_S: Final = 1.0
_TOLD_EVERY: Final = 100
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
        credentials: Credentials,
        limits: Limits,
        rows: Rows | None = None,
        busy: Callable[[], int] = lambda: 0,
        gate: Gate | None = None,
    ) -> None:
        self._gate = gate if gate is not None else Gate()
        self._stepping = False
        self._plan = plan
        self._job = job
        self._facts = facts
        self._observed = observed
        self._rewriter = rewriter
        self._bindings = bindings
        self._rows = rows
        self._credentials = credentials
        self._limits = limits
        self._clock = clock
        self.accounting = Accounting()
        self._sampler = Sampler(Looks(facts.drained), lambda at, left: self._quiet.looked(at, left), clock)  # noqa: PLW0108  # made after it
        self._quiet = Quiet(
            facts.drained,
            self._sampler,
            self.accounting,
            clock,
            pollers=facts.pollers,
            settle_s=job.settle_s,
            settle_outside_s=job.settle_outside_s,
            busy=busy,
        )
        self._links = Links(facts.host, facts.port)
        self._ends = plan.ends
        self._layer = Layer(plan.layings, job, facts, observed, rewrite=bindings.rewrite_text, clock=clock)
        self._front = Front(plan.ends)
        self._watch = Watch(facts.host, facts.port, job.hang_bound_s, cleared=self._notify, hangs=self._daemon_hangs)
        self._around = Around(
            learning=Learning(bindings, plan.chosen),
            clock=clock,
            taught=self._notify,
            heard=self._watch.hear,
            again=self._send_again,
            slow=self._release,
        )
        self._costs = Costs()
        self.costs: dict[str, float] = {}
        """What playing cost the player itself, once it is over."""
        self._waiting: tuple[Callable[[], bool], asyncio.Future[None]] | None = None
        self._may_send_at = 0.0
        self._has_yielded = False
        self._ready: deque[tuple[Conversation, float]] = deque()
        self._failure: BaseException | None = None
        self._over: tuple[GapReason, str] | None = None
        self._impatient: set[str] = set()
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
        self._sampler.start()
        ticking = loop.create_task(self._tick())
        try:
            for number, step in enumerate(self._plan.steps, 1):
                await self._walk(step, started)
                if number % _TOLD_EVERY == 0 or number == len(self._ends):
                    _tell(f"{number} of {len(self._ends)} sent", last=number == len(self._ends))
            await self._lay(None, self._ends[-1] if self._ends else 0, started)
            await self._until(lambda: not self._open)
            await self._until(lambda: not self._watch.suspects)
            await self._see_off()
        finally:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                # What was observed is sealed next, and whoever tells the player to end means that.
                loop.add_signal_handler(signal.SIGTERM, lambda: None)
            self._drop_all()
            ticking.cancel()
            await asyncio.gather(ticking, *self._tasks, return_exceptions=True)
            await self._links.close()
            await self._sampler.stop()
        if self._failure is not None:
            raise self._failure
        for exchange in self._ends:
            if exchange not in self._observed.ended and exchange not in self._observed.gaps:
                reason, detail = self._over or (GapReason.NOT_OBSERVED, "its end was not seen")
                self._observed.gap(reason, exchange, detail)
        self.counts["connections"] = self._links.opened
        self.counts["connections_dropped"] = self._links.dropped
        self.counts["asked_for_health"] = self._watch.asked
        self.counts["bindings"] = len(self._bindings)
        self.counts["contradictions"] = len(self._bindings.contradictions)
        self.counts.update(self._layer.counts + self._rewriter.counts + self._gate.counts)
        if self._rows is not None:
            self.counts.update(self._rows.counts)
        values = {name: float(count) for name, count in self.counts.items()}
        self.costs = self._costs.told(len(self._observed.ended))
        self._observed.append(Statistics(self._clock(), {**values, **self.accounting.terms().values(), **self._sampler.values(), **self.costs}))
        seen = len(self._observed.ended) + len(self._observed.gaps)
        assert seen == self._plan.planned, f"{self._plan.planned} planned, but {seen} observed or gaps"
        return self._over is None

    def stop(self) -> None:
        """End early: what is not over becomes a gap."""
        self._end(GapReason.NOT_OBSERVED, "the player was told to stop")
        self._drop_all()

    # --- the walk ---

    async def _walk(self, step: Step, started: float) -> None:
        self._has_yielded = False
        self._may_send_at = time.perf_counter()
        await self._until(lambda: self._front.count >= step.after and (step.previous is None or step.previous in self._front.done))
        await self._lay(step.exchange.opened_event, step.exchange.id, started)
        if step.heads:
            await self._until(lambda: all(self._has_begun(number) for number in step.heads))
        if step.needs:
            await self._until(lambda: all(self._is_known(need) for need in step.needs))
        await self._until(lambda: not self._watch.suspects)
        if self._over is None:
            await self._keep_pace(step, step.exchange.id, step.exchange.started_at, started)
            await self._await_limit(step)
        withheld = self._credentials.withheld(step.exchange) if self._over is None else None
        if withheld is not None:
            self._observed.gap(GapReason.CREDENTIAL, step.exchange.id, withheld)
            self._finish(step)
            return
        if self._over is None and self._is_loopback(step):
            self._observed.gap(GapReason.LOOPBACK, step.exchange.id, "another daemon listens on the recorded port, which /mcp calls")
            self._finish(step)
            return
        if self._over is None:
            self._stepping = True  # from the turn to the request nothing is in flight, and the turn is kept all the same
            waited_s = await self._gate.pass_(step.exchange.opened_event)
            if waited_s:
                self._may_send_at = time.perf_counter()
                self.accounting.waited("turns of the other side", waited_s)
        if self._over is not None:
            self._observed.gap(*self._gap_for(step))
            self._finish(step)
            return
        await self._send(step)
        self._stepping = False
        self._leave_turn()
        if not self._has_yielded:
            await asyncio.sleep(0)  # what came meanwhile shall not wait until all is sent that may be sent

    async def _lay(self, before: int | None, exchange: int, started: float) -> None:
        """Lay the files whose turn comes before an event, or all that are left; *exchange* names the place in what is observed."""
        for laying in self._layer.due(before):
            after = laying.after
            await self._until(lambda after=after: self._front.count >= after)  # type: ignore[misc]  # it takes none
            if self._over is None:
                await self._keep_pace(laying, exchange, laying.at, started)
            if self._over is None:
                if isinstance(laying.record, WorkspaceChange):
                    await self._quiet.lay(laying.record)
                self._layer.lay(laying)

    async def _keep_pace(self, step: Step | Laying, exchange: int, at: float, started: float) -> None:
        if self._job.pace != "recorded":
            before = self._clock()
            waits = await self._quiet.before(step, exchange)
            for wait in waits:
                self._observed.append(wait)
            self.counts["waits"] += len(waits)
            if step.settles or waits or step.pause_s > PAUSE_S:
                self._may_send_at = time.perf_counter()  # what was waited for is no cost of the player's own
                self.counts["wait_ms"] += round((self._clock() - before) * 1000)
        if self._job.pace != "asap":
            factor = 1.0 if isinstance(self._job.pace, str) else float(self._job.pace)
            due = started + (at - self._plan.started_at) / factor
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - self._clock())):
                    await self._until(lambda: False)

    async def _await_limit(self, step: Step) -> None:
        """Wait where the recorded request passed a rate limit and this one would not, or the other way round."""
        before = self._clock()
        name, wait_s = self._limits.wait_s(step.exchange.id, before)
        why, until = f"rate limit {name}", "until its window is over"
        if not wait_s:
            name, why, until = "", "end of an API key", "it had ended when it was refused"
            wait_s = self._rewriter.wait_s(step.exchange, before)
        if not wait_s or self._job.pace == "recorded":
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._until(lambda: False)
        waited_s = self._clock() - before
        self._may_send_at = time.perf_counter()
        self.counts["rate_limit_waits" if name else "key_end_waits"] += 1
        self.accounting.waited("rate limits" if name else "ends of keys", waited_s)
        self._observed.append(Wait(step.exchange.id, why, waited_s * 1000, "drained", until))

    async def _send(self, step: Step) -> None:
        exchange = step.exchange
        looked = Looked() if self._rows is None else await self._rows.find(exchange)
        client = exchange.connection.client
        link = self._links.take(client)
        rewritten = self._rewriter.rewrite(exchange)
        kept = self._credentials.recorded_in(rewritten.request)
        self.counts["recorded_credentials_sent"] += len(kept)
        connection = Connection(client=client, peer=exchange.connection.peer)
        for number in range(1, _CONNECT_TRIES + 1):
            try:
                if link.wants_fresh or self._is_stale(step, link):
                    link.close()
                    link.wants_fresh = False
                if not link.is_ready:
                    await link.make_ready()
            except RefusedError as error:
                if number == _CONNECT_TRIES or self._over is not None:
                    self._daemon_died(str(error))
                    self._observed.gap(*self._gap_for(step))
                    self._links.give_back(client, link)
                    self._finish(step)
                    return
                await asyncio.sleep(_CONNECT_AGAIN_S)
                continue
            break
        observation = self._observed.open(exchange.id, self._clock(), rewritten.shown, connection)
        conversation = Conversation(step, link, observation, self._around, self._bounds(exchange))
        conversation.over = self._ended
        conversation.notes.extend((*rewritten.notes, *looked.notes, *self._limits.sent(exchange.id, self._clock())))
        conversation.notes.extend(f"credential: the recorded {word[:12]}… was sent as it was" for word in kept)
        conversation.new.extend(looked.bindings)
        conversation.notes.extend(self._layer.notes_for(exchange.id))
        conversation.notes.extend(self._unrenewed(step))
        self.accounting.began(self._clock())
        self._open[exchange.id] = conversation
        conversation.heard = self._watch.heard
        conversation.begin(rewritten)
        self._costs.sending.add(time.perf_counter() - self._may_send_at)
        observation.open()
        self.counts["rewritten"] += rewritten.replaced > 0
        if conversation.leaves:
            self._front.when(step.leave_after, conversation.leave)

    def _bounds(self, exchange: Exchange) -> Bounds:
        bound_s = min(max(self._job.request_bound_s, exchange.duration_ms / 100.0), self._job.request_bound_max_s)
        release_s = max(self._job.release_s, exchange.duration_ms / 100.0)
        return Bounds(request_s=bound_s, stream_s=self._job.stream_bound_s, release_s=release_s)

    def _release(self, conversation: Conversation) -> None:
        """Let what comes after an exchange go on, though it has no end yet."""
        self.counts["went_on_without"] += 1
        if not conversation.any_byte:
            self._watch.suspect(conversation.heard)
        self._front.finish(conversation.step.exchange.id)
        self._notify()

    # --- what comes back ---

    def _send_again(self, conversation: Conversation) -> None:
        self._do(self._resend(conversation))

    async def _resend(self, conversation: Conversation) -> None:
        try:
            await conversation.link.make_ready()
        except RefusedError as error:
            self._daemon_died(str(error))
            conversation.stop(f"the daemon is gone: {error}")
        else:
            conversation.resend()

    def _ended(self, conversation: Conversation) -> None:
        self._ready.append((conversation, time.perf_counter()))
        if len(self._ready) == 1:
            asyncio.get_running_loop().call_soon(self._settle_next)

    def _settle_next(self) -> None:
        if self._ready:
            self._settle_first()
        if self._ready:
            asyncio.get_running_loop().call_soon(self._settle_next)

    def _settle_first(self) -> None:
        conversation, at = self._ready.popleft()
        try:
            self._settle(conversation)
            self._costs.recording.add(time.perf_counter() - at)
        except BaseException as error:  # noqa: BLE001 - raised again by the walk
            self._fail(error)

    def _settle(self, conversation: Conversation) -> None:
        conversation.conclude()
        self._account(conversation)
        if self._is_early(conversation):
            self._do(self._ask_again(conversation))
        else:
            self._record(conversation)

    def _record(self, conversation: Conversation) -> None:
        self._write(conversation)
        self._finish(conversation.step)

    def _is_early(self, conversation: Conversation) -> bool:
        """Tell whether an answer is to a poll that came too early, and may be asked again."""
        step, outcome = conversation.step, conversation.outcome
        recorded = step.exchange.outcome
        if step.exchange.request.method != b"GET" or not isinstance(recorded, Response) or not isinstance(outcome, Response):
            return False
        if outcome.status == recorded.status and outcome.body == recorded.body:
            return False
        if conversation.leaves or self._over is not None or step.route.name in self._impatient:
            return False
        patient = step.pause_s > 0 and (step.settles or step.route.replay_class == "volatile-read")
        return is_early(recorded, outcome, patient=patient)

    async def _ask_again(self, conversation: Conversation) -> None:
        """Repeat a poll that came too early until it is as far as in the recording, or its bound passes."""
        step = conversation.step
        started, asked = self._clock(), 1
        while self._is_early(conversation):
            if self._clock() - started > self._job.poll_bound_s:
                self._impatient.add(step.route.name)
                conversation.notes.append("it did not get as far as recorded; the route is not asked again any more")
                break
            await asyncio.sleep(_ASK_AGAIN_S)
            self.accounting.waited("repeats of polls", _ASK_AGAIN_S)
            asked += 1
            conversation.again()
            over: asyncio.Future[Conversation] = asyncio.get_running_loop().create_future()
            conversation.over = over.set_result
            try:
                await conversation.link.make_ready()
            except RefusedError as error:
                self._daemon_died(str(error))
                conversation.stop(f"the daemon is gone: {error}")
            else:
                conversation.begin(self._rewriter.rewrite(step.exchange))
            await over
            conversation.conclude()
            self._account(conversation)
        if asked > 1:
            self.counts["asked_again"] += asked - 1
            conversation.notes.append(f"folded poll: asked {asked} times in {self._clock() - started:.2f} s")
        self._record(conversation)

    def _account(self, conversation: Conversation) -> None:
        """Count how long the daemon served: a stream that was left, until its last byte."""
        ended = conversation.ended_at
        left = conversation.end is EndReason.CLIENT_LEFT and conversation.last_byte_at is not None
        self.accounting.served(conversation.sent_at, (conversation.last_byte_at or ended) if left else ended, over=ended)

    def _write(self, conversation: Conversation) -> None:
        step, outcome = conversation.step, conversation.outcome
        self._quiet.ended(step, outcome)
        client = step.exchange.connection.client
        if step.route.replay_class == "static" or (isinstance(outcome, Response) and outcome.status >= 300):
            # After a static file, or an answer given before the request was read, the daemon may drop the next request unseen.
            conversation.link.wants_fresh = True
        conversation.write(server=f"{client}/{conversation.link.opened}")
        for binding in conversation.new:
            self._observed.append(binding)
        self.counts["retried"] += conversation.retried
        if conversation.end is EndReason.TIMEOUT:
            self.counts["timeouts"] += 1
            if not conversation.any_byte:
                self._watch.suspect(conversation.heard)
        self._links.give_back(client, conversation.link)

    # --- what the walk waits for ---

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds or the replay is over. Only the walk waits here."""
        while self._failure is None and self._over is None and not holds():
            self._has_yielded = True
            woken = asyncio.get_running_loop().create_future()
            self._waiting = (holds, woken)
            await woken
        if self._failure is not None:
            raise self._failure

    def _notify(self) -> None:
        """Wake the walk where what it waits for holds now."""
        self._leave_turn()
        if self._waiting is not None and (self._over is not None or self._failure is not None or self._waiting[0]()):
            woken, self._waiting = self._waiting[1], None
            self._may_send_at = time.perf_counter()
            if not woken.done():
                woken.set_result(None)

    def _leave_turn(self) -> None:
        """Let the other replay send, where there is one and nothing but streams is in flight here."""
        if self._gate.has_turn and not self._stepping and all(each.streams or each.released for each in self._open.values()):
            self._gate.leave()

    def _do(self, work: Coroutine[None, None, None]) -> None:
        """Do something beside the walk, which ends where that fails."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._did)

    def _did(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._gate.shut()
        self._notify()

    async def _tick(self) -> None:
        """Let reach the disk what is old enough, also while nothing comes."""
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                self._observed.tick()
            except ParityError as error:
                self._fail(error)

    async def _see_off(self) -> None:
        """Where the daemon died, give what was open a moment to learn of it: how each ended belongs to what was observed."""
        if self._over is not None and self._over[0] is GapReason.DAEMON_DEAD:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SEEN_OFF_S):
                    while self._open:  # noqa: ASYNC110  # once, at the end of a replay that failed
                        await asyncio.sleep(_SEEN_OFF_S / 20)

    def _drop_all(self) -> None:
        """Write down what has ended, and let go of what is open: nothing comes of it any more."""
        while self._ready:
            self._settle_first()
        for conversation in self._open.values():
            conversation.drop()
        self._open.clear()
        for task in self._tasks:
            task.cancel()
        self._watch.stop()
        self._notify()

    def _is_known(self, need: Need) -> bool:
        return need.exchange in self._front.done or self._bindings.observed_for(need.id) is not None

    def _has_begun(self, number: int) -> bool:
        """Whether an exchange's answer has begun, or can't any more."""
        return number in self._front.done or (number in self._open and self._open[number].begun)

    def _finish(self, step: Step) -> None:
        self._open.pop(step.exchange.id, None)
        self._front.finish(step.exchange.id)
        self._notify()

    def _end(self, reason: GapReason, detail: str) -> None:
        if self._over is None:
            self._over = (reason, detail)
            self._gate.shut()
            for conversation in list(self._open.values()):
                if conversation.leaves:
                    conversation.leave()
            self._notify()

    def _daemon_died(self, detail: str) -> None:
        if self._over is None:
            self._observed.append(DaemonRecord(self._clock(), "died", detail, self._log_tail()))
        self._end(GapReason.DAEMON_DEAD, detail)

    def _daemon_hangs(self, detail: str) -> None:
        self._daemon_died(detail)
        self._drop_all()

    def _gap_for(self, step: Step) -> tuple[GapReason, int, str]:
        assert self._over is not None
        return self._over[0], step.exchange.id, self._over[1]

    # --- what a step is like ---

    def _is_stale(self, step: Step, link: Link) -> bool:
        """Tell whether the connection idled so long that the daemon may be closing it: a write is not risked on it."""
        idle_s = 0.0 if link.used_at is None else time.monotonic() - link.used_at
        return idle_s > _IDLE_S and step.exchange.request.method not in {b"GET", b"HEAD"}

    def _is_loopback(self, step: Step) -> bool:
        return step.route.template == "/mcp" and bool(self._facts.told.get("recorded_port_taken"))

    def _unrenewed(self, step: Step) -> list[str]:
        """Name ids that the request still holds as recorded, because their exchanges did not give them again."""
        missing = [
            need
            for need in step.needs
            if self._bindings.observed_for(need.id) is None
            and need.exchange not in self._bindings.unchanged
            and (role := classify(need.id)) is not None
            and role.kind in _UNRENEWED
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

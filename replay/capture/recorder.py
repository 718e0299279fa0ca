"""
The addon that lives among mitmproxy's own.

How this works
--------------
Hooks number what they see, and hand it as plain tuples to the `Feed`; they match no route, redact nothing and build no values. Order is kept
by one counter of event numbers; a number is drawn only when what it is for is handed over, so that none is lost. Whatever is left out
(because the writer is behind, or by sampling) draws no number and is counted instead. No hook lets an exception out: mitmproxy would
swallow it, and nobody would know what was lost.

Bodies that are big or of unknown length, and streams, are handed on chunk by chunk as they come, both ways; `_tee` keeps each chunk.
"""

import asyncio
import functools
import itertools
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mitmproxy import http, tcp, udp
from mitmproxy.connection import Client
from mitmproxy.log import ALERT
from mitmproxy.master import Master
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from replay.capture.costs import Costs
from replay.capture.feed import Feed
from replay.capture.flows import end_of, look_at, needs_fresh_connection, streams_answer, streams_request, target_of
from replay.capture.frames import ANSWERED, CHUNK, ENDED, GAP, NUMBER, OPENED, STATISTICS, STOP, SURE, Message
from replay.capture.installation import key_path, load_key
from replay.capture.options import (
    check_listeners,
    check_values,
    complain,
    configuration,
    default_folder,
    lanes_of,
    may_write,
    name_archive,
    refuse,
    thresholds,
)
from replay.capture.refusals import Refusals
from replay.capture.sampling import Sampling
from replay.capture.shedding import BIG_BODY_BYTES, KEPT_ONE_IN, READING, WORDS, Step
from replay.model import STREAM_TYPES, EndReason, GapReason, UsageError

NAME = "parity-recorder"
EXIT_LOST = 3
ABANDONED_SECONDS = 2.0
"""How long after its connection an exchange may still end by a hook of its own."""
STARTUP_SECONDS = 1.0
"""By then mitmproxy has started: it ends over an error that is logged before."""
BODY_BYTES_MAX = 256 << 20
"""A longer body that was gathered is not handed over: neither the pipe nor a block of the archive takes one of any length."""
TICK_SECONDS = 1.0
STATISTICS_SECONDS = 60.0
SEAL_SECONDS = 30.0
"""How long the end of the proxy waits for the writer, beside the time that a last snapshot may take."""
MITMPROXY_TIMEOUT_SECONDS = 600
SILENCE_SECONDS_MAX = 7 * 24 * 3600
BROKE_DOWN = "mitmproxy broke down over it (trailers?)"
TAKES_AS_FINAL = "mitmproxy takes a 1xx answer for the final one"
RESTART_SECONDS_MIN = 0.5
RESTART_SECONDS_MAX = 60.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """An exchange on its way."""

    flow: http.HTTPFlow
    exchange: int
    headers_event: int | None = None
    streamed: bool = False
    """The answer's body goes on in chunks."""
    request_streamed: bool = False
    requested: bool = False
    """Whether the request came whole."""
    answered: bool = False
    """Whether the answer came whole, where that was before the request did."""
    note: str = ""
    shed: bool = False
    """Chunks of the answer were left out: its body is not kept."""
    request_shed: bool = False
    torn: bool = False
    """Something in the middle could not be kept, and a gap says so."""


def install(master: Master, script: Path) -> "Recorder":
    """
    Put the recorder among the master's own addons and give it; where there is one already, give that.

    So it outlives the script that asked for it: mitmproxy loads that anew whenever the file is touched.
    """
    addons: Any = master.addons
    found = addons.get(NAME)
    if found is not None:
        recorder: Recorder = found
        return recorder
    recorder = Recorder(master, script)
    addons.add(recorder)
    return recorder


def _guarded[F](hook: Callable[["Recorder", F], None]) -> Callable[["Recorder", F], None]:
    """Keep a hook's failure from being swallowed: count it, say it, and let the traffic pass (or stop, if the operator wants that)."""
    name = hook.__name__
    clock = time.perf_counter_ns

    @functools.wraps(hook)
    def run(self: "Recorder", flow: F, /) -> None:
        if self.stopped:
            if name == "requestheaders":
                self.count_late()
            return
        began = clock()
        try:
            hook(self, flow)
        except Exception as error:
            logger.exception("parity: %s failed", name)
            self.count_failure(name, error, flow)
        self.costs.add(clock() - began)

    return run


class Recorder:
    """Records what passes through *master*, from `start()` to mitmproxy's `done`."""

    name = NAME

    def __init__(self, master: Master, script: Path) -> None:
        self._master = master
        self._script = script
        self._last_event = 0
        self._opened = 0
        self._open: dict[str, _Open] = {}
        self._feed: Feed | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._path: Path | None = None
        self._begun = False
        self._lanes: Mapping[Any, str] = {}
        self._stream_bytes = 0
        self._stream_requests = False
        self._fresh = True
        self._sampling = Sampling(1.0, "connection")
        self._left_out: Counter[tuple[GapReason, str]] = Counter()
        """How many exchanges were left out since that was last said, by reason and words."""
        self._unsure: Counter[tuple[GapReason, str]] = Counter()
        """What of it was said, and may not be on disk: a writer that dies loses it."""
        self._gone: dict[str, tuple[float, Any]] = {}
        """Clients that went not long ago, oldest first: when (monotonic), and their address."""
        self._serial = 0
        self._reading = itertools.count()
        self._writer_began = 0.0
        self._pause_s = RESTART_SECONDS_MIN
        self._status_said = 0.0
        self._statistics_at = 0.0
        self._sealed: Mapping[str, Any] | None = None
        self._lost = 0
        self._refusals = Refusals()
        self.costs = Costs()
        self.stopped = False
        """Whether the archive is being sealed: hooks do nothing any more."""

    # --- lifecycle ---

    def configure(self, _: set[str]) -> None:
        """Refuse what must not be, before any socket is bound (mitmproxy's own errors come after that)."""
        options = self._master.options
        trouble = check_listeners(options) or (self._check_start() if self._feed is None else None)
        if trouble is not None:
            refuse(trouble)
        wanted: dict[str, Any] = {} if options.keep_host_header else {"keep_host_header": True}
        if options.tcp_timeout == MITMPROXY_TIMEOUT_SECONDS:
            # a stream may be silent for longer than mitmproxy would let it; what the operator asked for stays
            wanted["tcp_timeout"] = SILENCE_SECONDS_MAX
        if wanted:
            options.update(**wanted)  # type: ignore[no-untyped-call]

    def _check_start(self) -> str | None:
        """Give what would keep the recording from beginning, in words."""
        options = self._master.options
        trouble = check_values(options)
        if trouble is not None:
            return trouble
        if options.parity_redact:
            try:
                load_key(key_path(os.environ))
            except UsageError as error:
                return str(error)
        folder = Path(options.parity_output).parent if options.parity_output else default_folder(self._script)
        try:
            if options.parity_output and Path(options.parity_output).exists():
                return f"parity_output {options.parity_output}: there is something already; name a new folder"
            if may_write(folder):
                return None
            why = ""
        except OSError as error:
            why = f" ({error.strerror})"
        return f"{folder.absolute()}: nothing can be written there{why}; name another place with --set parity_output=<new folder>.parity"

    def running(self) -> None:
        """Begin to record, once mitmproxy listens."""
        self.start()

    def start(self) -> None:
        """Start the writer; a second call does nothing."""
        if self._feed is not None or self.stopped or not self._master.options.server:
            return
        options = self._master.options
        self._loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            # a terminal that is closed ends mitmdump; it shall not leave a cut archive behind
            self._loop.add_signal_handler(signal.SIGHUP, self._master.shutdown)
        self._lanes = lanes_of(options)
        self._stream_bytes = options.parity_stream_kb * 1024
        self._stream_requests = options.parity_stream_requests
        self._fresh = options.parity_fresh_connections
        self._sampling = Sampling(float(options.parity_sample), options.parity_sample_by)
        given = options.parity_output
        self._path = Path(given).absolute() if given else name_archive(default_folder(self._script), datetime.now(UTC)).absolute()
        self._refusals.attach()
        self._feed = Feed(thresholds(options), self._answered, self._writer_lost)
        if not options.parity_redact:
            logger.warning("parity: parity_redact=false: credentials go to disk as they are")
        if self._sampling.rate < 1.0:
            part, whole = options.parity_sample, options.parity_sample_by
            logger.warning("parity: parity_sample=%s: only a part of the traffic is recorded, whole by %s", part, whole)
        logger.log(ALERT, "parity: recording to %s", self._path)
        self._statistics_at = self._status_said = time.monotonic()
        self._start_writer()
        self._loop.call_later(TICK_SECONDS, self._tick)

    def _start_writer(self) -> None:
        if self._feed is None or self.stopped or self._feed.alive:
            return
        assert self._path is not None
        floor = self._last_event
        try:
            self._feed.start(configuration(self._master.options, self._path, floor=floor, begun=self._begun))
        except OSError as error:
            self._writer_lost(f"the writer process can't be started ({error})")
            return
        self._writer_began = time.monotonic()

    async def done(self) -> None:
        """Close the listeners, end what is open as `proxy stopped`, have the writer seal. What passes after that is not recorded."""
        if self.stopped:
            return
        addons: Any = self._master.addons
        servers = getattr(addons.get("proxyserver"), "servers", None)
        if servers is not None:
            try:
                await servers.update([])
            except Exception:
                # what was recorded is sealed all the same
                logger.exception("parity: the listeners could not be closed")
        self._refusals.detach()
        feed = self._feed
        if feed is None:
            self.stopped = True
            return
        for opened in list(self._open.values()):
            try:
                self._end_stopped(opened)
            except Exception as error:
                logger.exception("parity: an open exchange could not be ended")
                self.count_failure("done", error, opened.flow)
        # a timer that is still to come must not end one of them again
        self._open.clear()
        self._say_left_out()
        self._say_statistics()
        self.stopped = True
        self._put((STOP, "proxy stopped"))
        if not feed.alive:
            complain(f"{self._path}: NOT sealed: there is no writer process; what it had written can be read with --salvage")
            return
        seconds = SEAL_SECONDS + (self._master.options.parity_snapshot_seconds if self._master.options.parity_workspace else 0)
        if not await feed.finish(seconds) and self._sealed is None:
            complain(f"{self._path}: not sealed within {seconds:g} s; the writer goes on by itself, look with `signet-parity verify`")
            feed.hang_up()
            return
        sealed = self._sealed or {}
        feed.hang_up()
        if not sealed.get("sealed"):
            complain(f"{sealed.get('path', self._path)}: NOT sealed; what was written can be read with --salvage")
        elif sealed.get("lost") or self._lost:
            complain(f"{sealed['path']}: sealed, {sealed['lost']} records lost; {self._lost} troubles were told above")
        else:
            logger.log(ALERT, "parity: sealed %s", sealed["path"])

    # --- traffic ---

    @_guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Number and hand over the head of a request."""
        if flow.is_replay:
            self._leave_out(GapReason.SKIPPED, "a request that was replayed from within the proxy")
            return
        feed = self._feed
        if feed is None:
            self.start()
            feed = self._feed
            if feed is None:
                return
        client, data = flow.client_conn, flow.request.data
        if self._sampling.rate < 1.0 and not self._sampling.takes(client.id, data.headers):
            self._leave_out(GapReason.SAMPLED, "")
            return
        if not feed.alive:
            self._leave_out(GapReason.NOT_WRITTEN, "there was no writer process")
            return
        if feed.update_step():
            self._say_step()
        step = feed.step
        if step >= Step.ROUTES and (step is Step.EVERYTHING or (data.method in READING and next(self._reading) % KEPT_ONE_IN)):
            self._leave_out(GapReason.SHED, WORDS[step])
            return
        self._opened += 1
        opened = self._open[flow.id] = _Open(flow, self._opened)
        event = self._last_event = self._last_event + 1
        peer = client.peername
        feed.put(
            (
                OPENED,
                opened.exchange,
                event,
                flow.request.timestamp_start,
                client.id,
                f"{peer[0]}:{peer[1]}" if peer else None,
                self._lanes[client.proxy_mode] if len(self._lanes) > 1 else "daemon",
                data.method,
                target_of(flow) if data.authority else data.path,
                data.http_version,
                data.headers.fields,
            )
        )
        if self._stream_requests and streams_request(data.headers.fields, self._stream_bytes):
            opened.request_streamed = True
            flow.request.stream = functools.partial(self._tee, opened, "request")

    @_guarded
    def request(self, flow: http.HTTPFlow) -> None:
        """Note that the request came whole; an answer that was there before it is over with it."""
        opened = self._open.get(flow.id)
        if opened is not None:
            opened.requested = True
            if opened.answered:
                self._end(flow, None)

    @_guarded
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Number the answer's head, and let streams pass at once."""
        opened = self._open.get(flow.id)
        if opened is None:
            if flow.response is not None and streams_answer(flow, self._stream_bytes):
                # not recorded, and no reason to hold it back
                flow.response.stream = True
            return
        if flow.response is None:
            return
        event = opened.headers_event = self._last_event = self._last_event + 1
        if self._fresh and needs_fresh_connection(flow):
            # mitmproxy uses a connection to the daemon once only where the request came by HTTP/2; this one has long gone on as HTTP/1.1
            flow.request.http_version = "HTTP/2.0"
        if flow.response.status_code < 200 and flow.response.status_code != 101:
            opened.note = TAKES_AS_FINAL
        if streams_answer(flow, self._stream_bytes):
            opened.streamed = True
            data = flow.response.data
            self._put((ANSWERED, opened.exchange, event, time.time(), data.http_version, data.status_code, data.reason, data.headers.fields))
            flow.response.stream = functools.partial(self._tee, opened, "response")

    @_guarded
    def response(self, flow: http.HTTPFlow) -> None:
        """Hand over the end of an exchange that went well; a request that is still on its way is waited for."""
        opened = self._open.get(flow.id)
        if opened is not None and opened.request_streamed and not opened.requested:
            opened.answered = True
        else:
            self._end(flow, None)

    @_guarded
    def error(self, flow: http.HTTPFlow) -> None:
        """Hand over the end of an exchange that broke off."""
        self._end(flow, flow.error.msg if flow.error else "unknown error")

    @_guarded
    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """
        Count a client that mitmproxy drops because the daemon can't be reached.

        It connects to the daemon before it reads the request, so there may be none on record yet; where there is, `error` follows.
        """
        if not any(opened.flow.client_conn.id == data.client.id for opened in self._open.values()):
            why = data.server.error or "unknown error"
            self.start()
            self._leave_out(GapReason.SKIPPED, f"the daemon could not be reached ({why}); what the client would have asked was not seen")

    @_guarded
    def client_disconnected(self, client: Client) -> None:
        """End, a little later, what stays open of a connection that is gone: mitmproxy breaks down over some requests (those with trailers)."""
        # whether something stays open is looked at for all of them at once: there may be thousands of both
        self._gone[client.id] = time.monotonic(), client.peername

    @_guarded
    def websocket_start(self, _: http.HTTPFlow) -> None:
        """Count a websocket: its messages are not recorded."""
        self._leave_out(GapReason.SKIPPED, "messages of a websocket")

    @_guarded
    def tcp_start(self, _: tcp.TCPFlow) -> None:
        """Count a connection that is no HTTP."""
        self._leave_out(GapReason.SKIPPED, "a TCP connection that is no HTTP")

    @_guarded
    def udp_start(self, _: udp.UDPFlow) -> None:
        """Count datagrams."""
        self._leave_out(GapReason.SKIPPED, "UDP datagrams")

    # --- what the hooks share ---

    def count_failure(self, hook: str, error: Exception, flow: object) -> None:
        """Count what a failing hook did not record."""
        opened = self._open.pop(flow.id, None) if isinstance(flow, http.HTTPFlow) else None
        exchange = opened.exchange if opened else None
        self._alarm(f"the recorder's {hook} failed ({error!r}); exchange {exchange} is counted as a gap")
        self._gap(
            GapReason.NOT_WRITTEN,
            event=opened.headers_event if opened else None,
            exchange=exchange,
            detail=f"the recorder's {hook} failed: {error!r}",
            ends=True,
        )

    def count_late(self) -> None:
        """Say that a request came when it could no longer be recorded."""
        logger.warning("parity: a request came after the archive was closed and is not recorded")

    def _tee(self, opened: _Open, side: str, data: bytes) -> bytes:
        """Keep a chunk and give it on; must not raise, or the client would lose it."""
        if data and not self.stopped:
            try:
                self._keep_chunk(opened, side, data)
            except Exception as error:
                logger.exception("parity: a chunk was lost")
                self._alarm(f"a chunk of exchange {opened.exchange} was lost ({error!r})")
                # what fails in there fails in the loop and not in the client's stream
                asyncio.get_running_loop().call_soon(self._tear, opened, f"a chunk was lost: {error!r}")
        return data

    def _keep_chunk(self, opened: _Open, side: str, data: bytes) -> None:
        feed = self._feed
        if feed is None or not feed.alive:
            return
        if feed.update_step():
            self._say_step()
        if feed.step is Step.EVERYTHING:
            self._tear(opened, "chunks of a body: the writer was behind")
            return
        if side == "request":
            if opened.request_shed:
                return
            if feed.step >= Step.BODIES:
                opened.request_shed = True
                self._gap(GapReason.SHED, exchange=opened.exchange, detail="the request's body: the writer was behind")
                return
        elif opened.shed:
            return
        elif feed.step >= Step.BODIES and self._is_no_stream(opened):
            opened.shed = True
            self._gap(GapReason.SHED, exchange=opened.exchange, detail="the answer's body: the writer was behind")
            return
        began = time.perf_counter_ns()
        event = self._last_event = self._last_event + 1
        feed.put((CHUNK, opened.exchange, event, time.time(), side, bytes(data)))
        self.costs.add(time.perf_counter_ns() - began)

    def _is_no_stream(self, opened: _Open) -> bool:
        response = opened.flow.response
        return response is not None and look_at(response.data.headers.fields)[0] not in STREAM_TYPES

    def _tear(self, opened: _Open, why: str) -> None:
        """Say once that something of an exchange is missing in the middle."""
        if not opened.torn:
            opened.torn = True
            self._gap(GapReason.NOT_WRITTEN, exchange=opened.exchange, detail=why)

    def _end(self, flow: http.HTTPFlow, error: str | None) -> None:
        opened = self._open.get(flow.id)
        if opened is None:
            return
        note = ""
        answer: Any
        if flow.response is not None and opened.headers_event is not None:
            answer = self._answer_of(opened)
            end = EndReason.COMPLETE if error is None else end_of(error, requested=opened.requested, answered=True)
            note = error or opened.note
        else:
            # whatever the client got here, it was the proxy's and not the daemon's
            answer = error or "the proxy answered by itself"
            end = end_of(error or "", requested=opened.requested, answered=False)
        if error is not None and flow.client_conn.peername in self._refusals.crashed:
            end, note = EndReason.PROXY_ERROR, BROKE_DOWN
        elif error is not None and flow.client_conn.peername in self._refusals.cut:
            end, note = EndReason.PROXY_ERROR, f"mitmproxy closed the connection: silent for {self._master.options.tcp_timeout} s"
        at = flow.error.timestamp if flow.error else flow.response.timestamp_end if flow.response else None
        self._hand_end(opened, end, answer, at or time.time(), note)
        del self._open[flow.id]

    def _answer_of(self, opened: _Open) -> tuple[Any, ...]:
        assert opened.flow.response is not None
        data = opened.flow.response.data
        trailers = data.trailers
        return (
            data.http_version,
            data.status_code,
            data.reason,
            data.headers.fields,
            None if opened.streamed else data.content,
            trailers.fields if trailers is not None else (),
        )

    def _hand_end(self, opened: _Open, end: EndReason, answer: Any, at: float, note: str) -> None:
        feed = self._feed
        if feed is None or not feed.alive:
            return
        flow = opened.flow
        if feed.update_step():
            self._say_step()
        if feed.step is Step.EVERYTHING:
            self._gap(
                GapReason.NOT_WRITTEN,
                event=opened.headers_event,
                exchange=opened.exchange,
                detail="end of exchange: the writer was behind",
                ends=True,
            )
            return
        data = flow.request.data
        body = data.content if opened.requested and not opened.request_streamed else None
        longest = BIG_BODY_BYTES if feed.step >= Step.BODIES else BODY_BYTES_MAX
        if type(answer) is tuple and answer[4] is not None and len(answer[4]) > longest:
            answer = (*answer[:4], None, answer[5])
            self._gap(GapReason.SHED, exchange=opened.exchange, detail=f"the answer's body: {self._why_shed()}")
        if body is not None and len(body) > longest:
            body = None
            self._gap(GapReason.SHED, exchange=opened.exchange, detail=f"the request's body: {self._why_shed()}")
        response, server, trailers = flow.response, flow.server_conn, data.trailers
        event = self._last_event = self._last_event + 1
        feed.put(
            (
                ENDED,
                opened.exchange,
                event,
                at,
                end.value,
                answer,
                body,
                trailers.fields if trailers is not None else (),
                server.id if server.timestamp_tcp_setup is not None else None,
                opened.headers_event,
                flow.request.timestamp_end,
                response.timestamp_start if response is not None and opened.headers_event is not None else None,
                opened.streamed and not opened.shed,
                opened.request_streamed and opened.requested and not opened.request_shed,
                note,
            )
        )

    def _why_shed(self) -> str:
        behind = self._feed is not None and self._feed.step >= Step.BODIES
        return "the writer was behind" if behind else f"longer than {BODY_BYTES_MAX >> 20} MiB"

    def _end_abandoned(self) -> None:
        """End what mitmproxy left open, without a word, of connections that went or over which it broke down."""
        now = time.monotonic()
        crashed = self._refusals.crashed
        clients: set[str] = set()
        left: list[Any] = []
        for client, (since, address) in list(self._gone.items()):
            if now - since < ABANDONED_SECONDS:
                break
            del self._gone[client]
            clients.add(client)
            left.append(address)
        for opened in list(self._open.values()) if clients or crashed else ():
            if opened.flow.client_conn.id not in clients and opened.flow.client_conn.peername not in crashed:
                continue
            if opened.answered:
                opened.note = "the answer came before the request was whole, and the client sent no more of it"
            try:
                self._end(opened.flow, None if opened.answered else BROKE_DOWN)
            except Exception as error:
                logger.exception("parity: an exchange could not be ended")
                self.count_failure("client_disconnected", error, opened.flow)
        for address in left:
            self._refusals.forget(address)

    def _end_stopped(self, opened: _Open) -> None:
        """End an exchange that is cut by the proxy's own end."""
        answered = opened.flow.response is not None and opened.headers_event is not None
        answer = self._answer_of(opened) if answered else "the proxy stopped before the daemon answered"
        note = "the proxy stopped: the cut is not the daemon's and not the client's"
        self._hand_end(opened, EndReason.PROXY_STOPPED, answer, time.time(), note)

    # --- what was left out ---

    def _gap(
        self, reason: GapReason, *, event: int | None = None, exchange: int | None = None, count: int = 1, detail: str = "", ends: bool = False
    ) -> None:
        self._put((GAP, reason.value, event, exchange, count, detail, ends))

    def _leave_out(self, reason: GapReason, why: str) -> None:
        self._left_out[reason, why] += 1

    def _say_left_out(self) -> None:
        """Put on record how many exchanges were left out since that was last said."""
        if self._feed is None or not self._feed.alive:
            return
        for kind, count in self._refusals.take().items():
            self._left_out[GapReason.MALFORMED, kind] += count
        counts, self._left_out = self._left_out, Counter()
        for (reason, why), count in counts.items():
            self._gap(reason, count=count, detail=why or "exchanges")
        self._unsure += counts
        if counts:
            self._serial += 1
            self._put((SURE, self._serial))

    def _say_step(self) -> None:
        assert self._feed is not None
        step = self._feed.step
        queued = f"{self._feed.queued_bytes / 1e6:.1f} MB wait for the writer"
        if step is Step.NOTHING:
            logger.warning("parity: %s (%s)", WORDS[step], queued)
        else:
            self._alarm(f"the writer does not keep up with the traffic ({queued}): {WORDS[step]}")

    # --- the writer ---

    def _put(self, message: Message) -> None:
        if self._feed is not None:
            self._feed.put(message)

    def _answered(self, answer: Mapping[str, Any]) -> None:
        """Take what the writer says."""
        if "number" in answer:
            event = self._last_event = self._last_event + 1
            self._put((NUMBER, answer["number"], event))
        elif "sure" in answer:
            if answer["sure"] == self._serial:
                self._unsure.clear()
        elif "alarm" in answer:
            self._lost += 1
            self._alarm(str(answer["alarm"]))
        elif "ready" in answer:
            path = Path(answer["ready"])
            if path != self._path:
                logger.warning("parity: recording to %s", path)
            self._path, self._begun = path, True
        elif "sealed" in answer:
            self._sealed = answer

    def _writer_lost(self, why: str) -> None:
        """Start another writer, later each time it does not last."""
        if self.stopped:
            return
        self._left_out += self._unsure
        self._unsure.clear()
        self._lost += 1
        self._alarm(f"{self._path}: {why}; traffic passes, and is not recorded until there is another")
        if time.monotonic() - self._writer_began > RESTART_SECONDS_MAX:
            self._pause_s = RESTART_SECONDS_MIN
        assert self._loop is not None
        self._loop.call_later(self._pause_s, self._start_writer)
        self._pause_s = min(self._pause_s * 2, RESTART_SECONDS_MAX)

    def _tick(self) -> None:
        """Do once a second what has time: look at the queue, say what was left out, and how the recording goes."""
        if self.stopped or self._feed is None or self._loop is None:
            return
        self._loop.call_later(TICK_SECONDS, self._tick)
        if self._feed.update_step():
            self._say_step()
        if self._feed.step < Step.EVERYTHING:
            self._say_left_out()
        self._end_abandoned()
        now = time.monotonic()
        if now - self._statistics_at >= STATISTICS_SECONDS:
            self._statistics_at = now
            self._say_statistics()
        every = self._master.options.parity_status_seconds
        if every and now - self._status_said >= every:
            self._status_said = now
            logger.log(ALERT, "parity: %s", self._status_line())

    def _say_statistics(self) -> None:
        assert self._feed is not None
        values = self.costs.values()
        values["queue_bytes"] = float(self._feed.queued_bytes)
        values["queue_bytes_max"] = float(self._feed.queued_bytes_max)
        values["shed_step_max"] = float(self._feed.shedding.deepest)
        values["open"] = float(len(self._open))
        self._put((STATISTICS, time.time(), values))

    def _status_line(self) -> str:
        assert self._feed is not None
        values = self.costs.values()
        state = "recording" if self._feed.alive else "NO WRITER"
        return (
            f"{state}: {self._opened:,} exchanges, {len(self._open)} open, {self._feed.queued_bytes / 1e6:.1f} MB queued, "
            f"{self._lost} troubles, hooks {values['hook_p50_us']:.0f} µs p50, {values['hook_p99_us']:.0f} µs p99"
        )

    def _alarm(self, text: str) -> None:
        """Say that something was not recorded; end mitmdump if the operator wants that."""
        assert self._loop is not None
        if time.monotonic() - self._statistics_at < STARTUP_SECONDS and self._statistics_at:
            self._loop.call_later(STARTUP_SECONDS, logger.error, "parity: %s", text)
        else:
            logger.error("parity: %s", text)
        if self._master.options.parity_on_error == "stop" and not self.stopped:
            self._loop.call_soon(sys.exit, EXIT_LOST)

"""
The addon that lives among mitmproxy's own.

Order is kept by one counter of event numbers. No hook lets an exception out: mitmproxy would swallow it, and nobody would know what was lost.
"""

import asyncio
import functools
import itertools
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mitmproxy import http, tcp, udp
from mitmproxy.connection import Client
from mitmproxy.master import Master
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from replay.capture.flows import connection_of, end_of, head_of, response_of, rest_of
from replay.capture.installation import key_path, load_key
from replay.capture.journal import Journal
from replay.capture.options import check_listeners, default_folder, describe, lane_of, may_write, name_archive
from replay.model import Chunk, Chunks, Ended, EndReason, Gap, GapReason, NoResponse, Opened, Outcome, ParityError, Record, UsageError, is_stream
from replay.redact import Redactor
from replay.routes import match
from replay.workspace import copy_workspace

NAME = "parity-recorder"
EXIT_REFUSED = 2
EXIT_LOST = 3
ABANDONED_SECONDS = 2.0
"""How long after its connection an exchange may still end by a hook of its own."""
STARTUP_SECONDS = 1.0
"""By then mitmproxy has started."""
SNAPSHOT_SECONDS_MAX = 60.0
"""How long the end of the proxy waits for a snapshot that is being taken."""
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """An exchange on its way."""

    flow: http.HTTPFlow
    exchange: int
    route: str
    headers_event: int | None = None
    streamed: bool = False
    requested: bool = False
    """Whether the request came whole."""


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

    @functools.wraps(hook)
    def run(self: "Recorder", flow: F, /) -> None:
        if self.stopped:
            if hook.__name__ == "requestheaders":
                logger.warning("parity: a request came after the archive was closed and is not recorded")
            return
        try:
            hook(self, flow)
        except Exception as error:
            logger.exception("parity: %s failed", hook.__name__)
            self.count_failure(hook.__name__, error, flow)

    return run


class Recorder:
    """Records what passes through *master*, from `start()` to mitmproxy's `done`."""

    name = NAME

    def __init__(self, master: Master, script: Path) -> None:
        self._master = master
        self._script = script
        self._events = itertools.count(1)
        self._exchanges = itertools.count(1)
        self._open: dict[str, _Open] = {}
        self._journal: Journal | None = None
        self._snapshot: threading.Thread | None = None
        self._snapshot_event = 0
        """The event number before the snapshot."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self.stopped = False
        """Whether the archive is being sealed: hooks do nothing any more."""

    # --- lifecycle ---

    def configure(self, _: set[str]) -> None:
        """Refuse what must not be, before any socket is bound (mitmproxy's own errors come after that)."""
        options = self._master.options
        trouble = check_listeners(options) or (self._check_start() if self._journal is None else None)
        if trouble is not None:
            sys.stderr.write(f"parity: {trouble}\n")
            sys.exit(EXIT_REFUSED)
        if not options.keep_host_header:
            self._master.options.update(keep_host_header=True)  # type: ignore[no-untyped-call]

    def _check_start(self) -> str | None:
        """Give what would keep the recording from beginning, in words."""
        options = self._master.options
        if options.parity_redact:
            try:
                load_key(key_path(os.environ))
            except UsageError as error:
                return str(error)
        if options.parity_workspace and not Path(options.parity_workspace).is_dir():
            return f"parity_workspace {options.parity_workspace}: there is no such folder; give the daemon's $SIGNET_PATH"
        if options.parity_output and Path(options.parity_output).exists():
            return f"parity_output {options.parity_output}: there is something already; name a new folder"
        folder = Path(options.parity_output).parent if options.parity_output else default_folder(self._script)
        if not may_write(folder):
            return f"{folder.absolute()}: nothing can be written there; name another place with --set parity_output=<new folder>.parity"
        return None

    def running(self) -> None:
        """Begin to record, once mitmproxy listens."""
        self.start()

    def start(self) -> None:
        """Open the archive and take the snapshot; a second call does nothing."""
        if self._journal is not None or self.stopped or not self._master.options.server:
            return
        self._loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            # a terminal that is closed ends mitmdump; it shall not leave a cut archive behind
            self._loop.add_signal_handler(signal.SIGHUP, self._master.shutdown)
        options = self._master.options
        redactor = Redactor(load_key(key_path(os.environ))) if options.parity_redact else None
        path = Path(options.parity_output) if options.parity_output else name_archive(default_folder(self._script), datetime.now(UTC))
        self._journal = Journal(path, describe(options, redactor.key_id if redactor else None), redactor, self._alarm)
        self._journal.start()
        if redactor is None:
            logger.warning("parity: parity_redact=false: credentials go to disk as they are")
        logger.info("parity: recording to %s", path)
        if options.parity_workspace:
            self._snapshot_event = next(self._events)
            self._snapshot = threading.Thread(
                target=self._take_snapshot, args=(self._journal, Path(options.parity_workspace), self._snapshot_event), daemon=True
            )
            self._snapshot.start()

    async def done(self) -> None:
        """Close the listeners, end what is open as `proxy stopped`, seal. What passes after that is not recorded."""
        if self.stopped:
            return
        addons: Any = self._master.addons
        servers = getattr(addons.get("proxyserver"), "servers", None)
        if servers is not None:
            await servers.update([])
        journal = self._journal
        if journal is None:
            self.stopped = True
            return
        for opened in list(self._open.values()):
            try:
                self._end_stopped(opened)
            except Exception as error:
                logger.exception("parity: an open exchange could not be ended")
                self.count_failure("done", error, opened.flow)
        self.stopped = True
        self._stopping.set()
        if self._snapshot is not None:
            await asyncio.to_thread(self._snapshot.join, SNAPSHOT_SECONDS_MAX)
            if self._snapshot.is_alive():
                self._alarm("the snapshot of the workspace was not done when the proxy stopped")
                self._put(Gap(GapReason.NOT_WRITTEN, event=self._snapshot_event, detail="snapshot of the workspace: not done in time"))
        event = next(self._events)
        sealed = await asyncio.to_thread(journal.seal, event=event, at=time.time(), reason="proxy stopped")
        if sealed and not journal.lost:
            logger.info("parity: sealed %s", journal.path)
        else:
            sys.stderr.write(f"parity: {journal.path}: {'sealed' if sealed else 'NOT sealed'}, {journal.lost} records lost\n")

    # --- traffic ---

    @_guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Number and write the head of a request."""
        if flow.is_replay:
            self._put(Gap(GapReason.SKIPPED, detail="a request that was replayed from within the proxy"))
            return
        self.start()
        request = head_of(flow)
        connection, lane = connection_of(flow), lane_of(self._master.options, flow.client_conn.proxy_mode)
        route = match(request.method.decode("latin-1"), request.target.decode("latin-1")).name
        # numbers are drawn when nothing can fail any more, so that none is lost
        opened = self._open[flow.id] = _Open(flow, next(self._exchanges), route)
        event = next(self._events)
        self._put(Opened(opened.exchange, event, flow.request.timestamp_start, connection, request, lane), route)

    @_guarded
    def request(self, flow: http.HTTPFlow) -> None:
        """Note that the request came whole."""
        opened = self._open.get(flow.id)
        if opened is not None:
            opened.requested = True

    @_guarded
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Number the answer's head, and let streams pass at once."""
        opened = self._open.get(flow.id)
        if opened is None or flow.response is None:
            return
        opened.streamed = is_stream(flow.response.headers.fields)
        opened.headers_event = next(self._events)
        if opened.streamed:
            flow.response.stream = functools.partial(self._tee, flow.id)

    @_guarded
    def response(self, flow: http.HTTPFlow) -> None:
        """Write the end of an exchange that went well."""
        self._end(flow, None)

    @_guarded
    def error(self, flow: http.HTTPFlow) -> None:
        """Write the end of an exchange that broke off."""
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
            self._put(Gap(GapReason.SKIPPED, detail=f"the daemon could not be reached ({why}); what the client would have asked was not seen"))

    @_guarded
    def client_disconnected(self, client: Client) -> None:
        """End, a little later, what stays open of a connection that is gone: mitmproxy breaks down over some requests (those with trailers)."""
        if any(opened.flow.client_conn.id == client.id for opened in self._open.values()):
            asyncio.get_running_loop().call_later(ABANDONED_SECONDS, self._end_abandoned, client.id)

    @_guarded
    def websocket_start(self, _: http.HTTPFlow) -> None:
        """Count a websocket: its messages are not recorded."""
        self._put(Gap(GapReason.SKIPPED, detail="messages of a websocket"))

    @_guarded
    def tcp_start(self, _: tcp.TCPFlow) -> None:
        """Count a connection that is no HTTP."""
        self._put(Gap(GapReason.SKIPPED, detail="a TCP connection that is no HTTP"))

    @_guarded
    def udp_start(self, _: udp.UDPFlow) -> None:
        """Count datagrams."""
        self._put(Gap(GapReason.SKIPPED, detail="UDP datagrams"))

    # --- what the hooks share ---

    def count_failure(self, hook: str, error: Exception, flow: object) -> None:
        """Count what a failing hook did not record."""
        opened = self._open.pop(flow.id, None) if isinstance(flow, http.HTTPFlow) else None
        exchange = opened.exchange if opened else None
        self._alarm(f"the recorder's {hook} failed ({error!r}); exchange {exchange} is counted as a gap")
        event = opened.headers_event if opened else None
        self._put(Gap(GapReason.NOT_WRITTEN, event=event, exchange=exchange, detail=f"the recorder's {hook} failed: {error!r}"))

    def _tee(self, flow_id: str, data: bytes) -> bytes:
        """Keep a chunk and give it on; must not raise, or the client would lose it."""
        opened = self._open.get(flow_id)
        if data and opened is not None and not self.stopped:
            event = next(self._events)
            try:
                self._put(Chunks(opened.exchange, (Chunk(event, time.time(), bytes(data)),)), opened.route)
            except Exception as error:
                logger.exception("parity: a chunk was lost")
                self._alarm(f"a chunk of exchange {opened.exchange} was lost ({error!r})")
                gap = Gap(GapReason.NOT_WRITTEN, event=event, exchange=opened.exchange, detail=f"a chunk was lost: {error!r}")
                # what fails in there fails in the loop and not in the client's stream
                asyncio.get_running_loop().call_soon(self._put, gap)
        return data

    def _end(self, flow: http.HTTPFlow, error: str | None) -> None:
        opened = self._open.get(flow.id)
        if opened is None:
            return
        outcome: Outcome
        note = ""
        if flow.response is not None and opened.headers_event is not None:
            outcome = response_of(flow.response, streamed=opened.streamed)
            end = EndReason.COMPLETE if error is None else end_of(error, requested=opened.requested, answered=True)
            note = error or ""
        else:
            # whatever the client got here, it was the proxy's and not the daemon's
            outcome = NoResponse(error or "the proxy answered by itself")
            end = end_of(error or "", requested=opened.requested, answered=False)
        at = flow.error.timestamp if flow.error else flow.response.timestamp_end if flow.response else None
        record = self._ended(opened, end, outcome, at or time.time(), note)
        del self._open[flow.id]
        self._put(record, opened.route)

    def _ended(self, opened: _Open, end: EndReason, outcome: Outcome, at: float, note: str) -> Ended:
        flow = opened.flow
        body, trailers = rest_of(flow)
        return Ended(
            exchange=opened.exchange,
            event=next(self._events),
            at=at,
            end=end,
            outcome=outcome,
            request_body=body if opened.requested else None,
            request_trailers=trailers,
            server_connection=flow.server_conn.id if flow.server_conn.timestamp_tcp_setup is not None else None,
            headers_event=opened.headers_event,
            request_ended_at=flow.request.timestamp_end,
            first_byte_at=flow.response.timestamp_start if flow.response is not None and opened.headers_event is not None else None,
            streamed=opened.streamed,
            note=note,
        )

    def _put(self, record: Record, route: str = "") -> None:
        if self._journal is not None:
            self._journal.put(record, route)

    def _end_abandoned(self, client: str) -> None:
        """End what mitmproxy left open of a connection without a word."""
        for opened in [opened for opened in self._open.values() if opened.flow.client_conn.id == client]:
            try:
                self._end(opened.flow, "the proxy broke down over it, and the client left")
            except Exception as error:
                logger.exception("parity: an exchange could not be ended")
                self.count_failure("client_disconnected", error, opened.flow)

    def _end_stopped(self, opened: _Open) -> None:
        """End an exchange that is cut by the proxy's own end."""
        flow = opened.flow
        outcome: Outcome
        if flow.response is not None and opened.headers_event is not None:
            outcome = response_of(flow.response, streamed=opened.streamed)
        else:
            outcome = NoResponse("the proxy stopped before the daemon answered")
        note = "the proxy stopped: the cut is not the daemon's and not the client's"
        self._put(self._ended(opened, EndReason.PROXY_STOPPED, outcome, time.time(), note), opened.route)

    def _take_snapshot(self, journal: Journal, workspace: Path, event_before: int) -> None:
        """Copy the workspace and have the copy packed; runs in a thread of its own."""
        try:
            with tempfile.TemporaryDirectory(prefix="parity-snapshot-") as scratch:
                copy = Path(scratch) / "workspace"
                left_out = copy_workspace(workspace, copy, with_secrets=False)
                journal.put_snapshot(
                    copy, workspace=str(workspace.absolute()), event_before=event_before, event_after=next(self._events), left_out=left_out
                )
        except Exception as error:
            # mitmproxy ends over an error that is logged while it starts, and with it the traffic
            self._stopping.wait(STARTUP_SECONDS)
            if not isinstance(error, ParityError | OSError):
                logger.exception("parity: the snapshot failed")
            self._alarm(f"no snapshot of {workspace} ({error})")
            journal.put(Gap(GapReason.NOT_WRITTEN, event=event_before, detail=f"snapshot of the workspace: {error}"))

    def _alarm(self, text: str) -> None:
        """Say that something was not recorded; end mitmdump if the operator wants that. Comes from any thread."""
        logger.error("parity: %s", text)
        if self._master.options.parity_on_error == "stop" and self._loop is not None and not self.stopped:
            self._loop.call_soon_threadsafe(sys.exit, EXIT_LOST)

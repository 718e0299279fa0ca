"""
The writer: takes messages, knows the open exchanges' routes, and hands everything to the journal, redacted.

Nothing here waits for anything but the disk: snapshots run in a process of their own, files are watched by a thread of their own, and event
numbers that are asked for come back through the pipe like everything else.
"""

import hashlib
import logging
import resource
import selectors
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from replay.archive import ArchiveWriter
from replay.capture.frames import CONFIG, GAP, NUMBER, STATISTICS, STOP, SURE, Message, record_of
from replay.capture.installation import load_key
from replay.capture.writing.beside import Beside, Numbered
from replay.capture.writing.configuration import Configuration
from replay.capture.writing.journal import Journal, stand_ins
from replay.capture.writing.status import Status
from replay.model import Attachment, Ended, Gap, Opened, ParityError, Record, Statistics, WorkspaceChange
from replay.redact import RecordRedactor, Redactor, Rules, load_rules
from replay.routes import match

TICK_SECONDS: Final = 0.25
IDLE_SECONDS: Final = 1.0

logger = logging.getLogger(__name__)


class Writer:
    """Takes messages and writes them. *say* answers the proxy; *selector* wakes whoever runs this for what comes beside the pipe."""

    def __init__(self, say: Callable[[dict[str, Any]], None], selector: selectors.BaseSelector) -> None:
        self._say = say
        self._selector = selector
        self._journal: Journal | None = None
        self._redactor: RecordRedactor | None = None
        self._beside: Beside | None = None
        self._status = Status()
        self._heads: dict[int, Opened] = {}
        self._routes: dict[int, str] = {}
        """Of the open exchanges, both."""
        self._tickets: dict[int, Numbered] = {}
        self._ticket = 0
        self._ticked = 0.0
        self._idled = 0.0
        self._stopping = ""
        self.done = False
        self.sealed = False

    def woken(self, descriptor: int) -> None:
        """Look after what came beside the pipe."""
        if self._beside is not None:
            self._beside.woken(descriptor)

    def take(self, message: Message, sent_at: float) -> None:
        """Take one message, which was handed over at a time (wall clock)."""
        kind = message[0]
        if self.done:
            return
        if kind == CONFIG:
            self._begin(Configuration.of(message[1]))
        elif self._journal is None:
            self._say({"alarm": "a message came before the configuration; it is lost"})
        elif kind == NUMBER:
            self._journal.last_event = max(self._journal.last_event, message[2])
            self._tickets.pop(message[1])(message[2])
        elif kind == STOP:
            self._stop(message[1])
        elif kind == SURE:
            if self._journal.settle():
                self._say({"sure": message[1]})
        elif kind == STATISTICS:
            self._count(message[1], message[2])
        else:
            self._status.lag_s = max(0.0, time.time() - sent_at)
            self._take_record(message)

    def tick(self) -> None:
        """Look after what time brings: blocks that are old enough, held chunks, the status file. Cheap where nothing is due."""
        now = time.monotonic()
        if now - self._ticked < TICK_SECONDS or self._journal is None or self._beside is None or self.done:
            return
        self._ticked = now
        if self._redactor is not None and now - self._idled >= IDLE_SECONDS:
            self._idled = now
            self._write_all(self._redactor.idle())
        self._journal.tick()
        self._beside.tick()
        self._status.update(self._journal, len(self._heads))

    def cut(self, why: str) -> None:
        """Seal as cut: the pipe ended and nobody said so."""
        if self._journal is not None and not self.done:
            # where it was told to stop, only the numbers for what comes last are missing
            said = f"{self._stopping}, but {why} before all was in place" if self._stopping else why
            self._close(said, cut=True, event=self._journal.last_event + 1)
        self.done = True

    # --- what they do ---

    def _begin(self, config: Configuration) -> None:
        redaction: dict[str, Any] = {"key_id": None, "why": "parity_redact=false"}
        if config.redact:
            try:
                rules = load_rules(Path(config.rules)) if config.rules else Rules()
                redactor = Redactor(load_key(Path(config.key_path)), rules)
            except ParityError as error:
                self._alarm(f"{error}; nothing is recorded")
                self.done = True
                return
            self._redactor = RecordRedactor(redactor)
            redaction = {"key_id": redactor.key_id, "rules": rules.digest}
        create = partial(
            ArchiveWriter.create,
            recipients=config.recipients,
            segment_bytes_max=config.segment_bytes,
            segment_seconds_max=config.segment_seconds,
        )
        facts = {**config.facts, "redaction": redaction}
        self._journal = Journal(Path(config.path), facts, self._alarm, create=create, floor=config.floor, continues=config.continues)
        self._beside = Beside(config, self._number, self._write, self._alarm, self._selector)
        self._journal.begin()
        self._say({"ready": str(self._journal.path)})
        self._beside.start(self._journal)

    def _take_record(self, message: Message) -> None:
        record = record_of(message)
        exchange: int | None = getattr(record, "exchange", None)
        if isinstance(record, Opened):
            self._heads[record.exchange] = record
            self._routes[record.exchange] = route_of(record)
        route = "" if exchange is None else self._routes.get(exchange, "")
        self._write(record, route)
        if exchange is not None and (isinstance(record, Ended) or (isinstance(record, Gap) and message[0] == GAP and message[6])):
            opened = self._heads.pop(exchange, None)
            self._routes.pop(exchange, None)
            if opened is not None and isinstance(record, Ended) and self._beside is not None:
                self._beside.ended(opened, record)

    def _write(self, record: Record, route: str = "") -> None:
        """Redact and append a record."""
        self._status.count(record)
        if self._redactor is None:
            self._write_all((record,))
            return
        try:
            clean: Iterable[Record] = self._redactor.feed(record, route)
        except Exception as error:
            # a bug of ours: what can't be redacted must not be written
            logger.exception("parity: a record could not be redacted")
            self._alarm(f"a record could not be redacted ({error!r}); it is counted as a gap")
            clean = stand_ins(record, "could not be redacted")
        self._write_all(map(with_own_digest, clean))

    def _write_all(self, records: Iterable[Record]) -> None:
        assert self._journal is not None
        for record in records:
            self._journal.write(record)

    def _count(self, at: float, values: Mapping[str, float]) -> None:
        """Add what this process knows of itself to what the proxy says, for the archive and for the status."""
        assert self._journal is not None
        own = resource.getrusage(resource.RUSAGE_SELF)
        told = {
            **values,
            "writer_cpu_s": own.ru_utime + own.ru_stime,
            "writer_rss_peak_bytes": float(own.ru_maxrss * 1024),
            "writer_lag_ms": self._status.lag_s * 1000.0,
            "records_lost": float(self._journal.lost),
        }
        self._status.tell(told)
        self._write_all((Statistics(at, told),))

    def _number(self, numbered: Numbered) -> None:
        """Ask the proxy for an event number."""
        self._ticket += 1
        self._tickets[self._ticket] = numbered
        self._say({"number": self._ticket})

    def _stop(self, reason: str) -> None:
        """Have everything beside the traffic come to its end, then seal."""
        self._stopping = reason
        assert self._beside is not None
        self._beside.stop(lambda: self._number(lambda event: self._close(reason, cut=False, event=event)))

    def _close(self, reason: str, *, cut: bool, event: int) -> None:
        assert self._journal is not None
        if self._redactor is not None:
            self._write_all(self._redactor.flush())
        if self._beside is not None:
            self._beside.close()
        self.sealed = self._journal.seal(event=event, at=time.time(), reason=reason, cut=cut)
        self.done = True
        self._status.end(self._journal, "not sealed" if not self.sealed else "cut" if cut else "sealed", len(self._heads))
        self._say({"sealed": self.sealed, "path": str(self._journal.path), "lost": self._journal.lost})

    def _alarm(self, text: str) -> None:
        self._status.trouble(text)
        self._say({"alarm": text})


def with_own_digest(record: Record) -> Record:
    """Name a file's content as it stands in its record: a digest of what stood there before would tell a weak secret."""
    if isinstance(record, WorkspaceChange | Attachment) and record.redactions and record.content is not None:
        return replace(record, digest=hashlib.sha256(record.content).hexdigest())
    return record


def route_of(opened: Opened) -> str:
    """Name the route by which an exchange is redacted; another lane than the daemon's has none of its routes."""
    if opened.lane != "daemon":
        return f"lane {opened.lane}"
    return match(opened.request.method.decode("latin-1"), opened.request.target.decode("latin-1")).name

"""
Lays recorded changes of files in place, between the steps of a replay.

How this works
--------------
An edit goes into the daemon's workspace, with the recorded ids in it rewritten to those of this daemon, as in a request. A file that a
request names by its path goes to that path, but only where this run may write: inside the workspace, and in a namespace cell anywhere,
because there only what belongs to this run can be written to, and the cell's own folder and what is observed are left alone. Whatever is
laid, or can't be, is written into the observed archive as the same kind of record; its note says which.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from replay.model import Attachment, WorkspaceChange
from replay.plan import Laying
from replay.play.job import CellFacts, Job
from replay.play.observed import Observed
from replay.play.putting import RefusedPathError, put_file, put_folder, remove_file

LAID: Final = "laid by the replay"
SAME: Final = "laid by the replay: it was so already"
NOT_LAID: Final = "not laid: "

_FOLDER_NOTE: Final = "a folder with "
_SYSTEM: Final = ("/proc", "/sys", "/dev")


class Layer:
    """Lays what a plan has to lay, in its order."""

    def __init__(
        self,
        layings: Sequence[Laying],
        job: Job,
        facts: CellFacts,
        observed: Observed,
        *,
        rewrite: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        self._coming = iter(layings)
        self._next = next(self._coming, None)
        self._facts = facts
        self._reads_only = job.reads_only
        self._closed = [folder.resolve() for folder in (job.observed.absolute().parent, facts.log.parent if facts.log else None) if folder]
        self._observed = observed
        self._rewrite = rewrite
        self._clock = clock
        self._notes: dict[int, list[str]] = {}
        self.counts: Counter[str] = Counter()

    def due(self, before: int | None) -> Iterator[Laying]:
        """Give what comes before what was opened at an event number; None: all the rest."""
        while self._next is not None and (before is None or self._next.event < before):
            laying, self._next = self._next, next(self._coming, None)
            yield laying

    def lay(self, laying: Laying) -> None:
        """Lay one, and write down what came of it."""
        record = laying.record
        content = self._content(record)
        try:
            changed = self._put(record, content)
            note, what = (LAID, "laid") if changed else (SAME, "laid_already")
        except RefusedPathError as error:
            content, note, what = None, f"{NOT_LAID}{error}", "laid_refused"
        self.counts[what] += 1
        digest = record.digest if content is None else hashlib.sha256(content).hexdigest()
        said = f"{note}; {record.note}" if record.note else note
        told = replace(record, event=self._observed.next_event(), digest=digest, content=content, redactions=(), note=said)
        if isinstance(told, WorkspaceChange):
            self._observed.append(replace(told, at=self._clock()))
            return
        self._observed.append(told)
        if what == "laid_refused":
            self._notes.setdefault(told.exchange, []).append(f"{told.path}: {note}")

    def notes_for(self, exchange: int) -> list[str]:
        """Give in words which files that a request names could not be laid for it."""
        return self._notes.pop(exchange, [])

    def _put(self, record: WorkspaceChange | Attachment, content: bytes | None) -> bool:
        if self._reads_only:
            raise RefusedPathError("this daemon was not started for the replay, and only reads were asked for")
        root, path = self._place_of(record)
        if content is None:
            return remove_file(root, path)
        if isinstance(record, Attachment) and record.note.startswith(_FOLDER_NOTE):
            return put_folder(root, path)
        return put_file(root, path, content)

    def _place_of(self, record: WorkspaceChange | Attachment) -> tuple[Path, str]:
        """Give the folder that must not be left, and the path in it."""
        if not self._facts.workspace:
            raise RefusedPathError("where this daemon has its workspace is not known")
        path = self._rewrite(record.path)
        workspace = Path(self._facts.workspace)
        if isinstance(record, WorkspaceChange) or not path.startswith("/"):
            return workspace, path
        path = f"/{path.strip('/')}"  # `//proc/x` is `/proc/x` to the system
        for base in (self._facts.recorded_workspace, self._facts.workspace):
            if base and path.startswith(f"{base}/"):
                return workspace, path.removeprefix(f"{base}/")
        if self._facts.kind != "namespace":
            raise RefusedPathError("it lies outside the workspace, where nothing belongs to this run")
        if path.startswith(tuple(f"{folder}/" for folder in _SYSTEM)) or self._is_closed(path):
            raise RefusedPathError("it lies where nothing may be laid")
        return Path("/"), path.lstrip("/")

    def _is_closed(self, path: str) -> bool:
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(folder) for folder in self._closed)

    def _content(self, record: WorkspaceChange | Attachment) -> bytes | None:
        """Give what is to be laid: texts with this daemon's ids and paths; None where the file is to go."""
        if record.content is None:
            return None
        try:
            text = record.content.decode("utf-8")
        except UnicodeDecodeError:
            return record.content
        text = self._rewrite(text)
        recorded, here = self._facts.recorded_workspace, self._facts.workspace
        return (text.replace(recorded, here) if recorded and here and recorded != here else text).encode()


__all__ = ["LAID", "NOT_LAID", "SAME", "Layer"]

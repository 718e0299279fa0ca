"""
The ledger: one line for each judged run, only ever added to.

How this works
--------------
The ledger is a JSONL file. Each line is one run in canonical JSON (sorted keys, no spaces) and holds the digest of the line before
(`previous`) and its own (`digest`, over the rest of the line). So a line that was edited, moved, or taken out of the middle is found.
Lines taken off the end leave a whole chain; against that a file beside it (`<ledger>.head`) holds the number and digest of the last line.
Whoever may write both files can make up a whole new chain: keep the head where the writer of the ledger can't reach it, if that matters.

A line goes to the disk in one write and is synced before the head is replaced. A crash leaves one of three states, and all are told apart:
nothing happened; a half-written last line (`verify` says so, `append` refuses and says how to cut it off); a whole line that the head
does not know yet (taken as written).
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from replay.evidence.tally import Tally, domains, features
from replay.model import UsageError, Verdict
from replay.runs import Party, Run

FORMAT: Final = 1
FIRST: Final = ""
"""What the first line has as the digest of the line before."""

type JSON = bool | int | float | str | list[JSON] | dict[str, JSON] | None


_BUILT: Final = frozenset({"domains", "features", "open_clusters", "open_causes"})
"""Parts of an entry that are no plain JSON in memory."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the exchanges of one domain or feature, as the ledger keeps it."""

    planned: int = 0
    compared: int = 0
    identical: int = 0
    open: int = 0
    """Exchanges with an open divergence."""
    explained: int = 0
    state_open: int = 0
    """Open divergences of state."""
    state_explained: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One judged run in the ledger."""

    started_at: float
    """When the run began, in seconds since the epoch."""
    run: str
    """Where the run lies; a name for people."""
    tool: str
    seed: int
    verdict: str
    """`pass`, `fail` or `incomplete`."""
    because: str
    parties: dict[str, dict[str, JSON]]
    """`recorded`, `observed` and `control` (where there was one): archive, digest, daemon, cell, salvaged."""
    rules_digest: str
    noise_digest: str
    totals: dict[str, int]
    """planned, compared, identical, divergent."""
    gaps: dict[str, int]
    """By reason."""
    verdicts: dict[str, int]
    """Divergences by verdict."""
    domains: dict[str, Counts]
    features: dict[str, dict[str, Counts]] = field(default_factory=dict)
    """By domain and route (or state check)."""
    open_clusters: tuple[str, ...] = ()
    """Ids of the open places."""
    open_causes: tuple[str, ...] = ()
    """Ids of the open causes, so that a later night can say new, still there, gone, back."""
    canaries: dict[str, int] = field(default_factory=dict)
    """planted, found, blind."""

    @property
    def daemon(self) -> str:
        """Which candidate was judged, such as `rust 0.2.0`."""
        return str(self.parties.get("observed", {}).get("daemon", ""))


def entry_from(run: Run, *, name: str) -> Entry:
    """Make a run's entry; *name* is how people find the run."""
    parties = {"recorded": _party(run.recorded), "observed": _party(run.observed)}
    if run.control is not None:
        parties["control"] = _party(run.control)
    by_domain: dict[str, dict[str, Counts]] = {}
    for row in features(run):
        by_domain.setdefault(row.domain, {})[row.feature] = _counts(row.tally)
    verdicts = [divergence.verdict for divergence in run.divergences]
    return Entry(
        started_at=run.started_at,
        run=name,
        tool=run.tool,
        seed=run.seed,
        verdict=run.verdict,
        because=run.because,
        parties=parties,
        rules_digest=run.rules_digest,
        noise_digest=run.noise_digest,
        totals={
            "planned": run.planned,
            "compared": run.compared,
            "identical": run.identical,
            "divergent": run.compared - run.identical,
        },
        gaps=dict(sorted(run.gaps.items())),
        verdicts={verdict.value: verdicts.count(verdict) for verdict in Verdict},
        domains={row.domain: _counts(row.tally) for row in domains(run)},
        features=by_domain,
        open_clusters=tuple(cluster.id for cluster in run.clusters if cluster.verdict is Verdict.OPEN),
        open_causes=tuple(cause.id for cause in run.causes if cause.verdict is Verdict.OPEN),
        canaries={"planted": run.canaries.planted, "found": run.canaries.found, "blind": run.canaries.blind},
    )


def entry_of_failure(*, name: str, tool: str, started_at: float, seed: int, because: str) -> Entry:
    """Make the entry of a night that could not be judged, so that it ends the streak instead of leaving no trace."""
    return Entry(
        started_at=started_at,
        run=name,
        tool=tool,
        seed=seed,
        verdict="incomplete",
        because=because,
        parties={},
        rules_digest="",
        noise_digest="",
        totals={"planned": 0, "compared": 0, "identical": 0, "divergent": 0},
        gaps={},
        verdicts={},
        domains={},
    )


def append(path: Path, entry: Entry) -> str:
    """
    Add *entry* as the last line and give its digest; the file is made where it is not there.

    Two processes may append at once: each waits for the other.

    Raises:
        UsageError: the ledger is damaged, or can't be written; nothing was added.

    """
    try:
        with _locked(path) as descriptor:
            content = path.read_bytes()
            lines, problems = _check(path, content)
            if problems:
                raise UsageError(f"{path}: nothing is added to a ledger that does not hold together: {'; '.join(problems)}")
            previous = str(json.loads(lines[-1])["digest"]) if lines else FIRST
            body = {"format": FORMAT, "number": len(lines) + 1, "previous": previous, **_plain(entry)}
            digest = _digest(body)
            line = _canonical({**body, "digest": digest}) + b"\n"
            written = os.write(descriptor, line)
            if written != len(line):
                os.ftruncate(descriptor, len(content))
                raise UsageError(f"{path}: only {written} of {len(line)} bytes could be written (disk full?); nothing is added")
            os.fsync(descriptor)
            _write_head(path, len(lines) + 1, digest)
            return digest
    except OSError as error:
        raise UsageError(f"{path}: the ledger can't be written: {error}") from error


def verify(path: Path) -> tuple[str, ...]:
    """
    Say what is wrong with a ledger: edited, moved, missing, half-written lines. Nothing: it holds together.

    Raises:
        UsageError: there is no ledger, or it can't be read.

    """
    return _check(path, _read(path))[1]


def read(path: Path) -> tuple[Entry, ...]:
    """
    Read all entries, oldest first.

    Raises:
        UsageError: there is no ledger, or it does not hold together: evidence that was tampered with is none.

    """
    lines, problems = _check(path, _read(path))
    if problems:
        raise UsageError(f"{path}: the ledger does not hold together: {'; '.join(problems)}")
    return tuple(_entry(path, number, line) for number, line in enumerate(lines, 1))


def head_path(path: Path) -> Path:
    """Where the number and digest of the last line are kept."""
    return path.with_name(path.name + ".head")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"{path}: there is no ledger; `signet-parity nightly` begins one")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: the ledger can't be read: {error}") from error


def _check(path: Path, content: bytes) -> tuple[list[bytes], tuple[str, ...]]:
    """Give the whole lines and what is wrong with them."""
    lines = content.split(b"\n")
    tail = lines.pop()
    problems = []
    if tail:
        whole = len(content) - len(tail)
        problems.append(
            f"line {len(lines) + 1} is half written ({len(tail)} bytes, a crash while it was added); its run is not in the ledger: "
            f"cut it off with `truncate -s {whole} {path}` and add the run again"
        )
    previous = FIRST
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
            digest = value.pop("digest")
            if value["format"] != FORMAT:
                problems.append(f"line {number} is of format {value['format']!r}, which this tool does not know")
                continue
            if digest != _digest(value):
                problems.append(f"line {number} was changed: its digest does not fit")
            if value["number"] != number:
                problems.append(f"line {number} says it is number {value['number']}: lines were moved, taken out or put in")
            if value["previous"] != previous:
                problems.append(f"line {number} does not follow the line before it: that one was changed, moved or taken out")
            previous = digest
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            problems.append(f"line {number} is no entry ({type(error).__name__})")
    problems += _check_head(path, len(lines), previous)
    return lines, tuple(problems)


def _check_head(path: Path, count: int, digest: str) -> list[str]:
    """Compare with the head; one whole line beyond it is what a crash between the two writes leaves, and counts."""
    head = head_path(path)
    try:
        words = head.read_text("utf-8").split()
        known, last = int(words[0]), words[1]
    except FileNotFoundError:
        return [] if count <= 1 else [f"{head} is missing, so lines may be missing at the end: put it back, or write `{count} {digest}` into it"]
    except (OSError, ValueError, IndexError):
        return [f"{head} can't be understood: it holds the number and digest of the last line (`{count} {digest}`, if nothing is missing)"]
    if known > count:
        return [f"{known - count} of {known} lines are missing at the end"]
    if known < count - 1:
        return [f"{count - known} lines were added by something that did not know {head.name}"]
    if known == count and last != digest:
        return [f"the last line is not the one that {head.name} knows"]
    return []


def _write_head(path: Path, number: int, digest: str) -> None:
    head = head_path(path)
    fresh = head.with_name(head.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{number} {digest}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(head)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        **{name: getattr(entry, name) for name in Entry.__slots__ if name not in _BUILT},
        "domains": {name: _row(counts) for name, counts in entry.domains.items()},
        "features": {domain: {name: _row(counts) for name, counts in rows.items()} for domain, rows in entry.features.items()},
        "open_clusters": list(entry.open_clusters),
        "open_causes": list(entry.open_causes),
    }


def _row(counts: Counts) -> list[int]:
    return [getattr(counts, name) for name in Counts.__slots__]


def _entry(path: Path, number: int, line: bytes) -> Entry:
    try:
        value = json.loads(line)
        rest = {name: value[name] for name in Entry.__slots__ if name not in _BUILT}
        return Entry(
            **rest,
            domains={name: Counts(*row) for name, row in value["domains"].items()},
            features={domain: {name: Counts(*row) for name, row in rows.items()} for domain, rows in value["features"].items()},
            open_clusters=tuple(value["open_clusters"]),
            # Lines of a time before causes were counted have none.
            open_causes=tuple(value.get("open_causes", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: line {number} is no entry ({type(error).__name__}: {error})") from error


def _party(party: Party) -> dict[str, JSON]:
    return {
        "archive": party.archive,
        "path": party.path,
        "digest": party.digest,
        "daemon": party.daemon,
        "cell": party.cell,
        "salvaged": party.salvaged,
    }


def _counts(tally: Tally) -> Counts:
    return Counts(tally.planned, tally.compared, tally.identical, tally.open, tally.explained, tally.state_open, tally.state_explained)


def _digest(value: dict[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(_canonical(value)).hexdigest()


def _canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()

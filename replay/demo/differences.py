"""
How the `rust` runtime differs from the `js` one: facts known of the real pair, each with where it stands.

Code asks `Runtime.differs(name)`, so a difference is here or nowhere. `citation` names a chapter of the digests of the two
daemons' sources. A place is where a comparison of traffic, or of files, must meet the difference.
"""

from dataclasses import dataclass
from typing import Final, Literal

from replay.model import DifferenceClass

_STRUCTURAL: Final = DifferenceClass.STRUCTURAL
_SEMANTIC: Final = DifferenceClass.SEMANTIC


@dataclass(frozen=True, slots=True)
class Place:
    """Where a difference shows."""

    domain: str
    difference: DifferenceClass
    route: str
    """`GET /api/memory/:id`; `*` for every route of the domain; for state a file or table."""
    visible: Literal["http", "state"] = "http"


@dataclass(frozen=True, slots=True)
class Difference:
    """One known difference of the pair."""

    what: str
    citation: str
    places: tuple[Place, ...]
    """The first is where it must be found; the others are the same cause, seen elsewhere."""

    @property
    def domain(self) -> str:
        """The domain in which it must be found."""
        return self.places[0].domain

    @property
    def difference(self) -> DifferenceClass:
        """The class in which it must be found."""
        return self.places[0].difference


DIFFERENCES: Final[dict[str, Difference]] = {
    "time-format": Difference(
        "timestamps have nanoseconds and +00:00 instead of milliseconds and Z",
        "signet-state.md §9",
        tuple(Place(domain, _SEMANTIC, "*") for domain in ("read", "schema", "pipeline-workers", "auth", "file-watcher", "mcp")),
    ),
    "history-created-row": Difference(
        "remember writes a `created` row to the history",
        "signet-state.md §4.5",
        (Place("read", _SEMANTIC, "GET /api/memory/:id/history"),),
    ),
    "remember-enqueues-nothing": Difference(
        "remember enqueues no extract job and leaves extraction_status at none",
        "signet-state.md §4.2, §8",
        (
            Place("pipeline-workers", _SEMANTIC, "GET /api/pipeline/status"),
            Place("read", _SEMANTIC, "GET /api/memory/:id"),
        ),
    ),
    "secret-plaintext": Difference(
        "a secret's ciphertext is base64 of its plaintext",
        "signet-state.md §3.2",
        (Place("secrets", _SEMANTIC, ".secrets/secrets.enc", "state"),),
    ),
    "secret-delete-absent": Difference(
        "deleting an absent secret is 200 with existed:false instead of 404",
        "signet-state.md §3.2",
        (Place("secrets", _STRUCTURAL, "DELETE /api/secrets/:name"),),
    ),
    "secret-empty-value": Difference(
        "an empty secret is accepted instead of refused",
        "signet-state.md §3.2",
        (Place("secrets", _STRUCTURAL, "POST /api/secrets/:name"),),
    ),
    "unknown-path": Difference(
        "an unknown GET under /api gives the dashboard, 200 text/html, instead of 404 text/plain",
        "signet-http.md §2.3",
        (Place("read", _STRUCTURAL, "GET (unknown)"),),
    ),
    "body-extractor": Difference(
        "malformed, wrongly typed or wrongly labelled JSON is 400, 422 or 415 in text/plain instead of JSON or leniency",
        "signet-http.md §2.3",
        (
            Place("write", _STRUCTURAL, "POST /api/memory/remember"),
            Place("read", _STRUCTURAL, "POST /api/memory/recall"),
            Place("auth", _STRUCTURAL, "POST /api/auth/token"),
        ),
    ),
    "log-stream-ends": Difference(
        "the stream of logs says connected and ends",
        "signet-http.md §3.1",
        (Place("read", _STRUCTURAL, "GET /api/logs/stream"),),
    ),
    "task-stream-ends": Difference(
        "the stream of a task says connected and ends",
        "signet-http.md §3.1",
        (Place("pipeline-workers", _STRUCTURAL, "GET /api/tasks/:id/stream"),),
    ),
    "memory-search-route": Difference(
        "GET /api/memory/search answers 200; on the other runtime the route for one memory hides it (404)",
        "signet-http.md §2.3",
        (Place("read", _STRUCTURAL, "GET /api/memory/search"),),
    ),
    "recall-untruncated": Difference(
        "recall cuts content at 50000 characters instead of 500",
        "signet-state.md §5",
        (Place("read", _SEMANTIC, "POST /api/memory/recall"),),
    ),
    "pipeline-queue-keys": Difference(
        "the summary queue lacks the counts of failed and dead",
        "signet-state.md §4.6",
        (Place("pipeline-workers", _STRUCTURAL, "GET /api/pipeline/status"),),
    ),
    "mcp-fewer-tools": Difference(
        "fewer tools are listed",
        "signet-http.md §3.2",
        (Place("mcp", _SEMANTIC, "ALL /mcp"),),
    ),
    "mcp-protocol-pinned": Difference(
        "initialize answers protocol 2024-11-05 whatever was asked for",
        "signet-http.md §3.2",
        (Place("mcp", _SEMANTIC, "ALL /mcp"),),
    ),
    "mcp-notification-status": Difference(
        "a notification is answered 200 with a body instead of 202 without",
        "signet-http.md §3.2",
        (Place("mcp", _STRUCTURAL, "ALL /mcp"),),
    ),
    "git-status-keys": Difference(
        "git status has other keys, and the remote's URL for its name",
        "signet-state.md §6",
        (Place("git-sync", _STRUCTURAL, "GET /api/git/status"), Place("git-sync", _SEMANTIC, "GET /api/git/status")),
    ),
    "git-sync-shape": Difference(
        "git sync runs pull and push always and reports each, without a success of its own",
        "signet-state.md §6",
        (Place("git-sync", _STRUCTURAL, "POST /api/git/sync"),),
    ),
    "schema-more-tables": Difference(
        "start-up adds five tables, and columns to connectors and summary_jobs",
        "signet-state.md §2.3",
        (
            Place("schema", _SEMANTIC, "GET /api/diagnostics/database/schema"),
            Place("schema", _STRUCTURAL, "GET /api/diagnostics/database/tables/:table/sample"),
        ),
    ),
    "architecture-dashes": Difference(
        "SIGNET-ARCHITECTURE.md is made with hyphens instead of em dashes",
        "signet-state.md §1",
        (Place("file-watcher", _SEMANTIC, "GET /api/config"),),
    ),
}
"""Name → difference."""

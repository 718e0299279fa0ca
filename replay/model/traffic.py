"""
What was seen on the wire, as bytes, and the records that carry it to disk.

How this works
--------------
The recorder numbers what it sees in one sequence of *event numbers* (from 1, without holes): opened, response headers, chunk,
ended, snapshot, file changed. Order is read from these numbers, never from wall clock. An exchange's id is its start order, from 1.

On disk an exchange is up to four kinds of records, so that a stream of six hours is on disk while it runs: `Opened` (the request's
head, at once), `Answered` (the answer's head, where its body is handed on in chunks), `Chunks` (runs of chunks, of either side), `Ended`
(the rest). A reader joins them into one `Exchange`.
In an observed archive, an exchange bears the id of the recorded exchange that it repeats.

Times are seconds since the epoch (wall clock) as floats. They are for people and for measuring, not for order.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

type Header = tuple[bytes, bytes]
"""A header as it was on the wire: name in its case, value undecoded."""

type Side = Literal["request", "response"]

STREAM_TYPES: Final = (b"text/event-stream", b"application/x-ndjson")
"""Media types whose chunks and their times are a part of the answer; any other body may come in chunks only because it is big."""


class EndReason(StrEnum):
    """How an exchange ended."""

    COMPLETE = "complete"
    CLIENT_LEFT = "client left"
    SERVER_CLOSED = "server closed"
    PROXY_STOPPED = "proxy stopped"
    PROXY_ERROR = "proxy error"
    """The proxy itself gave up or answered (for instance its own 502): nothing of it is the daemon's."""
    TIMEOUT = "timeout"
    """The player closed an exchange that hung at its bound (observed archives only)."""


class GapReason(StrEnum):
    """Why something that was planned or seen was not recorded, replayed or compared."""

    CUT = "cut"
    """Opened, but its end is not in the archive (recorder killed)."""
    NOT_WRITTEN = "not written"
    SHED = "shed"
    """The recorder could not keep up and left it out, as it was told to: a body, or a whole exchange."""
    SAMPLED = "sampled out"
    """Left out on purpose by the recorder's sampling."""
    SKIPPED = "skipped"
    UNSAFE = "unsafe"
    """Acts on the outside world and was not allowed by name."""
    STREAM = "stream"
    POLL = "folded poll"
    LOOPBACK = "loop-back"
    INFIDELITY = "infidelity"
    """The replay's own doing: control and candidate agree against the recording."""
    MALFORMED = "malformed request"
    """Was refused by the proxy or can't be sent by the player as it was."""
    NO_RESPONSE = "no recorded response"
    """The recording holds no answer of the daemon to compare with."""
    DAEMON_DEAD = "daemon dead"
    DEPENDENCY = "dependency"
    """An exchange that it needs was not replayed."""
    NOT_OBSERVED = "not observed"
    UNALIGNED = "unaligned"
    CREDENTIAL = "credential"
    """The recorded credential can't be minted again."""
    COMPARER = "comparer failed"
    OUT_OF_SCOPE = "not asked for"


@dataclass(frozen=True, slots=True)
class Connection:
    """Which connections an exchange used. Ids are opaque and only compared for equality within one archive."""

    client: str
    server: str | None = None
    peer: str | None = None
    """The client's address as `host:port`; decides what hybrid authentication trusted."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """A span that was replaced by a placeholder of the same byte length before anything reached the disk."""

    where: str
    """`request.header:<n>`, `response.header:<n>`, `request.target`, `request.body`, `response.body` or `chunk:<event>`; n counts from 0."""
    start: int
    length: int
    kind: str
    """Such as `bearer`, `api-key`, `cookie`, `password`."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the client sent it (and as mitmproxy delivered it)."""

    method: bytes
    target: bytes
    """The raw request target: path and query, undecoded."""
    version: bytes
    """`HTTP/1.1`"""
    headers: tuple[Header, ...]
    body: bytes | None = b""
    """None: the body was not seen (the client left before it was whole)."""
    trailers: tuple[Header, ...] = ()

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, looked up without case; None where it is absent."""
        return _first(self.headers, name)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that the daemon itself gave."""

    version: bytes
    status: int
    reason: bytes
    headers: tuple[Header, ...]
    body: bytes | None = b""
    """For a stream: the chunks joined. None: the head came, the body was not kept."""
    trailers: tuple[Header, ...] = ()

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, looked up without case; None where it is absent."""
        return _first(self.headers, name)


@dataclass(frozen=True, slots=True)
class NoResponse:
    """The daemon gave no answer: what was seen instead, in words."""

    error: str


type Outcome = Response | NoResponse


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a streamed body, as it arrived."""

    event: int
    at: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its outcome, joined from its records."""

    id: int
    request: Request
    outcome: Outcome
    connection: Connection
    opened_event: int
    ended_event: int
    started_at: float
    ended_at: float
    end: EndReason = EndReason.COMPLETE
    lane: str = "daemon"
    headers_event: int | None = None
    """When the response's head came; None without a response."""
    request_ended_at: float | None = None
    first_byte_at: float | None = None
    """When the first byte of the response came."""
    chunks: tuple[Chunk, ...] = ()
    """The answer's, as they came; empty where its body was gathered first. `outcome` holds the body whole either way."""
    request_chunks: tuple[Chunk, ...] = ()
    """The request's, likewise."""
    redactions: tuple[Redaction, ...] = ()
    note: str = ""
    """What the recorder has to say about it, for instance that the cut is the proxy's."""
    opaque: bytes = b""
    """What an imported format holds beyond all this, kept so that it comes back (`replay.interop`)."""

    @property
    def duration_ms(self) -> float:
        """From the request's start to the end of the answer, in milliseconds."""
        return (self.ended_at - self.started_at) * 1000.0

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream: its chunks and their times are a part of it, and not only its size."""
        return isinstance(self.outcome, Response) and (bool(self.chunks) or self.outcome.body is None) and is_stream(self.outcome.headers)


# --- records: what an archive holds ---


@dataclass(frozen=True, slots=True)
class Opened:
    """The head of a request, written at once."""

    exchange: int
    event: int
    at: float
    connection: Connection
    request: Request
    """Its body is empty here; `Ended` brings it."""
    lane: str = "daemon"
    redactions: tuple[Redaction, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """The head of an answer whose body follows in chunks, written at once: so it is known also where the end is not."""

    exchange: int
    event: int
    """The same number as `Ended.headers_event`."""
    at: float
    response: Response
    """Its body is None here."""
    redactions: tuple[Redaction, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunks:
    """A run of body chunks of one exchange and one side, in order."""

    exchange: int
    chunks: tuple[Chunk, ...]
    side: Side = "response"
    redactions: tuple[Redaction, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """The rest of an exchange (record type `exchange`)."""

    exchange: int
    event: int
    at: float
    end: EndReason
    outcome: Outcome
    """The body of a response that came in chunks is None here; the chunks hold it."""
    request_body: bytes | None
    """None where it came in chunks (`request_streamed`), or was not seen."""
    request_trailers: tuple[Header, ...] = ()
    server_connection: str | None = None
    headers_event: int | None = None
    request_ended_at: float | None = None
    first_byte_at: float | None = None
    streamed: bool = False
    """Whether the answer's body is in chunks."""
    request_streamed: bool = False
    """Whether the request's body is in chunks, all of them."""
    redactions: tuple[Redaction, ...] = ()
    note: str = ""
    opaque: bytes = b""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was seen or planned and is not there, with its reason."""

    reason: GapReason
    event: int | None = None
    exchange: int | None = None
    count: int = 1
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """The workspace as it was between two event numbers, kept in a file beside the segments."""

    file: str
    event_before: int
    event_after: int
    workspace: str
    """The path at which the recorded daemon had it."""
    files: int
    bytes: int
    digest: str
    """SHA-256 of the file as it lies on disk."""
    left_out: tuple[str, ...] = ()
    """What was not taken, in words, such as `.daemon/logs: the daemon's log`."""
    taken_at: Literal["start", "rotation", "seal"] = "start"
    at: float = 0.0
    """When it was begun."""
    duration_ms: float = 0.0
    """How long copying, redacting and packing took."""
    changed_meanwhile: tuple[str, ...] = ()
    """Files that were written while they were copied: their state lies somewhere between the two event numbers."""
    replaced: dict[str, int] = field(default_factory=dict)
    """How many secrets were replaced in it, by kind."""
    machine_id: str = ""
    """The throw-away machine id that opens its store of secrets; empty where there is none."""


@dataclass(frozen=True, slots=True)
class WorkspaceChange:
    """A workspace file that changed while recording."""

    event: int
    at: float
    """When it was noticed."""
    path: str
    """Inside the workspace, with slashes."""
    digest: str | None
    """SHA-256 of the content as it stands here, after redaction; None where the file is gone, or was not read to its end."""
    content: bytes | None
    """None: the file is gone, or was left out (`note` says why)."""
    modified_at: float | None = None
    """The file's own time of change; None where it is gone, and only there."""
    redactions: tuple[Redaction, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that a request names, as it was found when the exchange had ended."""

    event: int
    exchange: int
    path: str
    """As the request names it."""
    digest: str | None
    """SHA-256 of the content as it stands here, after redaction; None where it was not read to its end."""
    content: bytes | None
    """None: left out (`note` says why, such as `outside the allowed roots`)."""
    redactions: tuple[Redaction, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the recorder or player says of itself."""

    at: float
    values: dict[str, float] = field(default_factory=dict)
    """By name, with its unit as suffix: `hook_p99_us`, `queue_bytes_max`, `written_bytes`."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A recorded id and the observed one that stands for it (observed archives)."""

    kind: str
    recorded: str
    observed: str
    exchange: int
    """Where it was born."""
    path: str
    """Such as `$.id` or `header:x-signet-request-id`."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait for the daemon's background work (observed archives)."""

    before_exchange: int
    worker: str
    duration_ms: float
    outcome: str
    """`drained`, `bound met` or `given up before`."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """What the daemon asked its model or embedder (declared; observed archives, from a later format on)."""

    event: int
    at: float
    stage: str
    request: bytes
    response: bytes
    match: str


@dataclass(frozen=True, slots=True)
class DaemonRecord:
    """The life of a replayed daemon: `started`, `ready`, `died`, `stopped`."""

    at: float
    what: str
    detail: str = ""
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """The last record of a sealed archive."""

    event: int
    at: float
    reason: str
    cut: bool = False
    """Whether the recorder ended before it could say so: what came last may lack."""


type Record = (
    Opened
    | Answered
    | Chunks
    | Ended
    | Gap
    | SnapshotRecord
    | WorkspaceChange
    | Attachment
    | Statistics
    | Binding
    | Wait
    | ProviderCall
    | DaemonRecord
    | End
)

RECORD_TYPES: dict[str, type] = {
    "opened": Opened,
    "answered": Answered,
    "chunks": Chunks,
    "exchange": Ended,
    "gap": Gap,
    "snapshot": SnapshotRecord,
    "workspace": WorkspaceChange,
    "attachment": Attachment,
    "statistics": Statistics,
    "binding": Binding,
    "wait": Wait,
    "provider": ProviderCall,
    "daemon": DaemonRecord,
    "end": End,
}
"""Name on disk and the value it holds."""


def is_stream(headers: tuple[Header, ...]) -> bool:
    """Whether an answer with these headers is of a streaming media type."""
    value = _first(headers, b"content-type")
    return value is not None and value.split(b";", 1)[0].strip().lower() in STREAM_TYPES


def _first(headers: tuple[Header, ...], name: bytes) -> bytes | None:
    wanted = name.lower()
    for key, value in headers:
        if key.lower() == wanted:
            return value
    return None

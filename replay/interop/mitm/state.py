"""
One flow state and one exchange: there and back.

What an archive keeps of a flow is a patch to what `rebuild` makes. So whoever changes what `rebuild` makes of an exchange gives it a new
number in `_OURS`, and keeps the old one for the archives that were written before.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mitmproxy.io import tnetstring

from replay.interop.mitm.source import State
from replay.model import ArchiveError, Connection, EndReason, Exchange, Header, NoResponse, Outcome, Request, Response

CLIENT_LEFT = "Client disconnected."
FLOW_FORMAT = 21
"""The version of mitmproxy's flow format that `rebuild` makes; newer mitmproxys migrate it when they read."""
_OURS = b"mitm1:"
"""What an opaque part of this room begins with, and against which `rebuild` it was taken."""
_NAMESPACE = uuid.UUID("6f7e2f8c-6a1f-5d0e-9c59-0d9b2f0c7a11")
"""Under it lie the flow ids of exchanges that did not come from a flow file."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An exchange without its numbers."""

    request: Request
    outcome: Outcome
    connection: Connection
    started_at: float
    request_ended_at: float | None
    first_byte_at: float | None
    ended_at: float
    end: EndReason
    chunks: tuple[tuple[float, bytes], ...]


def read_draft(state: State) -> Draft:
    """
    Take from an HTTP flow's state what an exchange holds.

    Raises:
        ArchiveError: a part is missing or of a wrong type.

    """
    try:
        return _read(state)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ArchiveError(f"flow {state.get('id')}: has an unexpected form ({type(error).__name__}: {error})") from error


def rebuild(exchange: Exchange, archive: str) -> State:
    """
    Make a whole flow state from an exchange alone.

    *archive* is the archive's id: flow ids and connection ids that the exchange does not know are derived from it.
    """
    host, port = _address(exchange.request)
    response = exchange.outcome if isinstance(exchange.outcome, Response) else None
    peer = _split(exchange.connection.peer)
    error = _error(exchange)
    return {
        "version": FLOW_FORMAT,
        "type": "http",
        "id": str(uuid.uuid5(_NAMESPACE, f"{archive}/{exchange.id}")),
        "error": error and {"msg": error, "timestamp": exchange.ended_at},
        "client_conn": {
            **_connection(exchange.connection.client, exchange.started_at),
            "mitmcert": None,
            "peername": peer or ("127.0.0.1", 0),
            "sockname": ("127.0.0.1", 0),
            "proxy_mode": f"reverse:http://{host}:{port}",
        },
        "server_conn": {
            **_connection(exchange.connection.server or f"{archive}/{exchange.id}/server", exchange.started_at),
            "address": (host, port),
            "peername": (host, port),
            "sockname": ("127.0.0.1", 0),
            "timestamp_tcp_setup": exchange.started_at,
            "via": None,
        },
        "intercepted": False,
        "is_replay": None,
        "marked": "",
        "metadata": _metadata(exchange),
        "comment": "",
        "timestamp_created": exchange.started_at,
        "backup": None,
        "websocket": None,
        "request": {
            "http_version": exchange.request.version,
            "headers": exchange.request.headers,
            "content": exchange.request.body,
            "trailers": exchange.request.trailers or None,
            "timestamp_start": exchange.started_at,
            "timestamp_end": exchange.request_ended_at,
            "host": host,
            "port": port,
            "method": exchange.request.method,
            "scheme": b"http",
            "authority": b"",
            "path": exchange.request.target,
        },
        "response": response
        and {
            "http_version": response.version,
            "headers": response.headers,
            "content": response.body,
            "trailers": response.trailers or None,
            "timestamp_start": exchange.first_byte_at,
            "timestamp_end": None if error else exchange.ended_at,
            "status_code": response.status,
            "reason": response.reason,
        },
    }


def subtract(actual: Any, rebuilt: Any) -> Any:
    """
    Give what has to be changed in *rebuilt* to get *actual*, as a patch for `add`; None where nothing has.

    A patch is `["=", value]`, or `["+", {key: patch}, [removed keys]]`.
    """
    if isinstance(actual, dict) and isinstance(rebuilt, dict):
        changed = {key: ["=", value] for key, value in actual.items() if key not in rebuilt}
        for key, value in actual.items():
            patch = subtract(value, rebuilt[key]) if key in rebuilt else None
            if patch is not None:
                changed[key] = patch
        removed = [key for key in rebuilt if key not in actual]
        return ["+", changed, removed] if changed or removed else None
    same = _plain(actual) == _plain(rebuilt) and type(_plain(actual)) is type(_plain(rebuilt))
    return None if same else ["=", actual]


def add(rebuilt: Any, patch: Any) -> Any:
    """Apply what `subtract` gave."""
    if patch is None:
        return rebuilt
    if patch[0] == "=":
        return patch[1]
    out = {key: add(value, patch[1].get(key)) for key, value in rebuilt.items() if key not in patch[2]}
    return {**out, **{key: part[1] for key, part in patch[1].items() if key not in rebuilt}}


def pack(position: int, patch: Any) -> bytes:
    """Give the opaque part of an exchange: where its flow lay in the file, and the patch to its rebuilt state."""
    return _OURS + bytes(tnetstring.dumps([position, patch]))


def unpack(opaque: bytes) -> tuple[int | None, Any]:
    """
    Read an opaque part; (None, None) where the exchange did not come from a flow file.

    Raises:
        ArchiveError: it says it is ours, but can't be read.

    """
    if not opaque.startswith(_OURS):
        return None, None
    try:
        value: Any = tnetstring.loads(opaque.removeprefix(_OURS))
        return int(value[0]), value[1]
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ArchiveError(f"what was kept of an imported flow can't be read ({error}); import the flow file again") from error


def _read(state: State) -> Draft:
    request = state["request"]
    response = state["response"]
    error = state["error"]
    started = float(request["timestamp_start"])
    outcome: Outcome
    chunks: tuple[tuple[float, bytes], ...] = ()
    if response is None:
        outcome = NoResponse(str(error["msg"]) if error else "the flow has neither response nor error")
    else:
        outcome = Response(
            version=bytes(response["http_version"]),
            status=int(response["status_code"]),
            reason=bytes(response["reason"]),
            headers=_headers(response["headers"]),
            body=response["content"],
            trailers=_headers(response["trailers"]),
        )
        chunks = _chunks(state["metadata"], float(response["timestamp_start"] or started), outcome.body)
    times = [
        started,
        *(value for value in (request["timestamp_end"], *((response["timestamp_start"],) if response else ())) if value is not None),
        *(at for at, _ in chunks),
    ]
    closed = response and response["timestamp_end"]
    ended = float(error["timestamp"]) if error else float(closed) if closed is not None else max(times)
    peer = state["client_conn"]["peername"]
    return Draft(
        request=Request(
            method=bytes(request["method"]),
            target=bytes(request["path"]),
            version=bytes(request["http_version"]),
            headers=_headers(request["headers"]),
            body=request["content"],
            trailers=_headers(request["trailers"]),
        ),
        outcome=outcome,
        connection=Connection(
            client=str(state["client_conn"]["id"]),
            server=str(state["server_conn"]["id"]),
            peer=f"{peer[0]}:{peer[1]}" if peer else None,
        ),
        started_at=started,
        request_ended_at=request["timestamp_end"],
        first_byte_at=response["timestamp_start"] if response else None,
        ended_at=ended,
        end=_end(str(error["msg"]) if error else None, answered=response is not None),
        chunks=chunks,
    )


def _end(error: str | None, *, answered: bool) -> EndReason:
    if error is None:
        return EndReason.COMPLETE if answered else EndReason.PROXY_STOPPED
    if error.startswith("Client disconnected"):
        return EndReason.CLIENT_LEFT
    return EndReason.SERVER_CLOSED if answered else EndReason.PROXY_ERROR


def _error(exchange: Exchange) -> str | None:
    """Give the flow's error text for how an exchange ended."""
    if isinstance(exchange.outcome, NoResponse):
        return exchange.outcome.error
    if exchange.end is EndReason.COMPLETE:
        return None
    return CLIENT_LEFT if exchange.end is EndReason.CLIENT_LEFT else exchange.note or str(exchange.end)


def _headers(fields: Sequence[Sequence[bytes]] | None) -> tuple[Header, ...]:
    return tuple((bytes(name), bytes(value)) for name, value in fields or ())


def _chunks(metadata: dict[str, Any], begun: float, body: bytes | None) -> tuple[tuple[float, bytes], ...]:
    """
    Cut a stream's body at the chunks that a recording addon noted in `sse_chunks`.

    Each is (seconds after the response's head, length in bytes or the bytes themselves). Where they do not add up to the body, the body is
    kept whole.
    """
    noted = metadata.get("sse_chunks")
    if not noted or not body:
        return ()
    chunks = []
    start = 0
    for seconds, part in noted:
        length = part if isinstance(part, int) else len(part)
        chunks.append((begun + float(seconds), body[start : start + length]))
        start += length
    return tuple(chunks) if start == len(body) and all(data for _, data in chunks) else ()


def _metadata(exchange: Exchange) -> State:
    """Note a stream's chunks as (seconds after the response's head, length), as `_chunks` reads them."""
    if not exchange.chunks:
        return {}
    begun = exchange.first_byte_at if exchange.first_byte_at is not None else exchange.started_at
    return {
        "sse_chunks": [[round(chunk.at - begun, 6), len(chunk.data)] for chunk in exchange.chunks],
        "sse_end": "end" if exchange.end is EndReason.COMPLETE else f"cut: {_error(exchange)}",
    }


def _address(request: Request) -> tuple[str, int]:
    host = (request.header(b"host") or b"").decode("ascii", "replace")
    return _split(host) or (host or "127.0.0.1", 80)


def _split(address: str | None) -> tuple[str, int] | None:
    host, colon, port = (address or "").rpartition(":")
    return (host, int(port)) if colon and port.isascii() and port.isdigit() else None


def _connection(name: str, at: float) -> State:
    return {
        "id": name,
        "alpn": None,
        "alpn_offers": [],
        "certificate_list": [],
        "cipher": None,
        "cipher_list": [],
        "error": None,
        "sni": None,
        "timestamp_end": None,
        "timestamp_start": at,
        "timestamp_tls_setup": None,
        "tls": False,
        "tls_version": None,
        "transport_protocol": "tcp",
    }


def _plain(value: Any) -> Any:
    """Lists and tuples are one thing in a flow file."""
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value

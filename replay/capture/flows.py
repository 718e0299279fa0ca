"""Parts of mitmproxy's flows as the shared values. Bytes are taken as mitmproxy holds them."""

from mitmproxy import http

from replay.model import Connection, EndReason, Header, Request, Response


def head_of(flow: http.HTTPFlow) -> Request:
    """Give the request of a flow as it stands before its body has come."""
    data = flow.request.data
    return Request(method=data.method, target=data.path, version=data.http_version, headers=_headers(data.headers))


def rest_of(flow: http.HTTPFlow) -> tuple[bytes | None, tuple[Header, ...]]:
    """Give the body and the trailers of a request that came whole."""
    return flow.request.data.content, _headers(flow.request.data.trailers)


def response_of(response: http.Response, *, streamed: bool) -> Response:
    """Give a response; a stream's body is None, because its chunks hold it."""
    data = response.data
    return Response(
        version=data.http_version,
        status=data.status_code,
        reason=data.reason,
        headers=_headers(data.headers),
        body=None if streamed else data.content,
        trailers=_headers(data.trailers),
    )


def connection_of(flow: http.HTTPFlow) -> Connection:
    """Give the client's side of the connection; the server's is only known in the end."""
    peer = flow.client_conn.peername
    return Connection(client=flow.client_conn.id, peer=f"{peer[0]}:{peer[1]}" if peer else None)


def end_of(error: str, *, requested: bool, answered: bool) -> EndReason:
    """
    Say how an exchange ended that mitmproxy calls an error: by the client, by the daemon in the middle of an answer, or by the proxy.

    *requested* is whether the request came whole, *answered* whether the head of an answer did.
    """
    # mitmproxy has the same words for both sides, but before the request is whole there is only the client's
    if error.startswith(("Client disconnected", "Client closed")) or (not requested and "peer closed connection" in error):
        return EndReason.CLIENT_LEFT
    return EndReason.SERVER_CLOSED if answered else EndReason.PROXY_ERROR


def _headers(headers: http.Headers | None) -> tuple[Header, ...]:
    return tuple((bytes(name), bytes(value)) for name, value in headers.fields) if headers is not None else ()

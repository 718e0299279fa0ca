"""What mitmproxy's flows say, as far as the recorder has to know it while they pass."""

from collections.abc import Sequence

from mitmproxy import http

from replay.model import STREAM_TYPES, EndReason, Header

_NO_HOOKS = "x-signet-no-hooks"
_REUSABLE = (b"application/json", b"text/plain", b"text/event-stream", b"application/x-ndjson")


def streams_answer(flow: http.HTTPFlow, big_bytes: int) -> bool:
    """
    Whether an answer's body goes on as it comes instead of being gathered first: a stream, big, or of unknown length.

    JSON without an announced length is gathered all the same: it is small, and where the daemon breaks off in it the client gets from mitmproxy
    what it would have got without us. mitmproxy itself leaves answers without a body alone.
    """
    response = flow.response
    if response is None:
        return False
    fields = response.data.headers.fields
    media, length, _ = look_at(fields)
    if media in STREAM_TYPES:
        return True
    return media != b"application/json" if length is None else length > big_bytes


def streams_request(fields: Sequence[Header], big_bytes: int) -> bool:
    """Whether a request's body goes on as it comes: one that is announced as big, and that its client does not hold back."""
    _, length, expects = look_at(fields)
    return length is not None and length > big_bytes and not expects


def look_at(fields: Sequence[Header]) -> tuple[bytes, int | None, bool]:
    """Give a message's media type in lower case, its announced length (None: none, or none that counts), and whether it has an `Expect`."""
    media, length, expects = b"", None, False
    for name, value in fields:
        # the lengths of the names that matter: nothing is made for any other
        if len(name) == 12 and name.lower() == b"content-type":
            media = value.split(b";", 1)[0].strip().lower()
        elif len(name) == 14 and name.lower() == b"content-length":
            # a number of more than fifteen digits is long enough, and what is none is mitmproxy's to refuse
            length = int(value[:15]) if value.isdigit() else None
        elif len(name) == 17 and name.lower() == b"transfer-encoding":
            return media, None, expects
        elif len(name) == 6 and name.lower() == b"expect":
            expects = True
    return media, length, expects


def target_of(flow: http.HTTPFlow) -> bytes:
    """Give the request's target as it stood in its line."""
    data = flow.request.data
    if not data.authority:
        return data.path
    return data.scheme + b"://" + data.authority + data.path if data.scheme else data.authority


def needs_fresh_connection(flow: http.HTTPFlow) -> bool:
    """
    Whether the daemon may drop what would follow on the connection of this answer.

    The JS daemon answers a file, or its fallback page, and drops without a byte a request that follows within a millisecond. Its routes' own
    answers to a GET are not followed by that; they are JSON, text or streams, and their paths end in no file name.

    Where it answers without having read the request's body it closes the connection half a second later, whatever is on its way there by
    then. Nobody sees whether it read it: refusals may be of that kind, and answers to a client that wants no hooks.
    """
    request, response = flow.request.data, flow.response
    if response is None or request.http_version != b"HTTP/1.1":
        return False
    if request.method == b"GET":
        media, _, _ = look_at(response.data.headers.fields)
        return media not in _REUSABLE or b"." in request.path.partition(b"?")[0].rpartition(b"/")[2]
    if request.timestamp_end is None:
        # it is still on its way there; mitmproxy would wait for ever for a connection that it closed itself
        return False
    if response.data.status_code < 400 and _NO_HOOKS not in request.headers:
        return False
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def end_of(error: str, *, requested: bool, answered: bool) -> EndReason:
    """
    Say how an exchange ended that mitmproxy calls an error: by the client, by the daemon in the middle of an answer, or by the proxy.

    *requested* is whether the request came whole, *answered* whether the head of an answer did.
    """
    # mitmproxy has the same words for both sides, but before the request is whole there is only the client's
    if error.startswith(("Client disconnected", "Client closed")) or (not requested and "peer closed connection" in error):
        return EndReason.CLIENT_LEFT
    return EndReason.SERVER_CLOSED if answered else EndReason.PROXY_ERROR

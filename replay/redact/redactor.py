"""The redactor: where to look, in which order, and what was replaced."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from replay.model import Header, Redaction, Request, Response
from replay.redact.edits import Edit, apply_edits, redactions_of
from replay.redact.fields import find_query, find_request_fields, find_response_fields
from replay.redact.headers import find_header
from replay.redact.shapes import find_shapes

type Finder = Callable[[bytes], list[Edit]]


class Redactor:
    """
    Replaces secrets by placeholders under one key.

    The key (16 to 64 bytes) belongs to an installation and is stored nowhere in an archive; `key_id` may be. All methods are pure:
    lengths never change, redacting twice gives the same bytes, and spans that already hold placeholders are declared again.
    A route is given by its name, such as `POST /api/auth/login`.
    """

    def __init__(self, key: bytes) -> None:
        if not 16 <= len(key) <= 64:
            raise ValueError("a redaction key has 16 to 64 bytes")
        self._key = key
        self.key_id = hashlib.blake2b(b"key id", key=key, digest_size=6).hexdigest()

    def request(self, request: Request, route: str) -> tuple[Request, tuple[Redaction, ...]]:
        """Redact a request: target, headers, trailers and (where it was seen) body."""
        target, redactions = self._pass("request.target", request.target, lambda data: find_query(data, route, self._key))
        headers, more = self._headers("request.header", request.headers)
        trailers, others = self.trailers(request.trailers)
        body, last = self.request_body(request.body, route)
        return (
            replace(request, target=target, headers=headers, trailers=trailers, body=body),
            (*redactions, *more, *others, *last),
        )

    def request_body(self, body: bytes | None, route: str) -> tuple[bytes | None, tuple[Redaction, ...]]:
        """Redact the body of a request alone."""
        if not body:
            return body, ()
        return self._pass("request.body", body, lambda data: find_request_fields(data, route, self._key))

    def trailers(self, trailers: tuple[Header, ...]) -> tuple[tuple[Header, ...], tuple[Redaction, ...]]:
        """Redact the trailers of a request alone."""
        return self._headers("request.trailer", trailers)

    def response(self, response: Response, route: str) -> tuple[Response, tuple[Redaction, ...]]:
        """Redact an answer: headers, trailers and (where it was kept) body."""
        headers, redactions = self._headers("response.header", response.headers)
        trailers, more = self._headers("response.trailer", response.trailers)
        body: bytes | None = response.body
        last: tuple[Redaction, ...] = ()
        if body:
            body, last = self._pass("response.body", body, lambda data: find_response_fields(data, route, self._key))
        return replace(response, headers=headers, trailers=trailers, body=body), (*redactions, *more, *last)

    def chunk(self, data: bytes, event: int) -> tuple[bytes, tuple[Redaction, ...]]:
        """Redact one chunk of a stream by shape. Secrets that cross into the next chunk are not seen (nothing is held back)."""
        return self._pass(f"chunk:{event}", data, lambda _: [])

    def text(self, data: bytes) -> bytes:
        """Redact by shape in anything else, such as an error's words or the opaque rest of an imported flow."""
        return self._pass("", data, lambda _: [])[0]

    def _headers(self, where: str, headers: tuple[Header, ...]) -> tuple[tuple[Header, ...], tuple[Redaction, ...]]:
        out: list[Header] = []
        redactions: list[Redaction] = []
        for index, (name, value) in enumerate(headers):
            clean, spans = self._pass(f"{where}:{index}", value, partial(find_header, name, key=self._key))
            out.append((name, clean))
            redactions.extend(spans)
        return tuple(out), tuple(redactions)

    def _pass(self, where: str, data: bytes, find: Finder) -> tuple[bytes, tuple[Redaction, ...]]:
        """Replace what *find* names, then what is known by its shape, and declare both."""
        edits = find(data)
        clean = apply_edits(data, edits)
        shaped = find_shapes(clean, self._key)
        if not edits and not shaped:
            return data, ()
        taken = [(edit.start, edit.start + len(edit.replacement)) for edit in edits]
        shaped = [edit for edit in shaped if all(edit.start + len(edit.replacement) <= left or edit.start >= right for left, right in taken)]
        return apply_edits(clean, shaped), redactions_of(where, (*edits, *shaped))

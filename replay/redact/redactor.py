"""The redactor: where to look, in which order, and what was replaced."""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Final

from replay.model import Header, Redaction, Request, Response
from replay.redact.compressed import Decoded, UnreadError, decode_body, encode_body
from replay.redact.edits import Edit, Find, merge_edits, redactions_of, settle
from replay.redact.fields import find_query, find_request_fields, find_response_fields, find_rpc_arguments, last_names
from replay.redact.headers import find_header, header_role
from replay.redact.placeholder import is_placeholder, make_opaque
from replay.redact.rules import Rules
from replay.redact.tables import REQUEST_FIELDS, RESPONSE_FIELDS, RPC_NAMES, RPC_ROUTE
from replay.redact.text import Texts

NO_RULES: Final = Rules()
_SEEN_MAX: Final = 512
_SEEN_VALUE_MAX_BYTES: Final = 4096


class Redactor:
    """
    Replaces secrets by placeholders under one key.

    The key (16 to 64 bytes) belongs to an installation and is stored nowhere in an archive; `key_id` may be. *rules* are the operator's own.
    Redacting twice gives the same bytes, and spans that already hold placeholders are declared again. Lengths never
    change but for a compressed body that does not fit (declared as `recompressed` over the whole body).
    A route is given by its name, such as `POST /api/auth/login`.
    """

    def __init__(self, key: bytes, rules: Rules = NO_RULES) -> None:
        if not 16 <= len(key) <= 64:
            raise ValueError("a redaction key has 16 to 64 bytes")
        self._key = key
        self.key_id = hashlib.blake2b(b"key id", key=key, digest_size=6).hexdigest()
        self.rules = rules
        self._plain = Texts(key)
        self._seen: dict[tuple[bytes, bytes], tuple[bytes, tuple[Redaction, ...]]] = {}
        """Headers that were looked at: a client sends the same ones with every request."""

    # --- whole messages ---

    def request(self, request: Request, route: str) -> tuple[Request, tuple[Redaction, ...]]:
        """Redact a request: target, headers, trailers and (where it was seen) body."""
        target, redactions = self.target(request.target, route)
        headers, more = self._headers("request.header", request.headers, route)
        trailers, others = self.trailers(request.trailers, route)
        body, last = self.request_body(request.body, route, request.header(b"content-encoding") or b"")
        return (
            replace(request, target=target, headers=headers, trailers=trailers, body=body),
            (*redactions, *more, *others, *last),
        )

    def response(self, response: Response, route: str) -> tuple[Response, tuple[Redaction, ...]]:
        """Redact an answer: headers, trailers and (where it was kept) body."""
        headers, redactions = self._headers("response.header", response.headers, route)
        trailers, more = self._headers("response.trailer", response.trailers, route)
        body, last = self.response_body(response.body, route, response.header(b"content-encoding") or b"")
        if not (redactions or more or last):
            return response, ()
        return replace(response, headers=headers, trailers=trailers, body=body), (*redactions, *more, *last)

    # --- parts ---

    def target(self, target: bytes, route: str) -> tuple[bytes, tuple[Redaction, ...]]:
        """Redact a request target: parameters by name, and whatever looks like a secret in path and query."""
        texts = self._texts("query", route)

        def find(data: bytes) -> list[Edit]:
            return merge_edits(find_query(data, route, self._key, texts.more, texts.kept), texts.find(data))

        return self._pass("request.target", target, find, "query", route)

    def request_body(self, body: bytes | None, route: str, encoding: bytes = b"") -> tuple[bytes | None, tuple[Redaction, ...]]:
        """Redact the body of a request alone; *encoding* is its `content-encoding`."""
        return self._body("request.body", body, route, encoding)

    def response_body(self, body: bytes | None, route: str, encoding: bytes = b"") -> tuple[bytes | None, tuple[Redaction, ...]]:
        """Redact the body of an answer alone; *encoding* is its `content-encoding`."""
        return self._body("response.body", body, route, encoding)

    def trailers(self, trailers: tuple[Header, ...], route: str = "") -> tuple[tuple[Header, ...], tuple[Redaction, ...]]:
        """Redact the trailers of a request alone."""
        return self._headers("request.trailer", trailers, route)

    def text(self, data: bytes) -> bytes:
        """Redact anything else, such as an error's words or the opaque rest of an imported flow."""
        return self._pass("", data, self._plain.find)[0]

    def file(self, content: bytes, route: str = "") -> tuple[bytes, tuple[Redaction, ...]]:
        """Redact a workspace file's content."""
        return self._pass("content", content, self._texts("workspace", route).find, "workspace", route)

    # --- for streams ---

    def names_fields(self, side: str, route: str) -> bool:
        """Whether a route's body (*side* is `request` or `response`) has fields that are found only in the body as a whole."""
        return bool(self._fields(f"{side}.body", route)) or (side == "request" and route == RPC_ROUTE)

    def find_stream(self, data: bytes, side: str, route: str) -> list[Edit]:
        """Find the secrets in a part of a body; named fields are looked for by their last key alone."""
        where = f"{side}.body"
        texts = self._texts(where, route)
        fields = self._fields(where, route)
        if fields:
            texts = replace(texts, more=texts.more | last_names(fields))
        return self.rules.apply(data, texts.find(data), where, route, self._key)

    def blind(self, data: bytes) -> bytes:
        """Replace a whole body that could not be looked into."""
        return data if not data or is_placeholder(data) else make_opaque(self._key, data, len(data))

    # --- inside ---

    def _fields(self, where: str, route: str) -> Mapping[str, str]:
        table = (REQUEST_FIELDS if where == "request.body" else RESPONSE_FIELDS).get(route, ())
        own = self.rules.fields(where, route)
        return {**dict.fromkeys(table, ""), **own} if own or table else {}

    def _texts(self, where: str, route: str) -> Texts:
        more = self.rules.names(where, route)
        kept = self.rules.kept_names(where, route)
        if where == "response.body" and route == RPC_ROUTE:
            more |= RPC_NAMES
        return replace(self._plain, more=more, kept=kept) if more or kept else self._plain

    def _body(self, where: str, body: bytes | None, route: str, encoding: bytes) -> tuple[bytes | None, tuple[Redaction, ...]]:
        if not body:
            return body, ()
        fields = self._fields(where, route)
        try:
            decoded = decode_body(body, encoding)
        except UnreadError:
            if not fields:
                return body, ()
            return self.blind(body), (Redaction(where, 0, len(body), "unread"),)
        texts = self._texts(where, route)

        def find(data: bytes) -> list[Edit]:
            if not fields and not (route == RPC_ROUTE and where == "request.body"):
                return texts.find(data)
            if where == "request.body":
                return merge_edits(find_request_fields(data, fields, self._key), find_rpc_arguments(data, self._key), texts.find(data))
            return merge_edits(find_response_fields(data, fields, self._key), texts.find(data))

        if decoded is None:
            return self._pass(where, body, find, where, route)
        return self._recompress(where, body, decoded, find, route)

    def _recompress(self, where: str, body: bytes, decoded: Decoded, find: Find, route: str) -> tuple[bytes, tuple[Redaction, ...]]:
        clean, redactions = self._pass(where, decoded.data, find, where, route)
        if not redactions:
            return body, ()
        try:
            encoded = body if clean == decoded.data else encode_body(clean, decoded.encodings, len(body))
        except UnreadError:
            encoded = self.blind(body)
        return encoded, (Redaction(where, 0, len(encoded), "recompressed"),)

    def _headers(self, where: str, headers: tuple[Header, ...], route: str) -> tuple[tuple[Header, ...], tuple[Redaction, ...]]:
        if not headers:
            return headers, ()
        ruled = bool(self.rules.rules)
        place = where.replace("trailer", "header")
        if ruled:
            wanted = list(range(len(headers)))
            own, kept = self.rules.names(place, route), self.rules.kept_names(place, route)
        else:
            # one look at all of them together: most hold nothing
            wanted = self._suspected(headers)
            own = kept = frozenset()
        redactions: list[Redaction] = []
        out = list(headers)
        for index in wanted:
            name, value = headers[index]
            known = None if ruled else self._seen.get((name, value))
            if known is None:

                def find(data: bytes, name: bytes = name) -> list[Edit]:
                    named = self.rules.find_own_header(name, data, own, kept, self._key) if ruled else None
                    return merge_edits(find_header(name, data, key=self._key) if named is None else named, self._plain.find(data))

                known = self._pass("", value, find, place, route)
                if not ruled and len(value) < _SEEN_VALUE_MAX_BYTES:
                    if len(self._seen) >= _SEEN_MAX:
                        self._seen.clear()
                    self._seen[name, value] = known
            clean, spans = known
            out[index] = (name, clean)
            redactions.extend(replace(span, where=f"{where}:{index}") for span in spans)
        return (tuple(out), tuple(redactions)) if redactions else (headers, ())

    def _suspected(self, headers: tuple[Header, ...]) -> list[int]:
        """Give which headers may hold a secret: by their name, or by a look at all values together."""
        found = self._plain.find(b"\n".join([value for _, value in headers]))
        wanted = {index for index, (name, _) in enumerate(headers) if header_role(name)}
        if found:
            ends = list(accumulate(len(value) + 1 for _, value in headers))
            wanted.update(index for edit in found for index in range(bisect_right(ends, edit.start), bisect_right(ends, edit.end - 1) + 1))
        return sorted(index for index in wanted if index < len(headers))

    def _pass(self, where: str, data: bytes, find: Find, place: str = "anywhere", route: str = "") -> tuple[bytes, tuple[Redaction, ...]]:
        """Replace what *find* and the own rules find, until nothing is left, and declare it."""
        if self.rules.rules:
            bare = find

            def find(data: bytes) -> list[Edit]:
                return self.rules.apply(data, bare(data), place, route, self._key)

        edits = find(data)
        if not edits:
            return data, ()
        clean, edits = settle(data, edits, find)
        return clean, redactions_of(where, edits)

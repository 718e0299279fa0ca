"""Make both sides' answers ready to be shown to people: text, cut where it is long, bytes as escapes."""

from typing import Final

from replay.content.parse import decode, essence, kind_of_media
from replay.model import Answer, Exchange, NoResponse

BODY_CHARACTERS_MAX: Final = 60_000
_HEAD_BYTES: Final = 4096


def answer_of(exchange: Exchange) -> Answer:
    """Give the answer of an exchange for people."""
    outcome = exchange.outcome
    if isinstance(outcome, NoResponse):
        return Answer(None, (), "", 0, "", exchange.duration_ms, outcome.error)
    body = outcome.body or b""
    media = outcome.header(b"content-type") or b""
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in outcome.headers)
    shown = body_text(body, media)
    return Answer(outcome.status, headers, shown, len(body), media.decode("latin-1"), exchange.duration_ms, "")


def body_text(body: bytes, media: bytes) -> str:
    """Give a body as text of at most `BODY_CHARACTERS_MAX` characters; binary as its first bytes in hex."""
    if _is_binary(body[:_HEAD_BYTES], media):
        return f"{len(body)} bytes: {body[:64].hex(' ')}{' …' if len(body) > 64 else ''}"
    return body[: 4 * BODY_CHARACTERS_MAX].decode("utf-8", "backslashreplace")[:BODY_CHARACTERS_MAX]


def _is_binary(head: bytes, media: bytes) -> bool:
    """Whether a body that begins like this is no text, as `content.parse` has it; nothing of it is read for that."""
    claimed = kind_of_media(essence(media))
    if claimed in {"json", "ndjson", "sse"}:
        return False
    text, notes = decode(head)
    return bool(notes) and "\0" in text if claimed is not None else bool(notes) or "\0" in text

"""From a body and its media type to what it holds. Total: what can't be read as it says becomes text or binary, with a note."""

from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import parse_qsl

from replay.content.sse import Event, read_events, split_lines
from replay.content.values import NotJsonError, Value, load, looks_embedded

type Kind = Literal["json", "ndjson", "sse", "text", "form", "html", "binary", "empty"]

_TEXTUAL: Final = ("text/", "application/javascript", "application/xml", "application/yaml", "image/svg")
_NOTES_MAX: Final = 20
"""Of a body with thousands of broken lines so many are told, and the rest counted."""
_NDJSON: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})


@dataclass(frozen=True, slots=True)
class Content:
    """What a body holds."""

    kind: Kind
    value: Value | tuple[Value, ...] | tuple[Event, ...] | tuple[tuple[str, str], ...] | bytes
    """
    By kind: `json` a JSON value · `ndjson` a tuple of JSON values, one a line (a line that is no JSON is its text) · `sse` a tuple of
    `Event`s · `text`, `html` the text · `form` a tuple of (name, value) · `binary` the bytes · `empty` None.
    """
    media_type: str = ""
    """The media type's essence, lower case, without parameters; empty where none was given."""
    notes: tuple[str, ...] = ()
    """What is odd about it, in words: a wrong media type, duplicate keys, bytes that are no UTF-8, an unfinished event."""
    comments: tuple[str, ...] = ()
    """The comments of an event stream."""
    as_first: Value = None
    """The JSON value for a client that keeps the first of doubled keys; None where no key is doubled, for both are one value then."""


def essence(media_type: bytes | None) -> str:
    """Give a media type without its parameters, in lower case; empty for None."""
    return (media_type or b"").split(b";", 1)[0].strip().lower().decode("latin-1")


def kind_of_media(media: str) -> Kind | None:
    """Tell what a media type's essence claims; None where it claims nothing that is known here."""
    if media == "application/json" or media.endswith("+json"):
        return "json"
    if media in _NDJSON:
        return "ndjson"
    if media == "text/event-stream":
        return "sse"
    if media == "application/x-www-form-urlencoded":
        return "form"
    if media in {"text/html", "application/xhtml+xml"}:
        return "html"
    if media.startswith(_TEXTUAL):
        return "text"
    return None


def decode(body: bytes) -> tuple[str, tuple[str, ...]]:
    """Decode as UTF-8 without loss: bytes that are no UTF-8 become U+DC80..U+DCFF, and a note says so."""
    try:
        return body.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        return body.decode("utf-8", "surrogateescape"), (f"not UTF-8 at byte {error.start}",)


def parse(body: bytes, media_type: bytes | None) -> Content:
    """Read a body. Never raises; JSON is recognised also where the media type is wrong or missing."""
    media = essence(media_type)
    if not body:
        return Content(kind="empty", value=None, media_type=media)
    claimed = kind_of_media(media)
    text, notes = decode(body)
    if claimed is None and (notes or "\0" in text):
        return Content(kind="binary", value=body, media_type=media)
    match claimed:
        case "json":
            return _json(text, media, notes)
        case "ndjson":
            return _ndjson(text, media, notes)
        case "sse":
            events, comments = read_events(text)
            if not events and not comments and text.strip():
                return Content(kind="text", value=text, media_type=media, notes=(*notes, "no event stream"))
            unfinished = () if not events or events[-1].finished else ("the last event is unfinished",)
            return Content(kind="sse", value=events, media_type=media, notes=notes + unfinished, comments=comments)
        case "form" if not looks_embedded(text):
            pairs = tuple(parse_qsl(text, keep_blank_values=True, errors="surrogateescape"))
            return Content(kind="form", value=pairs, media_type=media, notes=notes)
        case _:
            if looks_embedded(text):
                sniffed = _json(text, media, notes)
                if sniffed.kind == "json":
                    odd = f"JSON, but the media type is {media or 'missing'}"
                    return replace(sniffed, notes=(*sniffed.notes, odd))
            if claimed is not None and "\0" in text and notes:
                return Content(kind="binary", value=body, media_type=media, notes=notes)
            return Content(kind="html" if claimed == "html" else "text", value=text, media_type=media, notes=notes)


def _json(text: str, media: str, notes: tuple[str, ...]) -> Content:
    if text.startswith("\ufeff"):
        text, notes = text[1:], (*notes, "starts with a byte order mark")
    try:
        value, odd = load(text)
    except NotJsonError as error:
        return Content(kind="text", value=text, media_type=media, notes=(*notes, f"not JSON: {error}"))
    doubled = any(note.startswith("duplicate key") for note in odd)
    as_first = load(text, first_wins=True)[0] if doubled else None
    return Content(kind="json", value=value, media_type=media, notes=notes + _some(odd), as_first=as_first)


def _ndjson(text: str, media: str, notes: tuple[str, ...]) -> Content:
    values: list[Value] = []
    odd: list[str] = []
    for number, line in enumerate(split_lines(text), 1):
        if not line.strip():
            continue
        try:
            value, found = load(line)
            odd.extend(found)
        except NotJsonError as error:
            value = line
            odd.append(f"line {number} is not JSON: {error}")
        values.append(value)
    return Content(kind="ndjson", value=tuple(values), media_type=media, notes=(*notes, *_some(tuple(odd))))


def _some(notes: tuple[str, ...]) -> tuple[str, ...]:
    return notes if len(notes) <= _NOTES_MAX else (*notes[:_NOTES_MAX], f"and {len(notes) - _NOTES_MAX:,} more notes")

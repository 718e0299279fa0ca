"""
What a model answered: taken out of one wire's form, and put into another's.

Needed where a replayed daemon asks another wire than the recorded one, or streams where that did not: the text, the vectors or the names are
the recorded ones, and only their form is made here.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.play.providing.asks import Ask, Kind, Shape

_JSON: Final = b"application/json; charset=utf-8"
_LINES: Final = b"application/x-ndjson"
_EVENTS: Final = b"text/event-stream"
_MOMENT: Final = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Reply:
    """What an answer says, whatever its form."""

    text: str = ""
    vectors: tuple[Any, ...] = ()
    """One JSON value for each text that was embedded."""
    models: tuple[str, ...] = ()
    asked_tokens: int = 0
    answered_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A reply in a wire's form."""

    content_type: bytes
    pieces: tuple[bytes, ...]
    """One for a plain answer, several for a stream."""


def read_reply(shape: Shape, kind: Kind, body: bytes, *, stream: bool) -> Reply | None:
    """Take what was answered out of its form; None where it holds no such thing."""
    try:
        if kind is Kind.TEXT and stream:
            return _joined([_said(shape, each) for each in _events(body)])
        told = json.loads(body)
        if not isinstance(told, dict):
            return None
        if kind is Kind.TEXT:
            return _joined([_said(shape, told)])
        return _listed(kind, told)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None


def wrap(ask: Ask, reply: Reply) -> Wrapped | None:
    """Put a reply into the form that an ask expects; None where it expects none that can be made."""
    match ask.kind:
        case Kind.TEXT:
            return _streamed(ask, reply) if ask.stream else _plain(_whole(ask, reply))
        case Kind.VECTORS if len(reply.vectors) == len(ask.texts):
            return _plain(_vectors(ask, reply.vectors))
        case Kind.MODELS:
            return _plain(_models(ask.shape, reply.models))
    return None


def error_body(shape: Shape, message: str) -> bytes:
    """Spell an error as the wire's own servers do."""
    match shape.wire:
        case "openai":
            return json.dumps({"error": {"message": message, "type": "server_error", "param": None, "code": None}}).encode()
        case "anthropic":
            return json.dumps({"type": "error", "error": {"type": "api_error", "message": message}}).encode()
    return json.dumps({"error": message}).encode()


def error_message(body: bytes) -> str:
    """Give what an error says, whatever its form; the body itself where it has none."""
    try:
        told = json.loads(body)
        error = told["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, TypeError, KeyError, RecursionError):
        return body.decode("utf-8", "replace")


def _plain(value: object) -> Wrapped:
    return Wrapped(_JSON, (json.dumps(value).encode(),))


# --- reading ---


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    """Give the JSON objects of a stream, of lines or of events."""
    for raw in body.split(b"\n"):
        line = raw.strip()
        data = line[5:].strip() if line.startswith(b"data:") else line
        if data.startswith(b"{"):
            value = json.loads(data)
            if isinstance(value, dict):
                yield value


def _joined(parts: Sequence[Reply | None]) -> Reply | None:
    found = [part for part in parts if part is not None]
    if not found:
        return None
    return Reply(
        text="".join(part.text for part in found),
        asked_tokens=max(part.asked_tokens for part in found),
        answered_tokens=max(part.answered_tokens for part in found),
    )


def _said(shape: Shape, told: dict[str, Any]) -> Reply | None:
    """Give what one object says: a whole answer, or one piece of a stream."""
    match shape:
        case Shape.GENERATE | Shape.CHAT:
            text = told["response"] if shape is Shape.GENERATE else told["message"]["content"]
            return Reply(text, asked_tokens=_count(told, "prompt_eval_count"), answered_tokens=_count(told, "eval_count"))
        case Shape.COMPLETIONS:
            usage = told.get("usage") or {}
            choice = (told.get("choices") or [{}])[0]
            message = choice.get("message", choice.get("delta")) or {}
            return Reply(
                message.get("content") or "", asked_tokens=_count(usage, "prompt_tokens"), answered_tokens=_count(usage, "completion_tokens")
            )
        case Shape.MESSAGES:
            return _anthropic(told)
    return None


def _anthropic(told: dict[str, Any]) -> Reply:
    message = told.get("message", told)
    usage = (message if isinstance(message, dict) else told).get("usage") or told.get("usage") or {}
    content = message.get("content") or []
    text = "".join(part["text"] for part in content if part.get("type") == "text")
    if told.get("type") == "content_block_delta":
        text = told["delta"].get("text", "")
    return Reply(text, asked_tokens=_count(usage, "input_tokens"), answered_tokens=_count(usage, "output_tokens"))


def _listed(kind: Kind, told: dict[str, Any]) -> Reply | None:
    if kind is Kind.MODELS:
        rows = told.get("models", told.get("data"))
        return None if rows is None else Reply(models=tuple(str(row.get("name") or row["id"]) for row in rows))
    if "embedding" in told:
        return Reply(vectors=(told["embedding"],))
    if "embeddings" in told:
        return Reply(vectors=tuple(told["embeddings"]))
    if "data" in told:
        return Reply(vectors=tuple(row["embedding"] for row in told["data"]))
    return None


def _count(told: dict[str, Any], name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) else 0


# --- writing ---


def _whole(ask: Ask, reply: Reply) -> dict[str, Any]:
    match ask.shape:
        case Shape.COMPLETIONS:
            choice = {"index": 0, "message": {"role": "assistant", "content": reply.text}, "finish_reason": "stop"}
            return {**_completion(ask, "chat.completion"), "choices": [choice], "usage": _usage(reply)}
        case Shape.MESSAGES:
            return {**_message(ask, reply), "content": [{"type": "text", "text": reply.text}], "stop_reason": "end_turn"}
    return _ollama(ask, reply.text, {"done": True, "done_reason": "stop", **_evaluated(reply)})


def _streamed(ask: Ask, reply: Reply) -> Wrapped:
    match ask.shape:
        case Shape.COMPLETIONS:
            base = _completion(ask, "chat.completion.chunk")
            delta = {"index": 0, "delta": {"role": "assistant", "content": reply.text}, "finish_reason": None}
            last = {"index": 0, "delta": {}, "finish_reason": "stop"}
            objects = [{**base, "choices": [delta]}, {**base, "choices": [last], "usage": _usage(reply)}]
            return Wrapped(_EVENTS, (*(b"data: %b\n\n" % json.dumps(each).encode() for each in objects), b"data: [DONE]\n\n"))
        case Shape.MESSAGES:
            parts = (
                {"type": "message_start", "message": {**_message(ask, reply), "content": [], "stop_reason": None}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": reply.text}},
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": reply.answered_tokens}},
                {"type": "message_stop"},
            )
            return Wrapped(
                _EVENTS, tuple(b"event: %b\ndata: %b\n\n" % (str(each["type"]).encode(), json.dumps(each).encode()) for each in parts)
            )
    lines = (_ollama(ask, reply.text, {"done": False}), _ollama(ask, "", {"done": True, "done_reason": "stop", **_evaluated(reply)}))
    return Wrapped(_LINES, tuple(json.dumps(line).encode() + b"\n" for line in lines))


def _ollama(ask: Ask, text: str, rest: dict[str, Any]) -> dict[str, Any]:
    said = {"response": text} if ask.shape is Shape.GENERATE else {"message": {"role": "assistant", "content": text}}
    return {"model": ask.model, "created_at": _MOMENT, **said, **rest}


def _evaluated(reply: Reply) -> dict[str, int]:
    return {"prompt_eval_count": reply.asked_tokens, "eval_count": reply.answered_tokens}


def _usage(reply: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.asked_tokens,
        "completion_tokens": reply.answered_tokens,
        "total_tokens": reply.asked_tokens + reply.answered_tokens,
    }


def _completion(ask: Ask, what: str) -> dict[str, Any]:
    return {"id": "chatcmpl-recorded", "object": what, "created": 0, "model": ask.model}


def _message(ask: Ask, reply: Reply) -> dict[str, Any]:
    usage = {"input_tokens": reply.asked_tokens, "output_tokens": reply.answered_tokens}
    return {"id": "msg_recorded", "type": "message", "role": "assistant", "model": ask.model, "stop_sequence": None, "usage": usage}


def _vectors(ask: Ask, vectors: Sequence[Any]) -> dict[str, Any]:
    match ask.shape:
        case Shape.OLD_EMBEDDINGS:
            return {"embedding": vectors[0]}
        case Shape.EMBED:
            return {"model": ask.model, "embeddings": list(vectors)}
    rows = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"object": "list", "data": rows, "model": ask.model, "usage": {"prompt_tokens": 0, "total_tokens": 0}}


def _models(shape: Shape, names: Sequence[str]) -> dict[str, Any]:
    if shape is Shape.TAGS:
        return {"models": [{"name": name, "model": name, "modified_at": _MOMENT, "size": 0, "digest": ""} for name in names]}
    return {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "library"} for name in names]}

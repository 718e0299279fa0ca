"""
What a daemon asked of a model: the request understood, by the wire that it speaks.

A wire is one service's way of asking: Ollama's own, OpenAI's (which llama.cpp and many others speak too), Anthropic's. What none of them
explains is an ask of kind `other`, known by its method, target and body as they are.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

_UNHEARD: Final = frozenset({"model", "prompt", "messages", "input", "system", "stream", "name"})
"""Members that are no parameters: they are text, model or form."""


class Kind(StrEnum):
    """What an ask wants."""

    TEXT = "text"
    VECTORS = "vectors"
    MODELS = "models"
    """What there is: the question by which a daemon sees whether its provider lives."""
    OTHER = "other"


class Shape(StrEnum):
    """Which endpoint of which wire."""

    GENERATE = "ollama generate"
    CHAT = "ollama chat"
    OLD_EMBEDDINGS = "ollama embeddings"
    EMBED = "ollama embed"
    TAGS = "ollama tags"
    PS = "ollama ps"
    VERSION = "ollama version"
    SHOW = "ollama show"
    COMPLETIONS = "openai chat"
    EMBEDDINGS = "openai embeddings"
    MODELS = "openai models"
    MESSAGES = "anthropic messages"
    OTHER = "other"

    @property
    def wire(self) -> str:
        """Whose way of asking it is: `ollama`, `openai`, `anthropic` or `other`."""
        return self.value.split(" ", 1)[0]


_ENDS: Final = (
    ("/api/generate", Shape.GENERATE, Kind.TEXT),
    ("/api/chat", Shape.CHAT, Kind.TEXT),
    ("/api/embeddings", Shape.OLD_EMBEDDINGS, Kind.VECTORS),
    ("/api/embed", Shape.EMBED, Kind.VECTORS),
    ("/api/tags", Shape.TAGS, Kind.MODELS),
    ("/api/ps", Shape.PS, Kind.OTHER),
    ("/api/version", Shape.VERSION, Kind.OTHER),
    ("/api/show", Shape.SHOW, Kind.OTHER),
    ("/chat/completions", Shape.COMPLETIONS, Kind.TEXT),
    ("/embeddings", Shape.EMBEDDINGS, Kind.VECTORS),
    ("/models", Shape.MODELS, Kind.MODELS),
    ("/v1/messages", Shape.MESSAGES, Kind.TEXT),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to a provider."""

    method: str
    target: str
    body: bytes
    shape: Shape
    kind: Kind
    model: str = ""
    texts: tuple[str, ...] = ()
    """The prompt, or what is to be embedded; empty where there is none."""
    stream: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    """What else it says, such as `options`: it is written down, and no part of any key but the strictest."""

    @property
    def text(self) -> str:
        """All texts in one, such that different lists of texts differ."""
        return self.texts[0] if len(self.texts) == 1 else json.dumps(self.texts)


def read_ask(method: bytes, target: bytes, body: bytes) -> Ask:
    """Understand a request; never raises: what can't be understood is of kind `other`."""
    said, where = method.decode("latin-1"), target.decode("latin-1")
    path = where.split("?", 1)[0].rstrip("/")
    shape, kind = next(((shape, kind) for end, shape, kind in _ENDS if path.endswith(end)), (Shape.OTHER, Kind.OTHER))
    if kind in {Kind.OTHER, Kind.MODELS}:
        return Ask(said, where, body, shape, kind)
    told = _object(body)
    texts = None if told is None else _texts(kind, told)
    if told is None or texts is None or said != "POST":
        return Ask(said, where, body, shape, Kind.OTHER)
    parameters = {name: value for name, value in told.items() if name not in _UNHEARD}
    model = told.get("model")
    streams = told.get("stream", shape in {Shape.GENERATE, Shape.CHAT})
    return Ask(
        method=said,
        target=where,
        body=body,
        shape=shape,
        kind=kind,
        model=model if isinstance(model, str) else "",
        texts=texts,
        stream=kind is Kind.TEXT and bool(streams),
        parameters=parameters,
    )


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _texts(kind: Kind, told: dict[str, Any]) -> tuple[str, ...] | None:
    if kind is Kind.VECTORS:
        given = told.get("input", told.get("prompt"))
        if isinstance(given, str):
            return (given,)
        if isinstance(given, list) and given and all(isinstance(item, str) for item in given):
            return tuple(given)
        return None
    parts: list[str] = []
    system = told.get("system")
    if system:
        parts.append(f"system: {_words(system)}")
    if "messages" in told:
        messages = told["messages"]
        if not isinstance(messages, list):
            return None
        single = len(messages) == 1 and not parts
        for message in messages:
            if not isinstance(message, dict):
                return None
            words = _words(message.get("content"))
            parts.append(words if single and message.get("role") == "user" else f"{message.get('role')}: {words}")
    elif isinstance(told.get("prompt"), str):
        parts.append(told["prompt"])
    else:
        return None
    return ("\n".join(parts),)


def _words(content: object) -> str:
    """Give the text of a message; what is no text (an image, a call of a tool) stands in it as JSON."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_part(item) for item in content)
    return "" if content is None else json.dumps(content, sort_keys=True)


def _part(item: object) -> str:
    if isinstance(item, dict) and isinstance(item.get("text"), str) and item.get("type", "text") == "text":
        return str(item["text"])
    return json.dumps(item, sort_keys=True)

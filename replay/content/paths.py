"""Go through parsed content with paths such as `$.results[3].id`, `$.text.<json>.id`, `$.<sse>[0].data.id`, `$.<ndjson>[2].id`."""

import re
from collections.abc import Iterator
from typing import Final

from replay.content.parse import Content
from replay.content.sse import Event
from replay.content.values import Value, dump, embedded

_PLAIN: Final = re.compile(r"[A-Za-z0-9_$-]+")


def child(path: str, step: str | int) -> str:
    """Give the path of an object's member or a list's item."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if _PLAIN.fullmatch(step) else f"{path}[{dump(step)}]"


def roots(content: Content) -> Iterator[tuple[str, Value]]:
    """Give the JSON values (or texts) that a content is made of, each with its path; nothing for binary and empty content."""
    match content.kind:
        case "json" | "text" | "html":
            yield "$", content.value  # type: ignore[misc]  # by kind
        case "ndjson":
            for index, value in enumerate(content.value):  # type: ignore[arg-type]  # by kind
                yield f"$.<ndjson>[{index}]", value  # type: ignore[misc]
        case "sse":
            for index, event in enumerate(content.value):  # type: ignore[arg-type]  # by kind
                assert isinstance(event, Event)
                yield f"$.<sse>[{index}].event", event.name
                if event.id is not None:
                    yield f"$.<sse>[{index}].id", event.id
                yield f"$.<sse>[{index}].data", event.data
        case "form":
            for index, pair in enumerate(content.value):  # type: ignore[arg-type]  # by kind
                yield f"$.<form>[{index}]", list(pair)  # type: ignore[arg-type]
        case "binary" | "empty":
            return


def walk(value: Value, path: str = "$") -> Iterator[tuple[str, Value]]:
    """Give every leaf of a JSON value with its path, in order; empty objects and lists are leaves. Strings are not looked into."""
    stack: list[tuple[str, Value]] = [(path, value)]
    while stack:
        here, item = stack.pop()
        match item:
            case dict() if item:
                stack.extend((child(here, key), below) for key, below in reversed(item.items()))
            case list() if item:
                stack.extend((child(here, index), item[index]) for index in range(len(item) - 1, -1, -1))
            case _:
                yield here, item


def strings(content: Content) -> Iterator[tuple[str, str]]:
    """
    Give every string of a content with its path: values, object keys (path ends in `~key`), and those of JSON inside strings.

    A string that holds JSON is given whole, too, before what it holds.
    """
    for path, value in roots(content):
        yield from strings_of(value, path)


def strings_of(value: Value, path: str = "$") -> Iterator[tuple[str, str]]:
    """Do as `strings` for one JSON value."""
    stack: list[tuple[str, Value]] = [(path, value)]
    while stack:
        here, item = stack.pop()
        match item:
            case str():
                yield here, item
                inner = embedded(item)
                if inner is not None:
                    stack.append((f"{here}.<json>", inner))
            case dict():
                for key in item:
                    yield f"{child(here, key)}~key", key
                stack.extend((child(here, key), below) for key, below in reversed(item.items()))
            case list():
                stack.extend((child(here, index), item[index]) for index in range(len(item) - 1, -1, -1))
            case _:
                pass

"""What an item of a list is called, and what it says that may tell it from its siblings."""

from typing import Final

from replay.compare.blinding import blind
from replay.content import Value

NAMES: Final = ("key", "name", "path", "title", "label", "slug", "url", "command", "content")
"""Members that name an item, the surest first."""
KINDS: Final = frozenset(
    {"operation", "trigger", "kind", "name", "type", "entityType", "entity_type", "key", "title", "action", "event", "role", "category"}
)
"""Members that say what kind of thing an item is: two that disagree here are two things."""
_SKETCH_CHARS_MAX: Final = 80
_LEVELS_MAX: Final = 200
"""What is nested more deeply is not named by its content."""


def sketch(item: Value) -> Value:
    """What an item is called, for people."""
    for holder in holders(item):
        for name in ("content", "name", "title", "key", "path", "id"):
            value = holder.get(name)
            if isinstance(value, str) and value:
                return value[:_SKETCH_CHARS_MAX]
    return item if not isinstance(item, dict | list) else (content_of(item) or "(nested deeply)")[:_SKETCH_CHARS_MAX]


def content_of(item: Value) -> str | None:
    """An item's content without ids, times and measured numbers; None where it is nested too deeply for that to be its name."""
    if _is_deep(item):
        return None
    try:
        return blind(item)
    except RecursionError:
        return None


def _is_deep(item: Value) -> bool:
    """Tell quickly whether a value is nested very deeply along the first part of each level that has parts."""
    for _ in range(_LEVELS_MAX):
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        below = next((part for part in inner if isinstance(part, dict | list)), None)
        if below is None:
            return False
        item = below
    return True


def holders(item: Value) -> list[dict[str, Value]]:
    """An item, and the one object in it where there is just one: lists often wrap each thing once."""
    if not isinstance(item, dict):
        return []
    inner = [value for value in item.values() if isinstance(value, dict)]
    return [item, *inner] if len(inner) == 1 else [item]


def plain_key(key: str) -> str:
    """Give a key without letter case and word breaks: the same for `chunk_index` and `chunkIndex`."""
    return key.replace("_", "").replace("-", "").lower()

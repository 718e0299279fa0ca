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


def sketch(item: Value) -> Value:
    """What an item is called, for people."""
    for holder in holders(item):
        for name in ("content", "name", "title", "key", "path", "id"):
            value = holder.get(name)
            if isinstance(value, str) and value:
                return value[:_SKETCH_CHARS_MAX]
    return item if not isinstance(item, dict | list) else blind(item)[:_SKETCH_CHARS_MAX]


def holders(item: Value) -> list[dict[str, Value]]:
    """An item, and the one object in it where there is just one: lists often wrap each thing once."""
    if not isinstance(item, dict):
        return []
    inner = [value for value in item.values() if isinstance(value, dict)]
    return [item, *inner] if len(inner) == 1 else [item]


def plain_key(key: str) -> str:
    """Give a key without letter case and word breaks: the same for `chunk_index` and `chunkIndex`."""
    return key.replace("_", "").replace("-", "").lower()

"""What was done to ids in a replay, in a line."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_TOLD: Final = (
    ("bindings", "bound"),
    ("rewritten", "requests rewritten"),
    ("ids_from_rows", "found by their rows in the candidate's database"),
    ("ids_without_rows", "that no answer gave and no row fits, sent as recorded"),
    ("contradictions", "that contradict earlier ones: `compare` names them"),
)


def identity_lines(counts: Mapping[str, Any]) -> Iterator[str]:
    """Tell a replay's counts of ids; nothing where there are none."""
    parts = [f"{counts[name]} {words}" for name, words in _TOLD if isinstance(counts.get(name), int) and counts[name]]
    if parts:
        yield f"ids: {' · '.join(parts)}"

"""
Patterns for places: whole path, typed segments, globs, no regular expressions.

A path is `$` followed by segments: `.name`, `["any name"]`, `[*]` or `[3]`, and `.<json>` or `.<sse>` where a string or stream was opened;
or a plain word such as `status` or `header:retry-after`. In a pattern, `*` stands for one segment of either kind and `**` for any number.
A pattern matches the whole path or not at all: `$.results[*].id` does not match `$.results[*].agent_id`.
"""

import re
from functools import lru_cache
from typing import Final

_SEGMENT: Final = re.compile(r"""\.\*\*|\.\*|\*\*|\.[^.\[\]"]+|\["(?:[^"\\]|\\.)*"\]|\[(?:\*|\d+)\]""")


@lru_cache(maxsize=4096)
def segments(path: str) -> tuple[str, ...] | None:
    """Split a path or pattern; None where it is neither (its text stands for itself then)."""
    if not path.startswith("$"):
        return None
    parts, position = [], 1
    while position < len(path):
        found = _SEGMENT.match(path, position)
        if found is None:
            return None
        parts.append(found.group())
        position = found.end()
    return tuple(parts)


def matches(pattern: str, path: str) -> bool:
    """Whether *pattern* covers the whole of *path*."""
    if pattern in {"*", "**"}:
        return True
    wanted, given = segments(pattern), segments(path)
    if wanted is None or given is None:
        return _matches_word(pattern, path)
    return _matches_parts(wanted, given)


def specificity(pattern: str) -> int:
    """How much a pattern says: more fixed segments are more specific; `*` and `**` say nothing."""
    parts = segments(pattern)
    if parts is None:
        return 0 if set(pattern) <= {"*"} else 100
    return 1 + sum(10 for part in parts if not part.endswith("*")) + sum(1 for part in parts if part in {".*", "[*]"})


def _matches_word(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path


def _matches_parts(wanted: tuple[str, ...], given: tuple[str, ...]) -> bool:
    # Each state is how many parts of the pattern are used up; `**` may stay where it is. Linear in both lengths' product.
    states = _closure({0}, wanted)
    for part in given:
        after: set[int] = set()
        for state in states:
            if state == len(wanted):
                continue
            wanted_part = wanted[state]
            if wanted_part in {".**", "**"}:
                after.add(state)
            elif wanted_part in {".*", part} or (wanted_part == "[*]" and part.startswith("[") and not part.startswith('["')):
                after.add(state + 1)
        states = _closure(after, wanted)
    return len(wanted) in states


def _closure(states: set[int], wanted: tuple[str, ...]) -> set[int]:
    grown = set(states)
    for state in states:
        at = state
        while at < len(wanted) and wanted[at] in {".**", "**"}:
            at += 1
            grown.add(at)
    return grown

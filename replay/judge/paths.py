"""
Patterns for places and routes: whole, typed segments, globs, no regular expressions.

How this works
--------------
A path is `$` followed by segments: `.name`, `["any name"]`, `[*]` or `[3]`, and `.<json>` or `.<sse>` where a string or stream was opened;
or a plain word such as `status` or `header:retry-after`. In a pattern

- `.*` stands for one segment of either kind, `[*]` for one index, `.**` for any number of segments (also none),
- `*` inside a name stands for any characters of it: `.*_at`; in a quoted name it is itself,
- `*` inside a plain word likewise: `header:*`,
- `*` alone is every path.

A pattern matches the whole path or not at all: `$.results[*].id` does not match `$.results[*].agent_id`.

A route is `METHOD /segments`. In a pattern `*` stands for one segment (or for the method), `*` inside a segment for any characters of it, `**`
for any number of segments; `*` alone is every route.

Both are globs over a sequence: of segments, whose names are globs over characters. `overlap` decides exactly whether two patterns have
anything in common, by walking both at once: what either may skip, it may.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

_SEGMENT: Final = re.compile(r"""\.\*\*|\.\*(?![^.\[\]"])|\*\*|\.[^.\[\]"]+|\["(?:[^"\\]|\\.)*"\]|\[(?:\*|\d+)\]""")
_PLAIN: Final = re.compile(r'\["([A-Za-z0-9_$-]+)"\]\Z')
_RUNS: Final = frozenset({".**", "**"})
_ALL: Final = frozenset({"*", "**"})
_EXACT: Final = 1000
"""How much a route without any glob says."""


@lru_cache(maxsize=8192)
def segments(path: str) -> tuple[str, ...] | None:
    """Split a path or pattern; None where it is neither (its text stands for itself then)."""
    if not path.startswith("$"):
        return None
    parts, position = [], 1
    while position < len(path):
        found = _SEGMENT.match(path, position)
        if found is None:
            return None
        plain = _PLAIN.match(found.group())
        parts.append(f".{plain[1]}" if plain is not None else found.group())
        position = found.end()
    return tuple(parts)


@lru_cache(maxsize=65536)
def matches(pattern: str, path: str) -> bool:
    """Whether *pattern* covers the whole of *path*."""
    if pattern in _ALL:
        return True
    wanted, given = segments(pattern), segments(path)
    if wanted is None or given is None:
        # A path is no word, however it begins.
        return wanted is None and given is None and _meet(pattern, path, _same, _is_star, _never)
    return _meet(wanted, given, _segment_takes, _is_run, _never)


@lru_cache(maxsize=65536)
def matches_route(pattern: str, route: str) -> bool:
    """Whether *pattern* covers the whole of a route such as `POST /api/memory/:id`."""
    return pattern in _ALL or _meet(_route(pattern), _route(route), _glob_takes, _is_run, _never)


def overlap(one: str, two: str) -> bool:
    """Whether any path is covered by both patterns."""
    if one in _ALL or two in _ALL:
        return True
    left, right = segments(one), segments(two)
    if left is None or right is None:
        return left is None and right is None and _meet(one, two, _same, _is_star, _is_star)
    return _meet(left, right, _segments_meet, _is_run, _is_run)


def overlap_routes(one: str, two: str) -> bool:
    """Whether any route is covered by both patterns."""
    return one in _ALL or two in _ALL or _meet(_route(one), _route(two), _globs_meet, _is_run, _is_run)


def specificity(pattern: str) -> int:
    """How much a path pattern says: more fixed segments are more specific; `*` and `**` say nothing."""
    parts = segments(pattern)
    if parts is None:
        return 0 if set(pattern) <= {"*"} else 100 - 50 * ("*" in pattern)
    return 1 + sum(_said(part) for part in parts)


def route_specificity(pattern: str) -> int:
    """How much a route pattern says: one without globs most, then by its fixed segments."""
    if pattern in _ALL:
        return 0
    return (
        _EXACT if "*" not in pattern else sum(0 if part == "**" else 1 if part == "*" else 5 if "*" in part else 10 for part in _route(pattern))
    )


def _said(part: str) -> int:
    if part in _RUNS:
        return 0
    if part in {".*", "[*]"}:
        return 1
    return 5 if "*" in part and not part.startswith('["') else 10


@lru_cache(maxsize=8192)
def _route(pattern: str) -> tuple[str, ...]:
    """Split a route into its method and segments."""
    method, space, path = pattern.partition(" ")
    return (method, *path.removeprefix("/").split("/")) if space else (method,)


# --- one token against another ---


def _segments_meet(one: str, two: str) -> bool:
    """Whether two segments of patterns can be the same segment of a path."""
    if ".*" in {one, two}:
        return True
    if _is_index(one) or _is_index(two):
        return _is_index(one) and _is_index(two) and (one == two or "[*]" in {one, two})
    if one.startswith('["') or two.startswith('["'):
        quoted, other = (one, two) if one.startswith('["') else (two, one)
        return quoted == other or (other.startswith(".") and _meet(other[1:], _unquoted(quoted), _same, _is_star, _never))
    return _globs_meet(one[1:], two[1:])


def _segment_takes(wanted: str, part: str) -> bool:
    """Whether a segment of a pattern covers one of a path, whose `*` is the index that findings blank."""
    if wanted in {".*", part}:
        return True
    if _is_index(wanted) or _is_index(part):
        return wanted == "[*]" and _is_index(part)
    name = _unquoted(part) if part.startswith('["') else part[1:]
    return wanted.startswith(".") and _glob_takes(wanted[1:], name)


def _is_index(part: str) -> bool:
    return part.startswith("[") and not part.startswith('["')


def _unquoted(part: str) -> str:
    return part[2:-2].replace('\\"', '"').replace("\\\\", "\\")


def _globs_meet(one: str, two: str) -> bool:
    return _meet(one, two, _same, _is_star, _is_star)


def _glob_takes(pattern: str, text: str) -> bool:
    return _meet(pattern, text, _same, _is_star, _never)


def _same(one: str, two: str) -> bool:
    return one == two


def _is_star(sign: str) -> bool:
    return sign == "*"


def _is_run(token: str) -> bool:
    return token in _RUNS


def _never(_: str) -> bool:
    return False


def _meet(
    one: Sequence[str],
    two: Sequence[str],
    meets: Callable[[str, str], bool],
    runs_one: Callable[[str], bool],
    runs_two: Callable[[str], bool],
) -> bool:
    """
    Whether two patterns have a sequence in common: *runs* names the tokens that stand for any number, *meets* compares two others.

    Each state is how many tokens of the second are used up; a row of states is kept for each token of the first. Time is the product of lengths.
    """
    states = _closure({0}, two, runs_two)
    for wanted in one:
        if runs_one(wanted):
            # it takes any number of the other's tokens, so every later state can be reached
            states = set(range(min(states), len(two) + 1)) if states else states
            continue
        after = set()
        for state in states:
            if state < len(two):
                if runs_two(two[state]):
                    after.add(state)
                elif meets(wanted, two[state]):
                    after.add(state + 1)
        states = _closure(after, two, runs_two)
    return len(two) in states


def _closure(states: set[int], tokens: Sequence[str], runs: Callable[[str], bool]) -> set[int]:
    grown = set(states)
    for state in states:
        at = state
        while at < len(tokens) and runs(tokens[at]):
            at += 1
            grown.add(at)
    return grown

"""
Say in words how two small JSON values differ, for people: DeepDiff's one place.

Equality and enumeration never rest on it (its defaults lose differences: a mostly different object becomes one change of its parent, order and
repetition can be ignored, `True == 1`). Every option that matters is given, and meeting a limit is said, not passed over.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

STRICT: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "ignore_order": False,
        "report_repetition": True,
        "threshold_to_diff_deeper": 0,
        "ignore_numeric_type_changes": False,
        "ignore_string_type_changes": False,
        "ignore_type_subclasses": False,
        "cache_size": 0,
        "log_frequency_in_sec": 0,
    }
)
"""DeepDiff's options with nothing ignored: as strict as the walker."""
LINES_MAX: Final = 12
_TEXT_MAX: Final = 20_000
"""Beyond this a description says less than the two answers side by side."""


def describe(primary: str | None, candidate: str | None) -> tuple[str, ...]:
    """
    Give sentences such as `Value of root['a'] changed from 1 to 2.` for two values as compact JSON.

    Empty where there is nothing to tell: one side absent, not JSON, a leaf, or too long to help.
    """
    if primary is None or candidate is None or max(len(primary), len(candidate)) > _TEXT_MAX:
        return ()
    try:
        left, right = json.loads(primary), json.loads(candidate)
    except (ValueError, RecursionError):
        return ()
    if type(left) is not type(right) or not isinstance(left, dict | list):
        return ()
    return _sentences(left, right)


def _sentences(left: Any, right: Any) -> tuple[str, ...]:
    from deepdiff import DeepDiff

    found = DeepDiff(
        left,
        right,
        **STRICT,
        max_passes=100_000,
        max_diffs=100_000,
        verbose_level=2,
    )
    lines = found.pretty().splitlines()
    statistics = found.get_stats()  # type: ignore[no-untyped-call]  # DeepDiff is typed in part
    cut = [name for name in ("MAX PASS LIMIT REACHED", "MAX DIFF LIMIT REACHED") if statistics.get(name)]
    more = [f"… and {len(lines) - LINES_MAX} more"] if len(lines) > LINES_MAX else []
    return (*lines[:LINES_MAX], *more, *(f"incomplete: {name.lower()}" for name in cut))

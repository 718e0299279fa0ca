"""Which recorded changes of files a replay laid in place, in a few lines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replay.report import visible


def laid_lines(facts: Mapping[str, Any], counts: Mapping[str, Any], not_laid: Sequence[str]) -> Iterator[str]:
    """Tell the counts of a replay, in lines that are safe on a terminal; *not_laid* names what could not be. Nothing where nothing changed."""
    laid, same, refused = (int(counts.get(name, 0)) for name in ("laid", "laid_already", "laid_refused"))
    if laid or same or refused:
        parts = [f"{laid:,} laid in place"]
        parts += [f"{same:,} were so already"] if same else []
        parts += [f"{refused:,} could not be laid"] if refused else []
        yield f"changed files: {' · '.join(parts)}"
        yield from (f"  not laid: {visible(text)}" for text in not_laid)
    unlaid = facts.get("unlaid")
    if isinstance(unlaid, Mapping) and unlaid:
        told = sorted(unlaid.items(), key=lambda item: -int(item[1]))
        yield f"recorded changes of files that were left to the daemon, or out: {', '.join(f'{count:,} {visible(why)}' for why, count in told)}"

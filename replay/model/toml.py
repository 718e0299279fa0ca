"""Reading TOML that people wrote: whatever is wrong with it is said with its line."""

import tomllib
from typing import Any, Final

from replay.model.errors import ParityError

_AT_END: Final = "(at end of document)"


def parse_toml(text: str, source: str, wrong: type[ParityError]) -> dict[str, Any]:
    """
    Read a TOML document; *source* names it in errors.

    Raises:
        wrong: it is no TOML, or nested too deeply to be read.

    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        last = max(len(text.splitlines()), 1)
        told = str(error).replace(_AT_END, f"(at the end, line {last})")
        raise wrong(f"{source}: is no valid TOML: {told}") from error
    except RecursionError as error:
        raise wrong(f"{source}: is nested too deeply to be read") from error


def line_of_key(text: str, key: str, after: int) -> int:
    """Find the line (from 1), *after* or later, on which a key or a header of that name stands; *after* where it can't be seen."""
    for number, line in enumerate(text.splitlines(), 1):
        if number >= after and line.split("=", 1)[0].strip().strip("[]\"' ") == key:
            return number
    return after

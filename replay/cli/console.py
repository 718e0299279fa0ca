"""How the command line speaks: results on stdout, everything else on stderr, control characters shown."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from replay.report import visible

_PLAIN_EVERY_S: Final = 10.0


def say(text: str) -> None:
    """Print a result."""
    # What was recorded may hold lone surrogates, which no stream can encode.
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def note(text: str) -> None:
    """Print something beside the result."""
    sys.stderr.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def complain(text: str) -> None:
    """Print why it did not work."""
    note("signet-parity: " + "\n".join(visible(line) for line in text.splitlines()))


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function to be told of progress: a bar on a terminal, a line every ten seconds elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            tasks: dict[str, int] = {}

            def show(what: str, done: int, of: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=of)
                bar.update(tasks[what], completed=done, total=of)  # type: ignore[arg-type]  # rich's TaskID is an int

            yield show
        return
    last = time.monotonic()

    def tell(what: str, done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_EVERY_S:
            last = time.monotonic()
            note(f"{what}: {done} of {of}")

    yield tell

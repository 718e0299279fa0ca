"""How the command line speaks: results on stdout, everything else on stderr, control characters shown."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from replay.model import UsageError
from replay.report import visible

_PLAIN_EVERY_S: Final = 10.0


def say(text: str) -> None:
    """
    Print a result. A reader that left early (`| head`) changes nothing: the command goes on to its own exit code.

    Raises:
        UsageError: the output can't be written (a full disk, say).

    """
    if sys.stdout is None:
        return
    try:
        # What was recorded may hold lone surrogates, which no stream can encode.
        sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
    except OSError as error:
        _silence(sys.stdout)
        raise UsageError(f"the standard output can't be written: {error.strerror or error}; give it another place") from error


def note(text: str) -> None:
    """Print something beside the result; where nobody can hear it, nothing happens."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    """Let the rest of a stream go nowhere, or Python complains about it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


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

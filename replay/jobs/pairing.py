"""Two cells at once, candidate and control, whose players take turns: what is timed is timed under the same load."""

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final

from replay.archive import Keyring, read
from replay.daemon import CellReport, StartedCell
from replay.model import ArchiveError, DaemonError
from replay.play.turns import SIDES, SILENCE_S, Broker

_SOCKET: Final = "turns"
_PATH_BYTES_MAX: Final = 100
"""Of a socket's path; the system takes 108, or 104."""
_LOOK_S: Final = 0.2

type Start = Callable[[int, Path], AbstractContextManager[StartedCell]]
"""Starts the cell of one side (0 or 1) whose player asks for its turns at a socket, which the cell must show."""


def run_pair(start: Start, scratch: Path, seed: str) -> list[CellReport | DaemonError]:
    """
    Run both cells until both are over; gives what came of each. One that fails, whenever it does, leaves the other to go on alone.

    *seed* draws who is first with each step. Raises what *start* raises, but for a DaemonError of a cell that was started.
    """
    with ExitStack() as stack:
        folder = _folder(stack, scratch)
        broker = stack.enter_context(Broker(folder / _SOCKET, seed))
        outcomes: list[CellReport | DaemonError | None] = [None, None]
        cells = [stack.enter_context(start(side, folder / _SOCKET)) for side in (0, 1)]
        while None in outcomes:
            for side, cell in enumerate(cells):
                if outcomes[side] is None and cell.is_over(_LOOK_S):
                    broker.give_up(side)
                    outcomes[side] = _outcome(cell)
        return [outcome for outcome in outcomes if outcome is not None]


def _outcome(cell: StartedCell) -> CellReport | DaemonError:
    try:
        return cell.wait()
    except DaemonError as error:
        return error


def _folder(stack: ExitStack, scratch: Path) -> Path:
    folder = scratch / "pair"
    if len(bytes(folder / _SOCKET)) > _PATH_BYTES_MAX:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="signet-parity-")))
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def tell_pair(places: tuple[Path, Path], keys: Keyring) -> str:
    """Say how much of the two replays was asked of both sides one after the other."""
    said = []
    for side, place in zip(SIDES, places, strict=True):
        try:
            counts = read(place, salvage=True, keys=keys).facts.get("counts")
        except ArchiveError:
            counts = None
        if isinstance(counts, dict):
            said.append(f"{side}: {counts.get('turns', 0)} turns, {counts.get('turns_not_taken', 0)} exchanges not interleaved")
    return f"two cells at once · {' · '.join(said) or 'no turn was taken'} (no side waits longer than {SILENCE_S:g} s for one that does nothing)"

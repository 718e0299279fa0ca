"""
The command line: prints, exits, reads the environment. All work is done in `replay.jobs`.

Exit codes: 0 judged and good · 1 judged and not good · 2 could not judge (usage, bad archive or rules, dead daemon, full disk, incomplete
run) · 70 a bug in the tool · 130 interrupted.
"""

import io
import signal
import sys
import traceback
from types import FrameType
from typing import Any, Final, NoReturn

import typer

from replay.cli.app import application
from replay.cli.console import complain, note
from replay.model import ParityError
from replay.report import visible

BUG: Final = 70
COULD_NOT: Final = 2
INTERRUPTED: Final = 130

_WRONG_WORDS: Final[Any] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What Typer raises for wrong words on the command line. Newer versions bring a Click of their own, so its name can't be imported."""


def main() -> None:
    """Run the command line and leave with the documented exit code, also when the tool itself crashes."""
    # A service manager's way to stop: daemons, cells and proxies are taken down as after Ctrl-C.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = application(standalone_mode=False)
        if code == INTERRUPTED:
            complain(_INTERRUPTED)
    except ParityError as error:
        complain(str(error))
        code = COULD_NOT
    except _WRONG_WORDS as error:
        told = io.StringIO()
        error.show(told)
        note(visible(told.getvalue().rstrip("\n"), keep_lines=True))
        code = COULD_NOT
    except (KeyboardInterrupt, typer.Abort):
        complain(_INTERRUPTED)
        code = INTERRUPTED
    except OSError as error:
        # Full disks, lost permissions, names that are too long: the machine's affair, so no judgement and no bug.
        complain(f"{error.filename or 'the system refused'}: {error.strerror or error}; nothing was judged")
        code = COULD_NOT
    except MemoryError:
        complain("the memory did not suffice; nothing was judged")
        code = COULD_NOT
    except Exception:  # noqa: BLE001  # a crash must not look like "judged and not good" (Typer's own code for it is 1)
        note(visible(traceback.format_exc().rstrip("\n"), keep_lines=True))
        complain("this is a bug in signet-parity; please report the lines above")
        code = BUG
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


_INTERRUPTED: Final = "interrupted; what was written so far is kept"

__all__ = ["BUG", "COULD_NOT", "INTERRUPTED", "application", "main"]

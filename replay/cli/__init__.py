"""
The command line: prints, exits, reads the environment. All work is done in `replay.jobs`.

Exit codes: 0 judged and good · 1 judged and not good · 2 could not judge (usage, bad archive or rules, dead daemon, incomplete run) ·
70 a bug in the tool.
"""

import os
import sys
import traceback

import click

from replay.cli.app import application
from replay.cli.console import complain
from replay.model import ParityError

BUG = 70
COULD_NOT = 2


def main() -> None:
    """Run the command line and leave with the documented exit code, also when the tool itself crashes."""
    try:
        code = application(standalone_mode=False)
    except ParityError as error:
        complain(str(error))
        code = COULD_NOT
    except click.exceptions.Exit as leaving:
        code = leaving.exit_code
    except click.ClickException as error:
        error.show()
        code = COULD_NOT
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted; what was written so far is kept")
        code = 130
    except BrokenPipeError:
        # The reader of our output left (`| head`): nothing more can be said, and nothing went wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception:  # noqa: BLE001  # a crash must not look like "judged and not good" (Typer's own code for it is 1)
        traceback.print_exc()
        complain("this is a bug in signet-parity; please report the lines above")
        code = BUG
    sys.exit(code if isinstance(code, int) else 0)


__all__ = ["BUG", "COULD_NOT", "application", "main"]

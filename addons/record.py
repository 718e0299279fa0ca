"""
Record what clients ask a Signet daemon: the way in for mitmproxy.

    mitmdump --mode reverse:http://127.0.0.1:3850 --listen-host 127.0.0.1 -p 3849 -s addons/record.py

The recording goes to `recordings/<UTC start>.parity`. Options begin with `parity_`; add `--options` to the line above to see them. The logic
is in `replay.capture`; the recorder that is installed here outlives this script, which mitmproxy loads anew when the file is touched.
"""

from pathlib import Path

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader

from replay.capture.options import declare_options
from replay.capture.recorder import install


def load(loader: Loader) -> None:
    """Declare the options."""
    declare_options(loader)


def configure(updated: set[str]) -> None:
    """Install the recorder, and have it refuse what must not be."""
    install(ctx.master, Path(__file__)).configure(updated)


def running() -> None:
    """Begin to record; where the recorder runs already, nothing happens."""
    install(ctx.master, Path(__file__)).start()

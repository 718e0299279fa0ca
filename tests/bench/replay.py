"""
The sender beside its peers: `python -P tests/bench/replay.py`. What it measures and how to read it stands in `tests/bench/sending.py`.

A script's own folder comes first on the path, where this file would hide the package of the same name: so that folder is taken off the path
before anything of ours is imported.
"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != here]
    import_module("tests.bench.sending").main()

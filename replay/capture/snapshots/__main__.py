"""`python -P -m replay.capture.snapshots`: take the one snapshot that standard input orders."""

import sys

from replay.capture.snapshots.process import run

if __name__ == "__main__":
    sys.exit(run(sys.stdin.buffer, sys.stdout.buffer))

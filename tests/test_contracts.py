"""The boundaries between rooms, executed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_rooms_keep_their_boundaries() -> None:
    """Every import goes the way the plan says, and each third-party package has one home."""
    script = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_in_addons_hides_a_module() -> None:
    """Mitmproxy leaves addons/ first on sys.path, so no file there may bear the name of an importable module."""
    names = {path.stem for path in (ROOT / "addons").glob("*.py")} - {"__init__"}
    # -I: without the current folder, as any other process sees the modules.
    probe = f"import importlib.util as u, sys; print([n for n in {sorted(names)!r} if u.find_spec(n)])"
    found = subprocess.run([sys.executable, "-I", "-c", probe], capture_output=True, text=True, check=True).stdout

    assert found.strip() == "[]"

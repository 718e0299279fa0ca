"""The scripts for mitmproxy."""

import ast
import importlib.machinery
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "addons"
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_names_shadow_nothing(script: Path) -> None:
    """Mitmproxy leaves the scripts' folder first on the path, so no script may be named like a module."""
    elsewhere = [item for item in sys.path if Path(item).resolve() != FOLDER]
    assert importlib.machinery.PathFinder.find_spec(script.stem, elsewhere) is None
    assert script.stem not in sys.stdlib_module_names


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_imports_are_absolute(script: Path) -> None:
    """Mitmproxy loads a script under a package that does not exist, so relative imports would fail."""
    for node in ast.walk(ast.parse(script.read_text("utf-8"))):
        assert not isinstance(node, ast.ImportFrom) or node.level == 0

"""The pins in pyproject.toml stand for a lock file, so they are kept in step with what is installed."""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
pinned_here = pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info[:2] != (3, 12), reason="the pins are those of Linux and Python 3.12"
)


def _project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _pins() -> dict[str, str]:
    rows = _project()["tool"]["uv"]["constraint-dependencies"]  # type: ignore[index]
    pins: dict[str, str] = {}
    for row in rows:
        name, _, pinned = row.partition("==")
        pins[canonicalize_name(name)] = pinned
    return pins


def _closure() -> set[str]:
    """Give the names of everything that the project and its dev group need here."""
    project = _project()
    waiting = [Requirement(row) for row in project["project"]["dependencies"]]  # type: ignore[index]
    waiting += [Requirement(row) for row in project["dependency-groups"]["dev"]]  # type: ignore[index]
    seen: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in seen or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        try:
            below = requires(name) or []
        except PackageNotFoundError:
            pytest.fail(f"{name} is needed and not installed")
        extras = wanted.extras or {""}
        for row in below:
            inner = Requirement(row)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(inner)
    return seen


@pinned_here
def test_everything_installed_is_pinned() -> None:
    """Each package that is needed has a pin, and there is no pin for one that is not."""
    assert set(_pins()) == _closure()


@pinned_here
def test_pins_are_what_is_installed() -> None:
    """A pin names the version that the tests run with."""
    pins = _pins()

    assert pins == {name: version(name) for name in pins}


def test_no_committed_file_names_a_package_host() -> None:
    """No lock file is kept, and the settings name no package host."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")

    assert not re.search(r"https?://", text)
    assert distribution("signet-parity").version == _project()["project"]["version"]  # type: ignore[index]

"""A plain installation of mitmproxy with our wheel beside it records, as the README says."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from replay.archive import read, verify

ROOT = Path(__file__).parents[2]
FIND_SCRIPT = 'from importlib.resources import files; print(files("addons") / "record.py")'
"""The line of the README that says where the addon is."""
MAKE_WORKSPACE = "import sys; from pathlib import Path; from replay.demo import make_workspace; make_workspace(Path(sys.argv[1]), 1)"
UNREACHABLE = ("dns error", "error sending request", "could not connect", "connection error", "no route", "timed out", "network", "resolve host")

pytestmark = pytest.mark.slow


def run(command: Sequence[str | Path], environment: dict[str, str]) -> str:
    """Run an installer and give what it said; the test is skipped, and says so, where the package index can't be reached."""
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    if found.returncode and any(words in (found.stdout + found.stderr).lower() for words in UNREACHABLE):
        pytest.skip(f"the package index can't be reached: {found.stderr.strip()[-300:]}")
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not on this machine")
    run([uv, "build", "--wheel", "--out-dir", folder := tmp_path_factory.mktemp("wheel"), ROOT], dict(os.environ))
    [found] = folder.glob("*.whl")
    return found


def install_by_uv(home: Path, wheel: Path, environment: dict[str, str]) -> tuple[Path, Path]:
    """`uv tool install mitmproxy --with WHEEL`: give mitmdump and its Python."""
    environment |= {"UV_TOOL_DIR": str(home / "tools"), "UV_TOOL_BIN_DIR": str(home / "bin")}
    run(["uv", "tool", "install", "--python", str(Path(sys.executable).resolve()), "mitmproxy", "--with", wheel], environment)
    return home / "bin" / "mitmdump", home / "tools" / "mitmproxy" / "bin" / "python"


def install_by_pipx(home: Path, wheel: Path, environment: dict[str, str]) -> tuple[Path, Path]:
    """`pipx install mitmproxy` and `pipx inject mitmproxy WHEEL`: give mitmdump and its Python."""
    environment |= {"PIPX_HOME": str(home / "pipx"), "PIPX_BIN_DIR": str(home / "bin"), "UV_TOOL_DIR": str(home / "tools")}
    pipx = ["pipx"] if shutil.which("pipx") else ["uvx", "pipx"]
    run([*pipx, "install", "--python", str(Path(sys.executable).resolve()), "mitmproxy"], environment)
    run([*pipx, "inject", "mitmproxy", wheel], environment)
    return home / "bin" / "mitmdump", home / "pipx" / "venvs" / "mitmproxy" / "bin" / "python"


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def serving(command: Sequence[str | Path], port: int, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """Run a program while the block lasts, from when it answers on *port* on; it ends by SIGTERM, with exit code 0 or that signal."""
    with subprocess.Popen(command, env=environment, cwd=folder) as process:
        try:
            run([sys.executable, "-c", WAIT, str(port)], environment)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) in {0, -signal.SIGTERM}


WAIT = """
import socket, sys, time
for _ in range(600):
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", int(sys.argv[1]))) == 0:
            break
    time.sleep(0.1)
else:
    sys.exit("nobody listens")
"""


@pytest.mark.parametrize("install", [install_by_uv, install_by_pipx])
def test_it_records(tmp_path: Path, wheel: Path, install: Callable[[Path, Path, dict[str, str]], tuple[Path, Path]]) -> None:
    """Mitmdump out of a plain installation finds the addon by the README's line, records the demo's daemon, and seals."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "PYTHONDONTWRITEBYTECODE": "1"}
    mitmdump, python = install(tmp_path, wheel, environment)
    script = run([python, "-I", "-c", FIND_SCRIPT], environment)
    workspace = tmp_path / "workspace"
    run([python, "-I", "-c", MAKE_WORKSPACE, workspace], environment)
    daemon, proxy = free_port(), free_port()
    command: list[str | Path] = [
        mitmdump,
        "-q",
        "--mode",
        f"reverse:http://127.0.0.1:{daemon}",
        "--listen-host",
        "127.0.0.1",
        "-p",
        str(proxy),
        "-s",
        script,
    ]
    demo: list[str | Path] = [python, "-P", "-m", "replay.demo.daemon", "--runtime", "js", "--port", str(daemon), "--workspace", workspace]
    with serving(demo, daemon, environment, tmp_path), serving(command, proxy, environment, tmp_path):
        for path in ("/health", "/api/auth/methods"):
            with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{proxy}{path}", timeout=30) as answer:
                assert answer.status == 200
                answer.read()
    [recording] = (tmp_path / "recordings").glob("*.parity")
    assert verify(recording).problems == ()
    assert [item.request.target for item in read(recording).exchanges()] == [b"/health", b"/api/auth/methods"]

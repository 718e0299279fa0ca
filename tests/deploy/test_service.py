"""The unit, the image and their settings say what mitmdump and the recorder understand."""

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
import yaml
from mitmproxy import options
from mitmproxy.tools import cmdline

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "signet-parity-recorder.service"


class Repeated(dict[str, object]):
    """Takes the values of a key that stands more than once together, one a line, as systemd does."""

    def __setitem__(self, key: str, value: object) -> None:
        """Add to what is there already."""
        if isinstance(value, list) and isinstance(self.get(key), list):
            super().__getitem__(key).extend(value)  # type: ignore[attr-defined]  # both are lists while it parses
        else:
            super().__setitem__(key, value)


def unit(section: str) -> dict[str, str]:
    """Give a section of the unit."""
    parser = RawConfigParser(dict_type=Repeated, strict=False, delimiters=("=",), comment_prefixes=("#",))  # type: ignore[arg-type]
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    parser.read_string(UNIT.read_text())
    return dict(parser[section])


def settings() -> dict[str, str]:
    """Give the variables of the settings file."""
    lines = (DEPLOY / "recorder.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def names() -> frozenset[str]:
    """Give the names of all options that mitmdump has with the addon."""
    command = [str(Path(sys.executable).parent / "mitmdump"), "-s", str(DEPLOY.parent / "addons" / "record.py"), "--options"]
    command += ["--mode", "reverse:http://127.0.0.1:3850", "--listen-host", "127.0.0.1"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return frozenset(re.findall(r"^(\w+):", said, re.MULTILINE))


def read_command(command: list[str], names: frozenset[str]) -> argparse.Namespace:
    """Read a command line as mitmdump does; words that it does not know end the test."""
    if "-s" in command:  # an option of an addon of mitmdump's, which only a running one has
        place = command.index("-s")
        command = command[:place] + command[place + 2 :]
    parser: argparse.ArgumentParser = cmdline.mitmdump(options.Options())  # type: ignore[no-untyped-call]
    read = parser.parse_args(command)
    assert {setting.partition("=")[0] for setting in read.setoptions} <= names
    return read


def unit_command() -> list[str]:
    """Give mitmdump's arguments as systemd expands them from the settings."""
    words: list[str] = []
    for word in shlex.split(unit("Service")["ExecStart"])[1:]:
        if word == "$PARITY_OPTIONS":
            words += settings()["PARITY_OPTIONS"].split()
        else:
            words.append(re.sub(r"\$\{(\w+)\}", lambda found: settings()[found[1]], word))
    return words


def image_command(more: list[str] | None = None) -> list[str]:
    """Give mitmdump's arguments in a container, with the image's own words or others after its entry point."""
    text = (DEPLOY / "Containerfile").read_text()
    entry, usual = (json.loads(found) for found in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", text, re.MULTILINE))
    assert entry[:4] == ["python3", "-I", "/container_init.py", "mitmdump"]
    return [*entry[4:], *(usual if more is None else more)]


def compose() -> dict[str, object]:
    """Give the service of the compose file."""
    found: dict[str, object] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["recorder"]
    return found


@pytest.mark.parametrize("made", ["unit", "image", "compose"])
def test_the_command_is_understood(made: str, names: frozenset[str]) -> None:
    """Every option is one that mitmdump or the recorder has; it listens on loopback, before the daemon, and loads the addon."""
    words = compose()["command"]
    assert isinstance(words, list)
    command = {"unit": unit_command(), "image": image_command(), "compose": image_command(words)}[made]
    found = read_command(command, names)
    assert (found.mode, found.listen_host, found.listen_port) == (["reverse:http://127.0.0.1:3850"], "127.0.0.1", 3849)
    assert Path(command[command.index("-s") + 1]).name == "record.py"


def test_the_commented_setting_is_understood(names: frozenset[str]) -> None:
    """The example in the settings' comment names an option that there is."""
    [example] = re.findall(r"PARITY_OPTIONS=(--set \S+)$", (DEPLOY / "recorder.env").read_text().partition("\nPARITY_OPTIONS")[0], re.MULTILINE)
    assert read_command(shlex.split(example), names).setoptions == ["parity_workspace=/srv/signet/agents"]


def test_the_unit_lets_the_writer_seal() -> None:
    """The whole group gets SIGTERM and has time; what is killed for memory does not take the rest along; refusals are not retried."""
    service = unit("Service")
    assert service["KillMode"] == "control-group"
    assert int(service["TimeoutStopSec"]) >= 60
    assert service["OOMPolicy"] == "continue"
    assert set(service["RestartPreventExitStatus"].split()) == {"2", "3"}


def test_the_unit_writes_to_its_own_folder_alone() -> None:
    """Home and working directory are the state folder, the rest of the machine is read-only, and the user is the one that is made."""
    service = unit("Service")
    folder = f"%S/{service['StateDirectory']}"
    assert service["WorkingDirectory"] == folder
    assert f"HOME={folder}" in service["Environment"].splitlines()
    assert (service["ProtectSystem"], service["StateDirectoryMode"], service["UMask"]) == ("strict", "0700", "0077")
    assert f"u {service['User']} " in (DEPLOY / "sysusers.conf").read_text()


def test_the_container_is_closed() -> None:
    """Read-only root, no capabilities, the host's loopback, time to seal, and no init that ends with mitmdump."""
    service = compose()
    assert (service["read_only"], service["network_mode"], service["init"], service["cap_drop"]) == (True, "host", False, ["ALL"])
    text = (DEPLOY / "Containerfile").read_text()
    [folder] = re.findall(r"^VOLUME (\S+)$", text, re.MULTILINE)
    volumes = service["volumes"]
    assert isinstance(volumes, list)
    assert volumes[0] == f"recordings:{folder}"
    assert f"HOME={folder} " in text
    assert "\nUSER parity\n" in text
    for source in re.findall(r"^COPY (deploy/\S+) ", text, re.MULTILINE):
        assert (DEPLOY.parent / source).is_file()


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say, where there is one."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    place = tmp_path / UNIT.name
    # it looks whether the program is there: let it be one that is
    place.write_text(UNIT.read_text().replace("ExecStart=/opt/signet-parity/bin/mitmdump", f"ExecStart={Path(sys.executable).resolve()}"))
    found = subprocess.run([analyze, "verify", str(place)], capture_output=True, text=True, check=False, timeout=60)
    if "Failed to initialize manager" in found.stderr or "Operation not permitted" in found.stderr:
        pytest.skip(f"systemd-analyze can't work here: {found.stderr.strip()}")
    said = [line for line in found.stderr.splitlines() if UNIT.name in line]
    assert (found.returncode, said) == (0, [])

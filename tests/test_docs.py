"""The README says what is there: commands, options, exit codes, archive, status, rooms."""

import json
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

from replay import cli, redact
from replay.capture.options import OPTIONS
from replay.capture.writing.journal import Journal
from replay.capture.writing.status import Status
from replay.cli.app import application
from replay.judge import load_rules
from replay.model import RECORD_TYPES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
DEPLOY = (ROOT / "deploy" / "README.md").read_text("utf-8")


def commands() -> dict[str, str]:
    """Give every command with its help."""
    group = typer.main.get_command(application)
    return {name: command.help or "" for name, command in group.commands.items()}  # type: ignore[attr-defined]


def section(title: str) -> str:
    """Give a section of the README with all below it."""
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_command_is_documented() -> None:
    """The table of commands in the README names exactly the commands there are."""
    table = README.split("| command | what it does |")[1].split("| exit code | meaning |")[0]
    named = set(re.findall(r"`([a-z]+)`", "\n".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| `"))))

    assert named == set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_help(name: str) -> None:
    """Each command says in its help what it does."""
    assert len(commands()[name]) > 20


def test_exit_codes_are_those_of_the_code() -> None:
    """The README's exit codes are the ones that the command line uses."""
    table = README.split("| exit code | meaning |")[1].split("\n\n")[0]

    assert re.findall(r"^\| (\d+) \|", table, re.MULTILINE) == ["0", "1", str(cli.COULD_NOT), str(cli.BUG)]


def test_all_rooms_are_named() -> None:
    """The line of rooms in the README and in the package's docstring names every room."""
    import replay

    rooms = {path.name for path in (ROOT / "replay").iterdir() if (path / "__init__.py").exists()}
    line = section("The line of rooms")

    assert {room for room in rooms if f"`{room}`" not in line} == set()
    assert {room for room in rooms if f" {room} " not in (replay.__doc__ or "")} == set()


def test_the_setup_is_two_commands() -> None:
    """The README sets everything up in two commands, and CI runs the second of them to the letter."""
    assert "    pip install uv && uv run signet-parity demo\n" in README
    assert "    pip install uv && uv run pytest\n" in README
    assert "\npip install uv && uv run pytest\n" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_rules_in_the_readme_are_rules() -> None:
    """The rule in the README and the example rules can be loaded."""
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    rules = [block for block in blocks if "[[rule]]" in block]

    assert [len(load_rules(text, "README.md").rules) for text in rules] == [1]
    assert len(load_rules((ROOT / "recordings" / "tour" / "rules.toml").read_text("utf-8"), "rules.toml").rules) == 2


def test_the_configurations_in_the_readme_are_read(tmp_path: Path) -> None:
    """The daemon description and the night's configuration in the README can be loaded."""
    from replay.daemon import load_daemon
    from replay.jobs.nightly import load_plan

    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    daemon, night = tmp_path / "daemon.toml", tmp_path / "nightly.toml"
    daemon.write_text(next(block for block in blocks if "[[companions]]" in block))
    night.write_text(next(block for block in blocks if "ledger" in block))

    assert load_daemon(str(daemon)).companions[0].ready_port == 11434
    assert load_plan(night).candidate == "rust"
    assert all(tomllib.loads(block) for block in blocks)


def test_pictures_are_there() -> None:
    """Every picture that the README shows is in the repository."""
    for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_recorders_options_are_those_of_the_code() -> None:
    """The table of options says names, defaults and meanings as the recorder declares them."""

    def shown(default: object) -> str:
        return "" if default == "" else f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"

    table = section("The recorder in detail").split("| option | default | what it does |\n|---|---|---|\n")[1].split("\n\n")[0]

    assert table.splitlines() == [f"| `{name}` | {shown(default)} | {meaning} |" for name, _, default, meaning, _ in OPTIONS]


@pytest.mark.parametrize("text", [README, DEPLOY, (ROOT / "CHANGELOG.md").read_text("utf-8")], ids=["README", "deploy", "CHANGELOG"])
def test_options_that_are_named_exist(text: str) -> None:
    """No document names an option of the recorder that is not there."""
    assert set(re.findall(r"\bparity_[a-z_]+", text)) - {name for name, *_ in OPTIONS} == set()


def test_command_lines_in_the_readme_are_understood() -> None:
    """Every command in the README has the options that it is shown with."""
    group: Any = typer.main.get_command(application)
    lines = re.findall(r"(?:signet-parity |`)([a-z]+)([^`\n]*)", README.replace("\\\n", " "))
    shown = [(name, words) for name, words in lines if name in group.commands and words.strip()]

    assert len(shown) > 20
    for name, words in shown:
        command = group.commands[name]
        part = words.split()[0] if words.split() else ""
        command = getattr(command, "commands", {}).get(part, command)
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        assert set(re.findall(r"(?<=\s)--[a-z-]+", words.split("#")[0])) - known == set(), f"{name}{words}"


def test_the_redaction_rules_in_the_readme_are_rules(tmp_path: Path) -> None:
    """The operator's own rules in the README can be loaded, and hide what they say they hide."""
    file = tmp_path / "own.toml"
    file.write_text(next(block for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "[[redact]]" in block))
    rules = redact.load_rules(file)
    redactor = redact.Redactor(bytes(32), rules)
    body = b'{"config": {"license": "a-licence-of-ours"}, "note": "acme_0123456789abcdef0123456789abcdef", "build-token": "123-abc-456"}'

    clean, found = redactor.request_body(body, "POST /api/documents", b"")

    assert len(rules.rules) == 4
    assert clean is not None
    assert b"a-licence-of-ours" not in clean
    assert b"acme_0123456789abcdef" not in clean
    assert b"123-abc-456" in clean
    assert {span.kind for span in found} == {"licence", "acme-key"}


def test_the_status_file_has_the_fields_of_the_readme(tmp_path: Path) -> None:
    """The README's table of `status.json` names each of its fields, and no other."""
    Status().end(Journal(tmp_path, {}, pytest.fail), "sealed", 0)
    rows = section("The recorder in detail").split("| field | what it says |")[1].split("\n\n")[0].splitlines()
    named = {name for row in rows if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split("|")[1])}

    assert named == set(json.loads((tmp_path / "status.json").read_text("utf-8")))


@pytest.mark.parametrize(
    ("changed", "good"),
    [({}, True), ({"state": "cut"}, False), ({"lost": 1}, False), ({"gaps": {"not written": 2}}, False), ({"updated_at": 0.0}, False)],
    ids=["well", "cut", "lost", "gap", "old"],
)
def test_the_check_in_the_readme_tells_good_from_bad(tmp_path: Path, changed: dict[str, object], *, good: bool) -> None:
    """The monitor's check that the README shows fails where a recording stopped, lost something or hangs, and else does not."""
    check = README.split("<<'END'\n")[1].split("END\n")[0]
    archive = tmp_path / "a.parity"
    archive.mkdir()
    status = {"state": "recording", "updated_at": time.time(), "lost": 0, "gaps": {}, **changed}
    (archive / "status.json").write_text(json.dumps(status), "utf-8")

    ended = subprocess.run([sys.executable, "-I", "-", str(tmp_path)], input=check, text=True, capture_output=True, check=False)

    assert (ended.returncode == 0) == good, ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_record_and_sample_is_named() -> None:
    """The README names each type of record, and the frozen samples that are there."""
    text = section("The archive")

    assert [name for name in RECORD_TYPES if f"`{name}`" not in text] == []
    assert set(re.findall(r"`(v\d[\w-]*\.parity)`", text)) == {path.name for path in (ROOT / "recordings").glob("v*.parity")}

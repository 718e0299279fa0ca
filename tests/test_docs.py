"""The README says what is there: commands, exit codes, archive, rooms."""

import re
import tomllib
from pathlib import Path

import pytest
import typer.main

from replay import cli
from replay.cli.app import application
from replay.judge import load_rules

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def commands() -> dict[str, str]:
    """Give every command with its help."""
    group = typer.main.get_command(application)
    return {name: command.help or "" for name, command in group.commands.items()}  # type: ignore[attr-defined]


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
    line = README.split("## The line of rooms")[1]

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

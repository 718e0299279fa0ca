import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.archive.gitconfig import UnreadableConfigError, disarm_config, parse

_PLAIN = '# mine\n[core]\n\trepositoryformatversion = 0\n\tbare = false\n[remote "origin"]\n\turl = git@host:x/y.git\n\tfetch = +refs/*\n'


def test_what_is_harmless_stays_as_it_is() -> None:
    """A configuration without anything to take out keeps its very text, comments too."""
    assert disarm_config(_PLAIN) == (_PLAIN, ())


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("[core]\nfsmonitor = x", "core.fsmonitor"),
        ("[CORE]\nSshCommand=x", "core.sshcommand"),
        ("[core] hooksPath = /x", "core.hookspath"),
        ("[core]\neditor", "core.editor"),
        ("[core]\nworktree = /etc", "core.worktree"),
        ('[filter "lfs"]\nclean = x', "filter.lfs.clean"),
        ("[filter.lfs]\nsmudge = x", "filter.lfs.smudge"),
        ("[alias]\nst = !x", "alias.st"),
        ('[alias]\nst = " !x"', "alias.st"),
        ('[alias]\nst = "!"x', "alias.st"),
        ("[alias]\nst = \\\n  !x", "alias.st"),
        ('[credential "https://x"]\nhelper = x', "credential.https://x.helper"),
        ('[includeIf "gitdir:/"]\npath = x', "includeif.gitdir:/.path"),
        ("[include]\npath = x", "include.path"),
        ('[diff "x"]\ntextconv = x', "diff.x.textconv"),
        ('[merge "x"]\ndriver = x', "merge.x.driver"),
        ('[remote "o"]\nuploadpack = x', "remote.o.uploadpack"),
        ('[remote "o"]\nurl = ext::sh -c x', "remote.o.url"),
        ('[remote "o"]\npushurl = --upload-pack=x', "remote.o.pushurl"),
        ('[hook "x"]\ncommand = x', "hook.x.command"),
        ("[gpg]\nprogram = x", "gpg.program"),
        ("[pager]\nlog = x", "pager.log"),
        ("[http]\nproxy = x", "http.proxy"),
    ],
)
def test_what_runs_a_program_goes(text: str, gone: str) -> None:
    """However it is written, the setting goes and is named; its neighbours stay."""
    left, dropped = disarm_config(f'{_PLAIN}{text}\n[user]\nname = A "B" \\\\ C\n')

    assert dropped == (gone,)
    assert [setting.name for setting in parse(left)] == [*(setting.name for setting in parse(_PLAIN)), "user.name"]
    assert list(parse(left))[-1].value == "A B \\ C"


@pytest.mark.parametrize("text", ["[core", "key = value", "[core]\n= x", '[core]\na = "x', "[core]\na = \\x", "[core]\na: b", '[core "x]\na=b'])
def test_what_cannot_be_read_is_said(text: str) -> None:
    """A text that is no configuration is an error, never half a configuration."""
    with pytest.raises(UnreadableConfigError):
        disarm_config(text)


@settings(deadline=None)
@given(text=st.text('[]"\\=#;!.\n\t abcore', max_size=60))
def test_any_text(text: str) -> None:
    """Any text is a configuration or an error, and what was disarmed once has nothing left to take."""
    try:
        left, _ = disarm_config(text)
    except UnreadableConfigError:
        return
    assert disarm_config(left) == (left, ())


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on this machine")
def test_git_reads_the_same(tmp_path: Path) -> None:
    """Git itself finds the settings that this parser finds, with the same values."""
    text = (
        '[user]\n\tname = a  b ; comment\n\temail = "x # y" z\\tq # c\n[remote "a\\"b.C"]\n  url = https://x \\\n  y\n'
        '[Core]bare\n[color.Branch]\nplain=\n[alias]\n lg = log \\"x\\"\n'
    )
    (tmp_path / "config").write_text(text)

    listed = subprocess.run(["git", "config", "--list", "-z", "-f", tmp_path / "config"], capture_output=True, check=True, text=True).stdout

    ours = [setting.name if setting.value is None else f"{setting.name}\n{setting.value}" for setting in parse(text)]
    assert [entry for entry in listed.split("\0") if entry] == ours

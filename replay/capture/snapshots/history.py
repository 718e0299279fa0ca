"""
The git repositories of a snapshot: their history is kept whole or left out, because it can't be changed without changing its ids.

Every object is looked through (`git cat-file`, in a repository of our own that borrows the objects, so that none of the workspace's git
configuration is read). Where one holds a secret, or they can't all be seen, objects, references, index and reflogs go; HEAD and
configuration stay, so that the repository is a valid one without commits.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

HOLDS_SECRETS: Final = "it holds secrets"
_GIT_TIMEOUT_S: Final = 300.0
_BYTES_MAX: Final = 512 << 20
"""So much history is looked through, unpacked; more than that is left out."""
_OBJECT_BYTES_MAX: Final = 32 << 20
_FORGOTTEN: Final = ("objects", "refs", "logs", "packed-refs", "index", "ORIG_HEAD", "FETCH_HEAD", "COMMIT_EDITMSG", "info/refs", "shallow")
_FORGOTTEN_FOLDERS: Final = ("rebase-merge", "rebase-apply", "worktrees", "modules", "lfs")


def repositories(root: Path) -> Iterator[Path]:
    """Give every folder below *root* that git would take for a repository."""
    for folder, names, files in os.walk(root, followlinks=False):
        if "HEAD" in files and {"objects", "refs"} <= set(names):
            yield Path(folder)
            names[:] = [name for name in names if name not in {"objects", "refs"}]


def check_history(repository: Path, scratch: Path, is_clean: Callable[[bytes], bool]) -> str:
    """Give why the history of *repository* can't stay; empty where it can. *scratch* is a folder to work in."""
    objects = repository / "objects"
    if not any(path.is_file() for path in objects.rglob("*")):
        return ""
    if (objects / "info/alternates").exists():
        return "its objects lie elsewhere"
    git = shutil.which("git")
    if git is None:
        return "git is not there to look through it"
    borrower = scratch / "borrower.git"
    try:
        _make_borrower(borrower)
        return _look_through(git, borrower, objects, is_clean)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"it can't be looked through ({error})"
    finally:
        shutil.rmtree(borrower, ignore_errors=True)


def forget_history(repository: Path) -> None:
    """
    Make of *repository* one without commits.

    Raises:
        OSError: something can't be removed.
    """
    for name in (*_FORGOTTEN, *_FORGOTTEN_FOLDERS):
        path = repository / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (repository / name).mkdir(parents=True)


def _make_borrower(folder: Path) -> None:
    for name in ("objects", "refs/heads"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")


def _look_through(git: str, borrower: Path, objects: Path, is_clean: Callable[[bytes], bool]) -> str:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(borrower),
        "LC_ALL": "C",
        "GIT_DIR": str(borrower),
        "GIT_OBJECT_DIRECTORY": str(objects.absolute()),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    command = [git, "-c", "safe.directory=*", "cat-file", "--batch-all-objects", "--batch", "--buffer", "--unordered"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        trouble = "it can't be looked through"
        try:
            trouble = _read_objects(process.stdout, is_clean)
        finally:
            if trouble:
                process.kill()
        return trouble or ("" if process.wait(_GIT_TIMEOUT_S) == 0 else "git can't read all of it")


def _read_objects(stream: IO[bytes], is_clean: Callable[[bytes], bool]) -> str:
    seen = 0
    while header := stream.readline(256):
        parts = header.split()
        if len(parts) != 3 or not parts[2].isdigit():
            return "git can't read all of it"
        size = int(parts[2])
        seen += size
        if size > _OBJECT_BYTES_MAX or seen > _BYTES_MAX:
            return "it is too big to look through"
        content = stream.read(size + 1)[:-1]
        if len(content) != size:
            return "git can't read all of it"
        if not is_clean(content):
            return HOLDS_SECRETS
    return ""

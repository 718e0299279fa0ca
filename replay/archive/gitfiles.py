"""
Disarming the git repositories of an unpacked tree: hooks go, and so does configuration that runs programs.

A repository is looked for by what git itself goes by, not only by the name `.git`: git takes any folder with HEAD, objects and refs for one.
"""

import os
import shutil
from pathlib import Path

from replay.archive.gitconfig import UnreadableConfigError, disarm_config


def disarm(root: Path) -> tuple[str, ...]:
    """
    Take hooks and executable configuration out of every git repository below a folder, and say what went.

    Raises:
        OSError: a file can't be changed.
    """
    dropped: list[str] = []
    for folder, names, files in os.walk(root, followlinks=False):
        place = Path(folder)
        if _is_repository(place, names, files):
            dropped += _drop_hooks(root, place, names)
            dropped += _disarm_configs(root, place)
        dropped += [_drop(root, place / name) for name in files if name.casefold() == ".git" and not _points_inside(root, place / name)]
    return tuple(sorted(dropped))


def _is_repository(place: Path, names: list[str], files: list[str]) -> bool:
    return place.name.casefold() == ".git" or "HEAD" in files or {"objects", "refs"} <= set(names)


def _drop_hooks(root: Path, place: Path, names: list[str]) -> list[str]:
    dropped = []
    for hooks in [path for path in place.iterdir() if path.name.casefold() == "hooks"]:
        if hooks.is_symlink() or not hooks.is_dir():
            dropped.append(_drop(root, hooks))
            continue
        # Git's own samples are never run.
        dropped += [_drop(root, hook) for hook in sorted(hooks.iterdir()) if hook.suffix != ".sample" or not hook.is_file()]
        names[:] = [other for other in names if other != hooks.name]
    return dropped


def _disarm_configs(root: Path, place: Path) -> list[str]:
    dropped = []
    for path in [path for path in place.iterdir() if path.name.casefold() in {"config", "config.worktree"}]:
        if path.is_symlink() or not path.is_file():
            dropped.append(_drop(root, path))
            continue
        try:
            text, gone = disarm_config(path.read_bytes().decode(errors="surrogateescape"))
        except UnreadableConfigError as error:
            dropped.append(f"{_drop(root, path)} (unreadable: {error})")
            continue
        if gone:
            path.write_bytes(text.encode(errors="surrogateescape"))
            dropped += [f"{path.relative_to(root)}: {setting}" for setting in gone]
    return dropped


def _points_inside(root: Path, pointer: Path) -> bool:
    """Whether a `.git` file (a worktree's or submodule's) leads to a folder of the same tree."""
    if pointer.is_symlink():
        return False
    target = pointer.read_bytes().decode(errors="surrogateescape").removeprefix("gitdir:").strip()
    return not target.startswith("/") and Path(os.path.realpath(pointer.parent / target)).is_relative_to(root.resolve())


def _drop(root: Path, path: Path) -> str:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    return str(path.relative_to(root))

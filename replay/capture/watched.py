"""
Which files of a workspace are watched: what the daemon itself watches or reads again, and what people edit.

| place | what it is | written by |
|---|---|---|
| `*.md`, `*.yaml`, `*.yml` in the root | identity, configuration | people, `POST /api/config`; the daemon (`MEMORY.md`, `agent.yaml`, …) |
| `.sigignore`, `.gitignore`, `sources.json` in the root | configuration | people, the daemon |
| `memory/*.md` | what is imported every 30 s | people, harnesses; the daemon (`…--summary.md` and its kin) |
| `agents/`, `skills/`, `context-profiles/`, `scripts/`, `memory/scripts/` | whole trees | people; the daemon (`agents/*/workspace/`) |
| `marketplace/**.json`, `.clawdhub/lock.json` | the daemon's lists | the daemon |
| `.secrets/*` | that they changed; never opened | the daemon |

Not watched: databases and what lies beside them, `.daemon/`, `.git/`, logs, what editors leave, folders of installed packages.
"""

import re
from fnmatch import fnmatchcase
from typing import Final

_ROOT_FILES: Final = ("*.md", "*.yaml", "*.yml", ".sigignore", ".gitignore", "sources.json")
_TREES: Final = ("agents", "skills", "context-profiles", "scripts", "memory/scripts")
_JSON_TREE: Final = "marketplace"
_SINGLE: Final = frozenset({".clawdhub/lock.json"})
_SECRETS: Final = ".secrets"
_FLAT: Final = frozenset({"", "memory", ".clawdhub", _SECRETS})
"""Folders that are looked into, but whose folders are watched only where a tree begins."""
_IGNORED_FOLDERS: Final = frozenset({".git", ".daemon", ".shadow", "node_modules", "__pycache__", ".venv", ".cache", ".graphiq"})
_IGNORED_FILES: Final = re.compile(
    r".*\.(db|sqlite3?)(-wal|-shm|-journal|\.bak.*)?|.*\.log|.*~|#.*#|\.#.*|.*\.sw[a-z]|4913|\.DS_Store|.*\.tmp([-.].*)?", re.DOTALL
)


def is_watched(path: str) -> bool:
    """Whether a change of this file (path inside the workspace) is recorded; see the table above."""
    folder, _, name = path.rpartition("/")
    if _IGNORED_FILES.fullmatch(name):
        return False
    if not folder:
        return any(fnmatchcase(name, pattern) for pattern in _ROOT_FILES)
    if folder == "memory":
        return name.endswith(".md")
    if path in _SINGLE or folder == _SECRETS:
        return True
    if not is_entered(folder):
        return False
    return name.endswith(".json") if _is_below(folder, _JSON_TREE) else any(_is_below(folder, tree) for tree in _TREES)


def is_entered(folder: str) -> bool:
    """Whether this folder (empty: the workspace itself) holds watched files."""
    if folder in _FLAT:
        return True
    if not _IGNORED_FOLDERS.isdisjoint(folder.split("/")):
        return False
    return any(_is_below(folder, tree) for tree in (*_TREES, _JSON_TREE))


def is_secret(path: str) -> bool:
    """Whether this file must never be opened."""
    return _is_below(path, _SECRETS)


def _is_below(path: str, tree: str) -> bool:
    return path == tree or path.startswith(f"{tree}/")

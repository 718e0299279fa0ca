"""Git synchronisation: real git on the workspace's repository, with a configuration of its own and no way to ask anybody."""

import os
import subprocess
from pathlib import Path
from typing import Any, Final

from replay.demo.values import Reply, Request
from replay.demo.world import World

_TIMEOUT_S: Final = 10.0
SETTINGS: Final[dict[str, Any]] = {
    "enabled": True,
    "autoCommit": False,
    "autoSync": False,
    "syncInterval": 300,
    "remote": "origin",
    "branch": "main",
}


def git(workspace: Path, *arguments: str, at: str | None = None) -> tuple[bool, str]:
    """
    Run git in *workspace*: whether it went well, and what it said.

    Neither the user's nor the host's configuration is read, and no hook runs. *at* fixes author and date (ISO) of commits.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(workspace),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(workspace.resolve().parent),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        **{f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in (("NAME", "Demo"), ("EMAIL", "demo@example.invalid"))},
        **({"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at} if at else {}),
    }
    # The cell's user need not be the one that owns the copied files.
    command = ["git", "-c", "safe.directory=*", "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        done = subprocess.run(
            command, cwd=workspace, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    return done.returncode == 0, (done.stdout if done.returncode == 0 else done.stderr).strip()


def status(world: World, request: Request) -> Reply:
    """Say how the repository stands."""
    del request
    workspace = world.workspace
    if not (workspace / ".git").is_dir():
        return Reply(200, {"isRepo": False, "hasCredentials": False, "autoSync": False})
    _, branch = git(workspace, "rev-parse", "--abbrev-ref", "HEAD")
    _, changes = git(workspace, "status", "--porcelain")
    changed = len(changes.splitlines())
    if world.runtime.differs("git-status-keys"):
        _, remote = git(workspace, "remote", "get-url", "origin")
        _, commit = git(workspace, "rev-parse", "HEAD")
        return Reply(200, {"branch": branch, "clean": changed == 0, "remote": remote, "lastCommit": commit, "initialized": True})
    ahead_known, ahead = git(workspace, "rev-list", "--count", "refs/remotes/origin/main..HEAD")
    return Reply(
        200,
        {
            "isRepo": True,
            "branch": branch,
            "remote": "origin",
            "hasCredentials": False,
            "authMethod": "none",
            "autoSync": _settings(world)["autoSync"],
            "lastSync": None,
            "uncommittedChanges": changed,
            "unpushedCommits": int(ahead) if ahead_known else 0,
            "unpulledCommits": 0,
            "degraded": False,
            "degradedReason": None,
        },
    )


def configuration(world: World, _: Request) -> Reply:
    """Give the settings."""
    return Reply(200, _settings(world))


def configure(world: World, request: Request) -> Reply:
    """Change settings until the daemon ends."""
    changes = {key: value for key, value in request.body.items() if key in SETTINGS and type(value) is type(SETTINGS[key])}
    if "syncInterval" in changes:
        changes["syncInterval"] = max(60, min(86_400, changes["syncInterval"]))
    confirmed = {**_settings(world), **changes}
    if "lost-setting" not in world.faults:
        world.git.update(changes)
    return Reply(200, {"success": True, "config": confirmed})


def sync(world: World, _: Request) -> Reply:
    """Pull and push. The `js` runtime needs a remote that it has credentials for, the other tries in any case."""
    if world.runtime.differs("git-sync-shape"):
        return Reply(200, {"pull": _step(world, "pull", "--rebase"), "push": _step(world, "push", "origin", "HEAD")})
    return Reply(200, {"success": False, "message": "No git credentials found. Run `gh auth login` or set up SSH keys."})


def _step(world: World, *arguments: str) -> dict[str, Any]:
    went_well, said = git(world.workspace, *arguments)
    return {"success": went_well, "output" if went_well else "error": said}


def _settings(world: World) -> dict[str, Any]:
    return {**SETTINGS, **world.git}

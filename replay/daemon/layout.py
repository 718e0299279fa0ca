"""Lays a cell's directory out on the host: state, home, mounts, stand-ins, throw-away secret; and writes the orders."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from replay.daemon import linux
from replay.daemon.asking import free_port, is_taken
from replay.daemon.lanes import LANES, Address, Lane, lane_values, write_lanes
from replay.daemon.orders import Orders
from replay.daemon.root import EMPTY, Placed
from replay.daemon.spec import Companion, DaemonSpec, fill
from replay.model import DaemonError, UsageError
from replay.workspace.tokens import make_auth_secret

_STAND_IN: Final = """#!/bin/sh
echo "{name}: a stand-in in a replay cell"
"""
MACHINE_ID_FILE: Final = "/etc/machine-id"
"""Where a daemon looks first for what opens its store of secrets."""


def lay_out(
    spec: DaemonSpec,
    *,
    kind: Literal["namespace", "mapped"],
    state: Path,
    recorded_workspace: str | None,
    recorded_port: int,
    player: Sequence[str],
    player_timeout_s: float | None,
    directory: Path,
    visible: Sequence[Path],
    writable: Sequence[Path],
    machine_id: str = "",
    lanes: Sequence[Lane] = (),
) -> Orders:
    """
    Fill a cell's directory and settle everything that its first process needs to know.

    *machine_id* is the one that a daemon shall find in a namespace cell; empty: the host's. *lanes* are those that the player serves.

    Raises: UsageError where a path of the description or of the caller is not there; DaemonError where a fixed port is taken.
    """
    notes: list[str] = []
    inside = kind == "namespace"
    own_workspace = directory / "workspace"
    copy_tree(state, own_workspace)
    wanted = spec.workspace or recorded_workspace
    workspace = wanted if inside and wanted else str(own_workspace)
    home, own_home = _home(spec, directory, inside=inside)
    port = spec.port or recorded_port if inside else _mapped_port(spec)
    placed = [Placed(str(own_workspace), workspace, writable=True)]
    if own_home is not None:
        placed.append(Placed(str(own_home), home, writable=True))
    if inside and machine_id and not any(mount.target == MACHINE_ID_FILE for mount in spec.mounts):
        placed.append(_machine_id(directory, machine_id))
    mounted, unmounted = _mounts(spec, directory, inside=inside, home=own_home)
    if not inside:
        notes.append("mapped cell: the way out is not blocked, and the host's files are not protected")
        if wanted and wanted != workspace:
            notes.append(f"mapped cell: the workspace is at {workspace}, recorded at {wanted}")
        if port != recorded_port:
            notes.append(f"mapped cell: the port is {port}, recorded {recorded_port}")
        if machine_id:
            notes.append("mapped cell: the machine id is the host's, and a store of secrets that was sealed for the snapshot's stays closed")
        notes += [f"mapped cell: nothing is mounted at {target}" for target in unmounted]
    make_auth_secret(own_workspace / spec.auth_secret)
    served = _served(lanes, inside=inside)
    companions, told = _companions(spec, lanes, served, inside=inside)
    notes += told
    if served:
        write_lanes(served, directory / LANES)
    values = {"python": sys.executable, "workspace": workspace, "home": home, "host": spec.host, "port": str(port), **lane_values(served)}
    environment = make_environment(spec, values, stand_ins=make_stand_ins(directory, spec.stand_ins))
    root = directory / "root"
    root.mkdir()
    return Orders(
        kind=kind,
        name=spec.name,
        runtime=spec.runtime,
        command=tuple(fill(word, values) for word in spec.command),
        environment=environment,
        host=spec.host,
        port=port,
        recorded_port=recorded_port,
        workspace=workspace,
        start_directory=spec.directory or workspace,
        recorded_workspace=recorded_workspace,
        auth_secret=str(Path(workspace) / spec.auth_secret),
        ready=spec.ready,
        drained=tuple(replace(each, database=str(Path(workspace) / each.database)) for each in spec.drained),
        pollers=tuple(replace(each, database=str(Path(workspace) / each.database) if each.database else "") for each in spec.pollers),
        companions=tuple(
            replace(
                each,
                command=tuple(fill(word, values) for word in each.command),
                environment={name: fill(text, values) for name, text in each.environment.items()},
            )
            for each in companions
        ),
        player_first=bool(served),
        player=tuple(player),
        player_environment=_player_environment(),
        player_timeout_s=player_timeout_s,
        stop_timeout_s=spec.stop_timeout_s,
        placed=(*_shown(spec, visible, writable, directory, workspace), *mounted, *placed) if inside else (),
        root=str(root),
        directory=str(directory),
        notes=tuple(notes),
        host_namespaces=linux.own_namespaces() if sys.platform == "linux" else {},
        masked=linux.listening_sockets() if inside else (),
    )


def copy_tree(source: Path, target: Path) -> None:
    """
    Copy a file or directory with its times; links stay links, sockets and pipes are left out.

    Raises: UsageError where it can't be read.
    """

    def special(folder: str, names: list[str]) -> set[str]:
        entries = ((name, Path(folder, name)) for name in names)
        return {name for name, path in entries if not (path.is_symlink() or path.is_dir() or path.is_file())}

    try:
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=special)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    except (OSError, shutil.Error) as error:
        raise UsageError(f"{source}: can't be copied for the cell: {error}.") from error


def make_stand_ins(directory: Path, names: Sequence[str]) -> Path:
    """Make programs that say that they are stand-ins, and do nothing."""
    folder = directory / "stand-ins"
    folder.mkdir()
    for name in names:
        program = folder / name
        program.write_text(_STAND_IN.format(name=name), encoding="ascii")
        program.chmod(0o755)
    return folder


def make_environment(spec: DaemonSpec, values: Mapping[str, str], *, stand_ins: Path) -> dict[str, str]:
    """Give all that a daemon's environment holds. Of the host's own at most PATH is in it, last."""
    path = [*spec.path, str(stand_ins), *([os.environ.get("PATH", os.defpath)] if spec.host_path else [])]
    return {
        "PATH": os.pathsep.join(path),
        "HOME": values["home"],
        "CODEX_HOME": f"{values['home']}/.codex",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **{name: fill(text, values) for name, text in spec.environment.items()},
    }


def _home(spec: DaemonSpec, directory: Path, *, inside: bool) -> tuple[str, Path | None]:
    """Give HOME as the daemon sees it, and the scratch directory that stands there (None where a mount does)."""
    if inside and spec.home is not None and any(mount.target == spec.home for mount in spec.mounts):
        return spec.home, None
    own = directory / "home"
    own.mkdir(mode=0o700)
    return (spec.home if inside and spec.home is not None else str(own)), own


def _served(lanes: Sequence[Lane], *, inside: bool) -> tuple[Lane, ...]:
    """Give where lanes are served: at their recorded addresses, or, where those are the host's, each at a free port."""
    if inside:
        return tuple(lanes)
    return tuple(Lane(lane.name, (Address("127.0.0.1", free_port("127.0.0.1")),)) for lane in lanes)


def _companions(spec: DaemonSpec, lanes: Sequence[Lane], served: Sequence[Lane], *, inside: bool) -> tuple[list[Companion], list[str]]:
    """Leave out the companions whose ports the player serves; gives the others, and what is to be said."""
    texts = (*spec.environment.values(), *spec.command)
    ports: dict[int, str] = {}
    notes: list[str] = []
    for lane, own in zip(lanes, served, strict=True):
        at = " and ".join(address.url for address in own.addresses)
        told = inside or any(f"{{lane:{lane.name}" in text for text in texts)
        notes.append(f"lane {lane.name}: served out of the recording at {at}")
        if told:
            ports |= {address.port: lane.name for address in lane.addresses}
        else:
            recorded = lane.addresses[0].url
            notes.append(
                f"mapped cell: the daemon is not told so: it asks {recorded} of this host where that is what it is configured with. "
                f"Put {{lane:{lane.name}|{recorded}}} into its description."
            )
    kept = []
    for companion in spec.companions:
        if companion.ready_port in ports:
            notes.append(f"companion {companion.name}: not started: lane {ports[companion.ready_port]} is served in its place")
        else:
            kept.append(companion)
    return kept, notes


def _machine_id(directory: Path, machine_id: str) -> Placed:
    """Write the id to a file that a namespace cell shows in the place of the host's."""
    own = directory / "machine-id"
    own.write_text(f"{machine_id}\n", encoding="ascii")
    own.chmod(0o444)
    return Placed(str(own), MACHINE_ID_FILE, writable=False)


def _mounts(spec: DaemonSpec, directory: Path, *, inside: bool, home: Path | None) -> tuple[list[Placed], list[str]]:
    """Copy what is to be copied; give what a namespace cell places, and the targets that a mapped one can't have."""
    placed, missing = [], []
    for number, mount in enumerate(spec.mounts, 1):
        source = Path(mount.source)
        if not source.exists():
            raise UsageError(f"daemon {spec.name}: the mount's source {source} is not there.")
        if not inside:
            if home is not None and mount.target == spec.home and source.is_dir():
                shutil.copytree(source, home, symlinks=True, dirs_exist_ok=True)
            elif not Path(mount.target).exists():
                missing.append(mount.target)
            continue
        if mount.copy:
            own = directory / "mounts" / f"{number}-{source.name}"
            own.parent.mkdir(exist_ok=True)
            copy_tree(source, own)
            source = own
        placed.append(Placed(str(source), mount.target, writable=mount.copy))
    return placed, missing


def _mapped_port(spec: DaemonSpec) -> int:
    if spec.port is None:
        return free_port(spec.host)
    if is_taken(spec.port):
        raise DaemonError(
            f"daemon {spec.name}: port {spec.port} is taken on this host. A mapped cell shares the host's ports: "
            "leave `port` out of the description to get a free one, or stop what listens there."
        )
    return spec.port


def _shown(spec: DaemonSpec, visible: Sequence[Path], writable: Sequence[Path], directory: Path, workspace: str) -> list[Placed]:
    """Name what a namespace cell needs of places that it hides: this tool, its Python, and what was asked for."""
    needed = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).parent, Path(sys.executable).resolve().parent}
    needed |= {Path(sysconfig.get_paths()["stdlib"]), Path(sysconfig.get_paths()["purelib"]), Path(__file__).parents[2]}
    asked = [Path(each) for each in (*spec.visible, *spec.path)] + [each.absolute() for each in visible]
    for path in (*asked, *(each.absolute() for each in writable)):
        if not path.exists():
            raise UsageError(f"daemon {spec.name}: {path} shall be visible in the cell and is not there.")
        if str(path.resolve()) in {"/", *EMPTY}:
            raise UsageError(f"daemon {spec.name}: the cell has a {path} of its own; name what in it shall be visible or written to.")
    targets = [Path(each) for each in (workspace, spec.home, *(mount.target for mount in spec.mounts)) if each is not None]
    for path in (each.absolute() for each in writable):
        below = next((target for target in targets if path in target.parents and not target.exists()), None)
        if below is not None:
            raise UsageError(
                f"{path} can't be written to from the cell, for the cell has {below} below it and that would be made on the host. "
                "Write into a directory of its own."
            )
    shown = {str(path): False for path in (*sorted(needed), *asked)}
    shown |= {str(path.absolute()): True for path in (*writable, directory)}
    return [Placed(path, path, writable=is_writable) for path, is_writable in shown.items()]


def _player_environment() -> dict[str, str]:
    """Give our own processes what Python needs to find us, and no proxies."""
    kept = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "COLUMNS", "TERM", "NO_COLOR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
    }

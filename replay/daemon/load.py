"""
Reads a daemon's description from TOML.

The keys: `name`, `runtime`, `command` (a list; one that is wholly `${NAME}` may be several words), `environment` (a table), `pass` (names
of host variables), `path`, `host_path`, `stand_ins`, `directory`, `workspace`, `host`, `port`, `home`, `ready` (`path`, `status`,
`timeout_s`), `drained` (tables of `worker`, `database`, `sql`, `bound_s`), `pollers` (tables of `name`, `every_s`, `files`, `files_except`,
`routes`, `database`, `sql`), `mounts` (`source`, `target`, `copy`), `visible`, `companions` (`command`, `environment`, `ready_port`,
`ready_path`, `timeout_s`), `auth_secret`, `faketime`, `stop_timeout_s`, `base`. What each means stands in
`spec`. `${NAME}`, `${NAME:-default}` and `${NAME:?message}` are host variables; placeholders such as `{port}` are filled later.

Three things are settled here, so that a `DaemonSpec` stands by itself: `base` (another description that this one changes),
`${NAME}` (a variable of the host) and `pass` (host variables that the daemon may see).
"""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

from replay.daemon.shape import Place, Source, read_table
from replay.daemon.spec import PLACEHOLDERS, STAND_INS, Companion, DaemonSpec, Drained, Mount, Poller, Ready, fill
from replay.model import UsageError
from replay.model.toml import parse_toml
from replay.routes import REPLAY_CLASSES, by_name

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:[-?])([^}]*))?\}")
_BLANKS: Final = dict.fromkeys(PLACEHOLDERS, "")
_LANE: Final = re.compile(r"\{lane:[^{}|]+(?:\|[^{}]*)?\}")
_MAX_BASES: Final = 8
_SECONDS_MAX: Final = 3600

_TOP: Final[dict[str, tuple[type, ...]]] = {
    "base": (str,),
    "name": (str,),
    "runtime": (str,),
    "command": (list,),
    "environment": (dict,),
    "pass": (list,),
    "path": (list,),
    "host_path": (bool,),
    "stand_ins": (list,),
    "directory": (str,),
    "workspace": (str,),
    "host": (str,),
    "port": (int,),
    "ready": (dict,),
    "home": (str,),
    "drained": (list,),
    "pollers": (list,),
    "mounts": (list,),
    "visible": (list,),
    "companions": (list,),
    "auth_secret": (str,),
    "faketime": (str,),
    "stop_timeout_s": (int, float),
}
_READY: Final[dict[str, tuple[type, ...]]] = {"path": (str,), "status": (int,), "timeout_s": (int, float)}
_DRAINED: Final[dict[str, tuple[type, ...]]] = {"worker": (str,), "database": (str,), "sql": (str,), "bound_s": (int, float)}
_POLLER: Final[dict[str, tuple[type, ...]]] = {
    "name": (str,),
    "every_s": (int, float),
    "files": (list,),
    "files_except": (list,),
    "routes": (list,),
    "database": (str,),
    "sql": (str,),
}
_MOUNT: Final[dict[str, tuple[type, ...]]] = {"source": (str,), "target": (str,), "copy": (bool,)}
_COMPANION: Final[dict[str, tuple[type, ...]]] = {
    "command": (list,),
    "environment": (dict,),
    "ready_port": (int,),
    "ready_path": (str,),
    "timeout_s": (int, float),
}
_TEXT_LISTS: Final = ("command", "pass", "path", "visible", "stand_ins")


def builtin_daemons() -> tuple[str, ...]:
    """Name the descriptions that come with the tool."""
    folder = resources.files("replay.daemon") / "specs"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_daemon(
    name_or_path: str,
    *,
    extra_arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> DaemonSpec:
    """
    Read a description: a built-in name, or the path of a TOML file.

    `extra_arguments` go to the end of the command. `environment` holds the host's variables (default: those of this process).

    Raises: UsageError that names file and line for broken TOML, an unknown key, a wrong type; and one that says what to set
    where a variable of the host is missing.
    """
    host = os.environ if environment is None else environment
    source = _source(name_or_path, None)
    merged = _with_bases(source, host, 0)
    if "command" not in merged or not merged["command"]:
        raise UsageError(f'{source.where}: `command` is missing: a list of strings, such as ["signet-daemon"].')
    spec = _build(merged, source, host)
    _check(spec, source)
    return replace(spec, command=(*spec.command, *extra_arguments))


def _source(name_or_path: str, beside: Path | None) -> Source:
    if name_or_path in builtin_daemons():
        text = (resources.files("replay.daemon") / "specs" / f"{name_or_path}.toml").read_text(encoding="utf-8")
        return Source(f"built-in daemon {name_or_path!r}", name_or_path, None, text)
    path = Path(name_or_path).expanduser()
    if beside is not None and not path.is_absolute():
        path = beside / path
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(builtin_daemons())
        raise UsageError(f"daemon {name_or_path!r}: no such file, and no built-in one ({known}). Name one of these or a TOML file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"daemon {name_or_path!r}: can't be read as text: {error}.") from error
    return Source(str(path), path.stem, path.parent.absolute(), text)


def _with_bases(source: Source, host: Mapping[str, str], depth: int) -> dict[str, Any]:
    """Read one description and lay it over its base: tables are merged key by key, all else is replaced."""
    if depth > _MAX_BASES:
        raise UsageError(f"{source.where}: more than {_MAX_BASES} descriptions lie under this one; does `base` lead back to itself?")
    table = parse_toml(source.text, source.where, UsageError)
    _check_shape(table, source)
    _make_paths_whole(table, source, host)
    table.setdefault("name", source.name)
    base = table.pop("base", None)
    if base is None:
        return table
    under = _with_bases(_source(base, source.folder), host, depth + 1)
    for key, value in table.items():
        under[key] = {**under[key], **value} if isinstance(value, dict) and key in under else value
    return under


def _make_paths_whole(table: dict[str, Any], source: Source, host: Mapping[str, str]) -> None:
    """Take relative paths of the host as relative to the file that names them."""

    def whole(value: str, place: Place) -> str:
        try:
            path = Path(_variables(value, host, source)).expanduser()
        except RuntimeError as error:
            raise UsageError(f"{source.at(place)}: {value!r}: {error}.") from error
        return str(path if source.folder is None else source.folder / path)

    for index, mount in enumerate(table.get("mounts", [])):
        mount["source"] = whole(mount["source"], ("mounts", index, "source"))
    if "faketime" in table:
        table["faketime"] = whole(table["faketime"], ("faketime",))
    for key in ("visible", "path"):
        if key in table:
            table[key] = [whole(each, (key,)) for each in table[key]]


def _check_shape(table: dict[str, Any], source: Source) -> None:
    read_table(table, _TOP, (), source)
    for key in _TEXT_LISTS:
        source.expect_texts(table.get(key, []), (key,))
    source.expect_texts(list(table.get("environment", {}).values()), ("environment",))
    read_table(table.get("ready", {}), _READY, ("ready",), source)
    parts = (
        ("drained", _DRAINED, ("worker", "database", "sql")),
        ("pollers", _POLLER, ("name", "every_s")),
        ("mounts", _MOUNT, ("source", "target")),
        ("companions", _COMPANION, ("command",)),
    )
    for key, shape, needed in parts:
        for index, item in enumerate(table.get(key, [])):
            read_table(item, shape, (key, index), source, needed=needed)
    for index, item in enumerate(table.get("pollers", [])):
        for key in ("files", "files_except", "routes"):
            source.expect_texts(item.get(key, []), ("pollers", index, key))
    for index, item in enumerate(table.get("companions", [])):
        source.expect_texts(item["command"], ("companions", index, "command"))
        source.expect_texts(list(item.get("environment", {}).values()), ("companions", index, "environment"))


def _build(table: dict[str, Any], source: Source, host: Mapping[str, str]) -> DaemonSpec:
    def text(value: str) -> str:
        return _variables(value, host, source)

    def words(values: Sequence[str]) -> tuple[str, ...]:
        found: list[str] = []
        for value in values:
            # A command that comes whole from a variable may be several words: SIGNET_JS_COMMAND="bun …/daemon.ts".
            found += shlex.split(text(value)) if _VARIABLE.fullmatch(value) else [text(value)]
        return tuple(found)

    passed = {name: host[name] for name in table.get("pass", []) if name in host}
    given = {name: text(value) for name, value in table.get("environment", {}).items()}
    if "PATH" in {**passed, **given}:
        raise UsageError(f"{source.at(('environment', 'PATH'))}: PATH is made by the cell. Put directories that shall come first into `path`.")
    ready = table.get("ready", {})
    return DaemonSpec(
        name=table["name"],
        runtime=table.get("runtime", table["name"]),
        command=words(table["command"]),
        environment={**passed, **given},
        path=tuple(table.get("path", [])),
        host_path=table.get("host_path", True),
        stand_ins=tuple(table.get("stand_ins", STAND_INS)),
        directory=table.get("directory"),
        workspace=table.get("workspace"),
        host=table.get("host", "127.0.0.1"),
        port=table.get("port"),
        ready=Ready(**{**ready, "timeout_s": float(ready.get("timeout_s", Ready().timeout_s))}),
        home=table.get("home"),
        drained=tuple(Drained(**each) for each in table.get("drained", [])),
        pollers=tuple(_poller(each) for each in table.get("pollers", [])),
        mounts=tuple(Mount(each["source"], each["target"], each.get("copy", True)) for each in table.get("mounts", [])),
        visible=tuple(table.get("visible", [])),
        companions=tuple(
            Companion(
                command=words(each["command"]),
                environment={name: text(value) for name, value in each.get("environment", {}).items()},
                ready_port=each.get("ready_port"),
                ready_path=each.get("ready_path"),
                timeout_s=float(each.get("timeout_s", 15.0)),
            )
            for each in table.get("companions", [])
        ),
        auth_secret=table.get("auth_secret", ".daemon/auth-secret"),
        faketime=table.get("faketime"),
        stop_timeout_s=float(table.get("stop_timeout_s", 20.0)),
    )


def _poller(table: dict[str, Any]) -> Poller:
    return Poller(
        name=table["name"],
        every_s=float(table["every_s"]),
        files=tuple(table.get("files", [])),
        files_except=tuple(table.get("files_except", [])),
        routes=tuple(table.get("routes", [])),
        database=table.get("database", ""),
        sql=table.get("sql", ""),
    )


def _variables(value: str, host: Mapping[str, str], source: Source) -> str:
    def found(match: re.Match[str]) -> str:
        name, how, rest = match[1], match[2], match[3]
        if host.get(name):
            return host[name]
        if how == ":-":
            return str(rest)
        why = rest if how == ":?" else f"the variable {name} is not set"
        raise UsageError(f"{source.where}: {why}.")

    return _VARIABLE.sub(found, value)


def _check(spec: DaemonSpec, source: Source) -> None:
    companions = (word for each in spec.companions for word in (*each.command, *each.environment.values()))
    for text in (*spec.command, *spec.environment.values(), *companions):
        try:
            # Which lanes are served is not known before a recording is.
            fill(_LANE.sub("", text), _BLANKS)
        except UsageError as error:
            raise UsageError(f"{source.where}: {error}") from error
        if "\0" in text:
            raise UsageError(f"{source.where}: {text!r} holds a NUL character, which no command and no variable can.")
    for name in (*spec.environment, *(name for each in spec.companions for name in each.environment)):
        if not name or "=" in name or "\0" in name:
            raise UsageError(f"{source.at(('environment', name))}: {name!r} is no name of a variable.")
    named = (("workspace", spec.workspace), ("home", spec.home), ("directory", spec.directory))
    for key, path in (*named, *(("mounts", each.target) for each in spec.mounts)):
        if path is not None and (not path.startswith("/") or ".." in Path(path).parts or Path(path) == Path("/")):
            raise UsageError(f"{source.at((key,))}: {path!r} must be an absolute path below / without `..`.")
    unknown = sorted(set(spec.stand_ins) - set(STAND_INS))
    if unknown:
        raise UsageError(f"{source.at(('stand_ins',))}: there is no stand-in for {', '.join(unknown)}, only for {', '.join(STAND_INS)}.")
    if not spec.name or "/" in spec.name or "\0" in spec.name:
        raise UsageError(f"{source.at(('name',))}: {spec.name!r} is no name: it becomes part of a directory's.")
    times: list[tuple[Place, float]] = [(("ready", "timeout_s"), spec.ready.timeout_s), (("stop_timeout_s",), spec.stop_timeout_s)]
    times += [(("drained", index, "bound_s"), each.bound_s) for index, each in enumerate(spec.drained)]
    times += [(("pollers", index, "every_s"), each.every_s) for index, each in enumerate(spec.pollers)]
    times += [(("companions", index, "timeout_s"), each.timeout_s) for index, each in enumerate(spec.companions)]
    for place, seconds in times:
        if not 0 < seconds <= _SECONDS_MAX:
            raise UsageError(f"{source.at(place)}: {seconds:g} must be seconds over 0 and at most {_SECONDS_MAX}.")
    _check_pollers(spec, source)
    relative = Path(spec.auth_secret)
    if relative.is_absolute() or ".." in relative.parts:
        raise UsageError(f"{source.at(('auth_secret',))}: {spec.auth_secret!r} must lie in the workspace: a relative path without `..`.")
    if spec.host not in {"127.0.0.1", "localhost", "::1"}:
        raise UsageError(
            f"{source.at(('host',))}: {spec.host!r} is not loopback. A replayed daemon listens on 127.0.0.1, localhost or ::1 only."
        )
    if spec.port is not None and not 0 < spec.port < 65536:
        raise UsageError(f"{source.at(('port',))}: {spec.port} is no port. Leave it out for the recorded one.")
    for index, companion in enumerate(spec.companions):
        if companion.ready_path is not None and companion.ready_port is None:
            raise UsageError(f"{source.at(('companions', index, 'ready_path'))}: `ready_path` needs `ready_port` beside it.")


def _check_pollers(spec: DaemonSpec, source: Source) -> None:
    known = REPLAY_CLASSES | by_name().keys() | {route.template for route in by_name().values()}
    for index, poller in enumerate(spec.pollers):
        place = ("pollers", index)
        if not poller.files and not poller.routes:
            raise UsageError(f"{source.at(place)}: poller {poller.name!r} needs `files` or `routes`: what gives it something to do.")
        if bool(poller.database) != bool(poller.sql):
            raise UsageError(f"{source.at(place)}: poller {poller.name!r}: `database` and `sql` go together.")
        unknown = sorted(set(poller.routes) - known)
        if unknown:
            raise UsageError(f"{source.at((*place, 'routes'))}: {unknown[0]!r} is no route, template or replay class.")

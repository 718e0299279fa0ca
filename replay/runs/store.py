"""Write a run to its directory and read it back."""

import contextlib
import fcntl
import json
import os
import types
import typing
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from replay.archive import Keyring, read_sealed, write_sealed
from replay.compare import rows_of
from replay.model import Answers, Cause, Cluster, Divergence, Finding, Pair, UsageError
from replay.runs.run import Run

FORMAT = 2
_LISTS: tuple[tuple[str, type], ...] = (
    ("pairs", Pair),
    ("findings", Finding),
    ("divergences", Divergence),
    ("clusters", Cluster),
    ("causes", Cause),
    ("answers", Answers),
)


HELD_BYTES_MAX: Final = 32 << 20
_LYING: Final = frozenset({"pairs", "answers"})
"""Tables that may be read from the disk each time."""
_DRAFT: Final = ".draft"
_SEALED: Final = "run.enc"
_CLEAR: Final = (*(f"{name}.jsonl" for name, _ in _LISTS), "run.json")
_ENCRYPTED: Final = (_SEALED, "run.json")
_BEGUN: Final = f"comparing{_DRAFT}"
"""There while a comparison is under way; empty."""
_OWN_FILES: Final = frozenset((_BEGUN, *(name + end for name in (*_CLEAR, _SEALED) for end in ("", _DRAFT))))


def is_run(path: Path) -> bool:
    """Whether *path* is a directory that holds a run."""
    return (path / "run.json").is_file()


def check_place(path: Path) -> None:
    """
    Make sure that a run may be written to *path*: it is new, empty, a run, or what is left of one that was interrupted.

    Raises:
        UsageError: it is something else.

    """
    try:
        if path.exists() and not is_run(path) and (not path.is_dir() or any(entry.name not in _OWN_FILES for entry in path.iterdir())):
            raise UsageError(f"{path}: is there and is no run; name another directory")
    except OSError as error:
        raise UsageError(f"{path}: no run can be written there ({error.strerror}); name another directory") from error


@contextlib.contextmanager
def claim(path: Path) -> Iterator[None]:
    """
    Keep the place of a run for one comparison, from before it begins until it is saved; a folder in which nothing came to be goes again.

    Raises:
        UsageError: another comparison has it, something else than a run is there, or it can't be made.

    """
    check_place(path)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"{path}: no run can be written there ({error.strerror}); name another directory") from error
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{path}: another comparison is writing its run there; wait for it, or name another directory") from error
        yield
    finally:
        with contextlib.suppress(OSError):
            path.rmdir()
        os.close(held)


def begin(path: Path) -> bool:
    """
    Note that a comparison for this place is under way; gives whether one before it was cut short, of which nothing can be used.

    `save` and `give_up` take the note away.

    Raises:
        UsageError: it can't be written.

    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        was = (path / _BEGUN).exists()
        _create(path / _BEGUN).close()
    except OSError as error:
        raise UsageError(f"{path}: no run can be written there ({error.strerror}); name another directory") from error
    return was


def give_up(path: Path) -> None:
    """Take the note of `begin` away, and the folder where nothing else is in it."""
    with contextlib.suppress(OSError):
        (path / _BEGUN).unlink(missing_ok=True)
        path.rmdir()


def save(run: Run, path: Path, *, recipients: Sequence[bytes] = ()) -> None:
    """
    Write *run* to the directory *path*, replacing a run that is already there; encrypted, where there are *recipients* (public keys).

    Everything is written beside the run that is there, and takes its place only when all of it is on the disk; `run.json` comes last, so
    a run that was cut short is not taken for one.

    Raises:
        UsageError: *path* is something else than a run or an empty directory, or it can't be written; then what was there still is.
        ArchiveError: a recipient is no key.

    """
    check_place(path)
    names, others = (_ENCRYPTED, _CLEAR) if recipients else (_CLEAR, _ENCRYPTED)
    head, tables = _split(run)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if recipients:
            with _create(path / f"{_SEALED}{_DRAFT}") as file:
                write_sealed(file, _in_one(head, tables), recipients)
            head = {"format": FORMAT, "recipients": [public.hex() for public in recipients]}
        else:
            for name, rows in tables.items():
                _write(path / f"{name}.jsonl{_DRAFT}", (json.dumps(row, ensure_ascii=False) for row in rows))
        _write(path / f"run.json{_DRAFT}", [json.dumps(head, ensure_ascii=False, indent=1)])
        (path / "run.json").unlink(missing_ok=True)
        for name in names:
            (path / f"{name}{_DRAFT}").replace(path / name)
        for name in (*(set(others) - set(names)), _BEGUN):
            (path / name).unlink(missing_ok=True)
    except OSError as error:
        _remove_drafts(path)
        raise UsageError(f"{path}: the run can't be written ({error.strerror}); make room, or name another directory") from error


def load(path: Path, *, keys: Keyring | None = None) -> Run:
    """
    Read a run, with *keys* where it is encrypted.

    Raises:
        UsageError: *path* holds no run, a damaged one, or one of a newer format.
        ArchiveError: it is encrypted for other keys (it says which), or what is encrypted is damaged.

    """
    if not is_run(path):
        raise UsageError(f"{path}: is no run (there is no run.json in it); `signet-parity compare … --run {path}` makes one")
    try:
        head = json.loads((path / "run.json").read_text("utf-8"))
        values = _sealed_values(path, keys) if "recipients" in head else {**head, **{name: _rows(path / f"{name}.jsonl") for name, _ in _LISTS}}
        if head["format"] != FORMAT or values.pop("format") != FORMAT:
            raise UsageError(f"{path}: was written by another version of this tool; compare again")
        lying = {} if "recipients" in head else _lying(path)
        values |= {name: () if name in lying else list(values[name]) for name, _ in _LISTS}
        findings = values["findings"]
        divergences = values["divergences"]
        if len(findings) != len(divergences):
            raise UsageError(f"{path}: {len(findings)} findings but {len(divergences)} judgements; compare again")
        values["divergences"] = [{**row, "finding": finding} for row, finding in zip(divergences, findings, strict=True)]
        run = replace(_build(Run, values), **lying)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: is a damaged run ({type(error).__name__}: {error}); compare again") from error
    return typing.cast("Run", run)


def recipients_of(path: Path) -> tuple[bytes, ...]:
    """
    Give the public keys for which a run is encrypted; empty where it is in clear.

    Raises:
        UsageError: it is no run, or a damaged one.

    """
    try:
        head = json.loads((path / "run.json").read_text("utf-8"))
        return tuple(bytes.fromhex(public) for public in head.get("recipients", ()))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: is no run, or a damaged one ({type(error).__name__}: {error}); compare again") from error


def _split(run: Run) -> tuple[dict[str, Any], dict[str, Iterable[dict[str, Any]]]]:
    """Give what stands once, and the tables, row by row."""
    names = [name for name, _ in _LISTS]
    head = {item.name: _plain(getattr(run, item.name)) for item in fields(run) if item.name not in names}
    tables: dict[str, Iterable[dict[str, Any]]] = {name: map(_plain, getattr(run, name)) for name in names}
    tables["divergences"] = ({key: value for key, value in _plain(row).items() if key != "finding"} for row in run.divergences)
    return {"format": FORMAT, **head}, tables


def _plain(value: Any) -> Any:
    """Give a value as JSON has it: a dataclass is a map of its fields."""
    if is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in _names(typing.cast("Hashable", type(value)))}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


def _in_one(head: Mapping[str, Any], tables: Mapping[str, Iterable[Any]]) -> Iterator[bytes]:
    """Give all of a run as one text: a line for what stands once, then a line for each row, with its table's name."""
    yield json.dumps(head).encode() + b"\n"
    for name, rows in tables.items():
        for row in rows:
            yield json.dumps([name, row]).encode() + b"\n"


def _sealed_values(path: Path, keys: Keyring | None) -> dict[str, Any]:
    first, *rows = read_sealed(path / _SEALED, Keyring() if keys is None else keys).splitlines()
    values: dict[str, Any] = {**json.loads(first), **{name: [] for name, _ in _LISTS}}
    for line in rows:
        name, row = json.loads(line)
        values[name].append(row)
    return values


def _create(path: Path) -> typing.BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _write(path: Path, lines: Iterable[str]) -> None:
    with _create(path) as file:
        file.writelines((line + "\n").encode("utf-8", "backslashreplace") for line in lines)


def _remove_drafts(path: Path) -> None:
    for name in {*_CLEAR, *_ENCRYPTED}:
        with contextlib.suppress(OSError):
            (path / f"{name}{_DRAFT}").unlink(missing_ok=True)


def _lying(path: Path) -> dict[str, Any]:
    """Give the tables that are too big to be held: they are read from the disk each time."""
    big = [(name, kind) for name, kind in _LISTS if name in _LYING and (path / f"{name}.jsonl").stat().st_size > HELD_BYTES_MAX]
    return {name: rows_of(path / f"{name}.jsonl", partial(_build, kind)) for name, kind in big}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _build(kind: Any, value: Any) -> Any:
    """Make a value of an annotated type from plain JSON."""
    if isinstance(kind, typing.TypeAliasType):
        kind = kind.__value__
    origin = typing.get_origin(kind)
    if origin in {types.UnionType, typing.Union}:
        if value is None:
            return None
        return _build(next(part for part in typing.get_args(kind) if part is not type(None)), value)
    if origin is tuple or origin is Sequence:
        parts = typing.get_args(kind)
        if origin is Sequence or parts[-1] is Ellipsis:
            return tuple(_build(parts[0], item) for item in value)
        return tuple(_build(part, item) for part, item in zip(parts, value, strict=True))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{item.name: _build(hints[item.name], value[item.name]) for item in fields(kind) if item.name in value})
    return value


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)

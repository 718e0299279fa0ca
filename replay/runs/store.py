"""Write a run to its directory and read it back."""

import json
import os
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from replay.model import Cluster, Divergence, Finding, Pair, UsageError
from replay.runs.run import Answers, Run

FORMAT = 1
_LISTS: tuple[tuple[str, type], ...] = (
    ("pairs", Pair),
    ("findings", Finding),
    ("divergences", Divergence),
    ("clusters", Cluster),
    ("answers", Answers),
)


def is_run(path: Path) -> bool:
    """Whether *path* is a directory that holds a run."""
    return (path / "run.json").is_file()


def save(run: Run, path: Path) -> None:
    """
    Write *run* to the directory *path*, replacing a run that is already there.

    `run.json` is written last, so a run that was cut short is not taken for one.

    Raises:
        UsageError: *path* is something else than a run or an empty directory.

    """
    if path.exists() and not is_run(path) and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path}: is there and is no run; name another directory")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    (path / "run.json").unlink(missing_ok=True)
    head = asdict(run)
    for name, _ in _LISTS:
        rows = head.pop(name)
        if name == "divergences":
            rows = [{key: value for key, value in row.items() if key != "finding"} for row in rows]
        _write(path / f"{name}.jsonl", (json.dumps(row, ensure_ascii=False) for row in rows))
    _write(path / "run.json", [json.dumps({"format": FORMAT, **head}, ensure_ascii=False, indent=1)])


def load(path: Path) -> Run:
    """
    Read a run.

    Raises:
        UsageError: *path* holds no run, a damaged one, or one of a newer format.

    """
    if not is_run(path):
        raise UsageError(f"{path}: is no run (there is no run.json in it); `signet-parity compare … --run {path}` makes one")
    try:
        head = json.loads((path / "run.json").read_text("utf-8"))
        if head.pop("format") != FORMAT:
            raise UsageError(f"{path}: was written by another version of this tool; compare again")
        values: dict[str, Any] = {name: list(_rows(path / f"{name}.jsonl")) for name, _ in _LISTS}
        findings = values["findings"]
        divergences = values["divergences"]
        if len(findings) != len(divergences):
            raise UsageError(f"{path}: {len(findings)} findings but {len(divergences)} judgements; compare again")
        values["divergences"] = [{**row, "finding": finding} for row, finding in zip(divergences, findings, strict=True)]
        run = _build(Run, {**head, **values})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: is a damaged run ({type(error).__name__}: {error}); compare again") from error
    return typing.cast("Run", run)


def _write(path: Path, lines: Iterable[str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(line + "\n" for line in lines)


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
    if origin is tuple:
        parts = typing.get_args(kind)
        if parts[-1] is Ellipsis:
            return tuple(_build(parts[0], item) for item in value)
        return tuple(_build(part, item) for part, item in zip(parts, value, strict=True))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    if isinstance(kind, type) and is_dataclass(kind):
        hints: Mapping[str, Any] = typing.get_type_hints(kind)
        return kind(**{item.name: _build(hints[item.name], value[item.name]) for item in fields(kind) if item.name in value})
    return value

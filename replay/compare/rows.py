"""
Many values of one kind, in memory or in a file without a name, read again as often as they are wanted.

A comparison of a million exchanges makes a million pairs. They are written down as they come and read back one by one. The file is never
seen in its folder, so nothing is left behind when the work is cut short, and its space is free again when the last one who reads it
is gone.
"""

import json
import marshal
import os
import tempfile
import types
import typing
import weakref
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, overload

from replay.model import UsageError

_STEP_BYTES: Final = 1 << 18
_MARK_EVERY: Final = 256
"""So many rows are read over, at most, before the one that is wanted."""
_SAME: Final = frozenset({str, int, float, bool})


type _Cut = Callable[[bytes], tuple[Iterable[Any], bytes]]
"""Takes what was read apart: the whole rows in it, and what stands behind them."""


class Rows[Kind](Sequence[Kind]):
    """A sequence of values that lie in a file. Equal to any sequence of the same values."""

    def __init__(self, file: int, marks: "array[int]", count: int, build: Callable[[Any], Kind], cut: "_Cut") -> None:
        self._cut = cut
        self._file = file
        self._marks = marks
        self._count = count
        self._build = build

    def changed(self, change: Callable[[Kind], Kind]) -> "Rows[Kind]":
        """Give the same values, each changed as it is read."""
        build = self._build
        rows = Rows(self._file, self._marks, self._count, lambda row: change(build(row)), self._cut)
        rows._keeps = self  # the file lives as long as one of them
        return rows

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Kind]:
        return self._from(0)

    @overload
    def __getitem__(self, at: int) -> Kind: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Kind]: ...
    def __getitem__(self, at: int | slice) -> Kind | Sequence[Kind]:
        if isinstance(at, slice):
            wanted = range(*at.indices(self._count))
            return tuple(self[number] for number in wanted)
        number = at + self._count if at < 0 else at
        if not 0 <= number < self._count:
            raise IndexError(at)
        return next(self._from(number))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(other) == self._count and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as for any sequence that is compared by its values

    def _from(self, number: int) -> Iterator[Kind]:
        """Give the values from one on."""
        if not self._count:
            return
        over = number % _MARK_EVERY
        at = self._marks[number // _MARK_EVERY]
        rest = b""
        while data := os.pread(self._file, _STEP_BYTES, at):
            at += len(data)
            rows, rest = self._cut(rest + data)
            for row in rows:
                if over:
                    over -= 1
                else:
                    yield self._build(row)

    _keeps: "Rows[Kind] | None" = None


class RowWriter[Kind]:
    """Takes values, and gives them back as a sequence: a tuple, or `Rows` where there is a folder to write in."""

    def __init__(self, kind: type[Kind], folder: Path | None) -> None:
        """Write in *folder*; in memory where it is None. Raises UsageError where nothing can be written there."""
        self._kind = kind
        self._folder = folder
        self._values: list[Kind] = []
        self._open: list[bytes] = []
        self._open_bytes = 0
        self._written = 0
        self.count = 0
        """How many were taken."""
        self._marks = array("q")
        self._pack = _packer(typing.cast("Hashable", kind))
        self._file = -1
        if folder is not None:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as file:
                    self._file = os.dup(file.fileno())
            except OSError as error:
                raise _unwritten(folder, error) from error

    def add(self, value: Kind) -> None:
        """Take one more. Raises UsageError where it can't be written."""
        if self._file < 0:
            self.count += 1
            self._values.append(value)
        else:
            self._write(self._pack(value))

    def take(self, fields: tuple[Any, ...]) -> None:
        """Do as `add`, for a value that is not made yet: its fields, of types that JSON knows."""
        if self._file < 0:
            self.add(self._kind(*fields))
        else:
            self._write(fields)

    def _write(self, row: Any) -> None:
        packed = marshal.dumps(row)
        if self.count % _MARK_EVERY == 0:
            self._marks.append(self._written + self._open_bytes)
        self._open += (len(packed).to_bytes(4, "big"), packed)
        self._open_bytes += 4 + len(packed)
        self.count += 1
        if self._open_bytes >= _STEP_BYTES:
            self._flush()

    def rows(self) -> Sequence[Kind]:
        """Give all that was taken. Nothing may be added afterwards."""
        if self._file < 0:
            return tuple(self._values)
        self._flush()
        rows = Rows(self._file, self._marks, self.count, _builder(typing.cast("Hashable", self._kind)), _cut_packed)
        weakref.finalize(rows, os.close, self._file)
        return rows

    def drop(self) -> None:
        """Let what was taken go, where `rows` was not asked for."""
        if self._file >= 0:
            os.close(self._file)

    def _flush(self) -> None:
        data = memoryview(b"".join(self._open))
        self._open, self._open_bytes = [], 0
        try:
            while data:
                taken = os.write(self._file, data)
                self._written += taken
                data = data[taken:]
        except OSError as error:
            assert self._folder is not None
            raise _unwritten(self._folder, error) from error


def rows_of[Kind](path: Path, build: Callable[[Any], Kind]) -> Rows[Kind]:
    """
    Give what lies in a file as JSON, a value a line, without holding it. Each line is looked at once, here.

    Raises:
        OSError: it can't be read.
        ValueError: a line is no JSON. Also whatever *build* raises.

    """
    file = os.open(path, os.O_RDONLY)
    try:
        marks, count, place = array("q"), 0, 0
        with os.fdopen(os.dup(file), "rb") as lines:
            for line in lines:
                if count % _MARK_EVERY == 0:
                    marks.append(place)
                build(json.loads(line))
                count += 1
                place += len(line)
    except BaseException:
        os.close(file)
        raise
    rows = Rows(file, marks, count, build, _cut_lines)
    weakref.finalize(rows, os.close, file)
    return rows


def changed[Kind](values: Sequence[Kind], change: Callable[[Kind], Kind]) -> Sequence[Kind]:
    """Give a sequence with each value changed: at once, or of `Rows` as they are read."""
    return values.changed(change) if isinstance(values, Rows) else tuple(map(change, values))


def _cut_lines(data: bytes) -> tuple[Iterable[Any], bytes]:
    lines = data.split(b"\n")
    rest = lines.pop()
    return map(json.loads, lines), rest


def _cut_packed(data: bytes) -> tuple[Iterable[Any], bytes]:
    rows, at = [], 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        rows.append(marshal.loads(data[at + 4 : end]))  # noqa: S302  # our own bytes, in a file that nobody else can open
        at = end
    return rows, data[at:]


def _unwritten(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"{folder}: what was compared can't be put aside there ({error.strerror}); make room, or name another directory")


@cache
def _packer(kind: Any) -> Callable[[Any], Any]:
    """Make what packs a value as JSON: a dataclass is the list of its fields."""
    kind = _plain(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = tuple(item.name for item in fields(kind))
        nested = {name: _packer(hints[name]) for name in names if not _is_same(hints[name])}
        if not nested:
            return attrgetter(*names)
        take = attrgetter(*names)
        packers = tuple((at, nested[name]) for at, name in enumerate(names) if name in nested)

        def pack(value: Any) -> list[Any]:
            row = list(take(value))
            for at, inner in packers:
                row[at] = inner(row[at])
            return row

        return pack
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        if parts[-1] is Ellipsis:
            each = _packer(parts[0])
            return lambda value: [each(item) for item in value]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value: value.value
    return lambda value: (
        value.value if isinstance(value, Enum) else value if not is_dataclass(value) else _packer(typing.cast("Hashable", type(value)))(value)
    )


@cache
def _builder(kind: Any) -> Callable[[Any], Any]:
    """Make what builds a value again from what `_packer` packed."""
    kind = _plain(kind)
    if typing.get_origin(kind) in {types.UnionType, typing.Union}:
        inner = _builder(next(part for part in typing.get_args(kind) if part is not types.NoneType))
        return lambda value: None if value is None else inner(value)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        builders = tuple((at, _builder(hints[item.name])) for at, item in enumerate(fields(kind)) if not _is_same(hints[item.name]))

        def build(packed: Sequence[Any]) -> Any:
            row = list(packed)
            for at, make in builders:
                row[at] = make(row[at])
            return kind(*row)

        return build
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        if parts[-1] is Ellipsis:
            each = _builder(parts[0])
            return lambda value: tuple([each(item) for item in value])
        makers = [_builder(part) for part in parts]
        return lambda value: tuple([make(item) for make, item in zip(makers, value, strict=True)])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return lambda value: value


def _is_same(kind: Any) -> bool:
    """Whether values of a type are in JSON what they are."""
    kind = _plain(kind)
    if typing.get_origin(kind) in {types.UnionType, typing.Union}:
        return all(part is types.NoneType or part in _SAME for part in typing.get_args(kind))
    return kind in _SAME


def _plain(kind: Any) -> Any:
    return kind.__value__ if isinstance(kind, typing.TypeAliasType) else kind


__all__ = ["RowWriter", "Rows", "changed", "rows_of"]

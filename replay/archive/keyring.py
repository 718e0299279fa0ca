"""
Keys for encrypted archives: who may read one.

A key file is one line of text: `signet-parity-private <64 hexadecimals> <key id> <comment>`, or `signet-parity-public …` with the public
half alone. The id is the beginning of the public half's SHA-256, so both halves bear the same. Whoever records needs public keys only.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from replay.archive.disk import PRIVATE_FILE
from replay.model import ArchiveError

KEY_BYTES: Final = 32
_LINE: Final = re.compile(r"signet-parity-(private|public) ([0-9a-f]{64}) ([0-9a-f]{16})(?: ([^\r\n]*))?\n?")
_FILE_BYTES_MAX: Final = 4096


def key_id(public: bytes) -> str:
    """Name a public key: 16 hexadecimals."""
    return hashlib.sha256(b"signet-parity recipient\0" + public).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a pair of X25519 keys, or both."""

    public: bytes
    private: bytes | None = field(default=None, repr=False)
    comment: str = ""

    @property
    def id(self) -> str:
        """What it is called in archives."""
        return key_id(self.public)

    def line(self, *, private: bool) -> str:
        """Give the content of its file; of the private one only where *private* is asked and it is there."""
        secret = self.private if private else None
        what, octets = ("public", self.public) if secret is None else ("private", secret)
        return f"signet-parity-{what} {octets.hex()} {self.id} {self.comment}".rstrip() + "\n"


@dataclass(frozen=True, slots=True)
class Keyring:
    """What an archive may be opened with. Empty: only archives that are not encrypted."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    """Private keys, by id."""
    data_keys: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    """Data keys of single files, by what each is where it is sealed: all that a process gets which is to read one archive only."""

    @classmethod
    def of(cls, keys: Iterable[Key]) -> Self:
        """Make one of keys; public ones open nothing and are left."""
        return cls({key.id: key for key in keys if key.private is not None})

    def as_json(self) -> dict[str, str]:
        """
        Give the data keys as JSON, for a pipe to another process.

        Raises:
            ValueError: it holds a private key, which is for no other process.
        """
        if self.keys:
            raise ValueError("a private key is never handed on")
        return {sealed.hex(): key.hex() for sealed, key in self.data_keys.items()}

    @classmethod
    def of_json(cls, told: Mapping[str, str]) -> Self:
        """Make one of what `as_json` gave. Raises `ValueError` where it is something else."""
        return cls(data_keys={bytes.fromhex(sealed): bytes.fromhex(key) for sealed, key in told.items()})

    @classmethod
    def load(cls, path: Path) -> Self:
        """
        Read a private key file, or every key file of a folder (its other files are left).

        Raises:
            ArchiveError: it can't be read, or holds no key.
        """
        if not path.is_dir():
            key = load_key(path)
            if key.private is None:
                raise ArchiveError(f"{path}: a public key; only the private one opens an archive")
            return cls.of([key])
        try:
            files = sorted(entry for entry in path.iterdir() if entry.is_file() and entry.stat().st_size <= _FILE_BYTES_MAX)
        except OSError as error:
            raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error
        found = [load_key(file) for file in files if _looks_like_key(file)]
        ring = cls.of(found)
        if not ring.keys:
            raise ArchiveError(f"{path}: no private key file is in it; `signet-parity keys new` makes one")
        return ring


def make_key(comment: str = "") -> Key:
    """Make a new pair."""
    from nacl.public import PrivateKey

    pair = PrivateKey.generate()
    return Key(bytes(pair.public_key), bytes(pair), " ".join(comment.split()))


def load_key(path: Path) -> Key:
    """
    Read a key file.

    Raises:
        ArchiveError: it can't be read, or is none.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_FILE_BYTES_MAX + 1)
        line = _LINE.fullmatch(text.decode())
    except OSError as error:
        raise ArchiveError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        line = None
    if line is None:
        raise ArchiveError(f"{path}: no key file; `signet-parity keys new` makes one")
    what, octets, name, comment = line.groups()
    key = _key(what, bytes.fromhex(octets), comment or "")
    if key.id != name:
        raise ArchiveError(f"{path}: damaged: the key is not the one that its id names")
    return key


def save_key(key: Key, path: Path, *, private: bool) -> None:
    """
    Write a key file, a private one readable by its owner alone. Never writes over one.

    Raises:
        ArchiveError: there is something at the path already, or it can't be written; then nothing is left of it.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_FILE if private else 0o644)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(key.line(private=private))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except FileExistsError:
        raise ArchiveError(f"{path}: there is something already; a key is never written over") from None
    except OSError as error:
        raise ArchiveError(f"{path}: can't be written: {error.strerror or error}") from error


def _key(what: str, octets: bytes, comment: str) -> Key:
    if what == "public":
        return Key(octets, None, comment)
    from nacl.public import PrivateKey

    return Key(bytes(PrivateKey(octets).public_key), octets, comment)


def _looks_like_key(path: Path) -> bool:
    try:
        return _LINE.fullmatch(path.read_text("utf-8")) is not None
    except (OSError, UnicodeDecodeError):
        return False

"""
The store of secrets, `.secrets/secrets.enc`, in the daemon's own format (version 1, the only one).

How this works
--------------
The file is JSON: `{"version": 1, "secrets": {NAME: {"ciphertext", "created", "updated"}}}`, indented by two spaces, without a
newline at its end, names in the order in which they came. A ciphertext is standard base64 of a 24-byte nonce followed by the
secretbox output (16-byte Poly1305 tag, XSalsa20 stream). The key is BLAKE2b-256 of `signet:secrets:` and the machine id, so a
store opens only where that id is known. The id is always given here; nothing reads the host's own unless asked to.

The Rust daemon keeps the same file but puts base64 of the *plaintext* where the ciphertext belongs (`put_plain`).

A store that can't be read is an error and stays as it is on disk.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from replay.model import ParityError, UsageError
from replay.workspace.files import write_whole

FILE: Final = ".secrets/secrets.enc"
"""Where the store is, from the workspace's root."""
HIDDEN_NAMES: Final = frozenset(
    {
        "BITWARDEN_SESSION",
        "SIGNET_SECRETS_ACTIVE_PROVIDER",
        "BITWARDEN_MANAGED_FOLDER_ID",
        "BITWARDEN_DELETED_SECRET_NAMES",
        "OP_SERVICE_ACCOUNT_TOKEN",
    }
)
"""The daemon's own entries, which its lists never show."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NONCE_BYTES: Final = SecretBox.NONCE_SIZE
_STORE_BYTES_MAX: Final = 16 * 1024 * 1024
_FIELDS: Final = ("ciphertext", "created", "updated")


@dataclass(frozen=True, slots=True)
class Secret:
    """One entry, as it lies in the file."""

    ciphertext: str
    created: str
    updated: str


@dataclass(frozen=True, slots=True)
class Store:
    """All entries, in the file's order."""

    secrets: Mapping[str, Secret] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the daemon's list shows."""
        return tuple(name for name in self.secrets if name not in HIDDEN_NAMES)


def derive_key(machine_id: str) -> bytes:
    """Make the 32-byte key of a machine."""
    return hashlib.blake2b(f"signet:secrets:{machine_id}".encode(), digest_size=32).digest()


def read_machine_id(*paths: Path) -> str:
    """
    Give the first non-empty content of *paths*, trimmed.

    Raises:
        UsageError: none of them holds an id.
    """
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            return text
    raise UsageError(f"no machine id in {', '.join(map(str, paths)) or 'no file at all'}; name a file that holds one")


def check_name(name: str) -> str:
    """
    Give *name* back when it can name a secret.

    Raises:
        UsageError: it can't.
    """
    if not _NAME.match(name):
        raise UsageError(f"{name!r} can't name a secret: letters, digits and underscores, no digit first")
    return name


def parse(data: bytes, where: str) -> Store:
    """
    Read a store from its bytes; *where* is for messages.

    Raises:
        ParityError: it is no store of version 1.
    """
    advice = "the file is left as it is; restore it from a copy"
    if len(data) > _STORE_BYTES_MAX:
        raise ParityError(f"{where}: {len(data)} bytes are too many for a store of secrets; {advice}")
    try:
        raw = json.loads(data.decode())
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ParityError(f"{where}: no store of secrets ({error}); {advice}") from error
    if not isinstance(raw, dict) or raw.get("version") != 1 or isinstance(raw.get("version"), bool):
        raise ParityError(f"{where}: no store of secrets of version 1; {advice}")
    entries = raw.get("secrets")
    if not isinstance(entries, dict):
        raise ParityError(f"{where}: has no object 'secrets'; {advice}")
    return Store({name: _parse_entry(name, entry, where) for name, entry in entries.items()})


def _parse_entry(name: str, entry: object, where: str) -> Secret:
    if not _NAME.match(name):
        raise ParityError(f"{where}: {name!r} can't name a secret; the file is left as it is")
    if not isinstance(entry, dict) or any(not isinstance(entry.get(field), str) for field in _FIELDS):
        raise ParityError(f"{where}: secret {name} lacks one of {', '.join(_FIELDS)}; the file is left as it is")
    return Secret(*(entry[field] for field in _FIELDS))


def serialise(store: Store) -> bytes:
    """Give the bytes that the JS daemon writes for *store*."""
    entries = {name: {field: getattr(secret, field) for field in _FIELDS} for name, secret in store.secrets.items()}
    return json.dumps({"version": 1, "secrets": entries}, indent=2, ensure_ascii=False).encode()


def read(path: Path) -> Store:
    """
    Read a store; a file that is not there is an empty one.

    Raises:
        ParityError: it can't be read, or is no store.
    """
    try:
        if path.exists() and not path.is_file():
            raise ParityError(f"{path}: no file; remove what is there")  # to open a pipe waits for ever
        data = path.read_bytes()
    except FileNotFoundError:
        return Store()
    except OSError as error:
        raise ParityError(f"{path}: can't be read ({error.strerror or error}); check its permissions") from error
    return parse(data, str(path))


def write(path: Path, store: Store, *, mode: int | None = None) -> None:
    """
    Write a store. A new file gets mode 0600; one that was there keeps its own, unless *mode* says otherwise.

    Raises:
        UsageError: the folder can't be written to.
    """
    if mode is None:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    write_whole(path, serialise(store), mode=mode)


def encrypt(key: bytes, plaintext: str, *, nonce: bytes | None = None) -> str:
    """Make the ciphertext field of *plaintext*; without *nonce* a random one is drawn."""
    return base64.b64encode(bytes(SecretBox(key).encrypt(plaintext.encode(), nonce))).decode()


def decrypt(key: bytes, ciphertext: str) -> str:
    """
    Give the plaintext of a ciphertext field.

    Raises:
        ParityError: it is no ciphertext, or not of this key.
    """
    try:
        return SecretBox(key).decrypt(base64.b64decode(ciphertext, validate=True)).decode()
    except (binascii.Error, CryptoError, UnicodeError, ValueError) as error:
        raise ParityError("a secret can't be decrypted: another machine id, corrupted data, or never encrypted") from error


def reveal(store: Store, name: str, key: bytes) -> str | None:
    """
    Give the plaintext of one secret; None where there is none of that name.

    Raises:
        ParityError: it can't be decrypted with *key*.
    """
    secret = store.secrets.get(name)
    return None if secret is None else decrypt(key, secret.ciphertext)


def put(path: Path, name: str, value: str, *, key: bytes, now: str, nonce: bytes | None = None) -> Store:
    """
    Store *value* under *name*, as the JS daemon does: an entry that was there keeps its place and its `created`.

    Raises:
        UsageError: the name or the (empty) value is off.
        ParityError: the file is no store; it stays as it is.
    """
    if not value:
        raise UsageError("a secret needs a value")
    return _put(path, name, encrypt(key, value, nonce=nonce), now, mode=None)


def put_plain(path: Path, name: str, value: str, *, now: str) -> Store:
    """
    Store *value* as base64 of its plaintext, as the Rust daemon does; the mode is made 0600 at each save.

    Raises:
        UsageError: the name is off.
        ParityError: the file is no store; it stays as it is (the Rust daemon would overwrite it).
    """
    return _put(path, name, base64.b64encode(value.encode()).decode(), now, mode=0o600)


def _put(path: Path, name: str, ciphertext: str, now: str, *, mode: int | None) -> Store:
    check_name(name)
    store = read(path)
    before = store.secrets.get(name)
    entry = replace(before, ciphertext=ciphertext, updated=now) if before else Secret(ciphertext, now, now)
    store = Store({**store.secrets, name: entry})
    write(path, store, mode=mode)
    return store


def delete(path: Path, name: str) -> bool:
    """
    Remove an entry; says whether there was one. Without it the file is not touched.

    Raises:
        ParityError: the file is no store; it stays as it is.
    """
    store = read(path)
    if name not in store.secrets:
        return False
    write(path, Store({kept: secret for kept, secret in store.secrets.items() if kept != name}))
    return True


def leaked_text(ciphertext: str) -> str | None:
    """Give the text that a ciphertext field shows without any key, which means that it was never encrypted; None otherwise."""
    try:
        raw = base64.b64decode(ciphertext, validate=True)
        text = raw.decode()
    except (binascii.Error, ValueError):
        return None
    if len(raw) > _NONCE_BYTES + SecretBox.MACBYTES and not text.isprintable():
        return None
    return text

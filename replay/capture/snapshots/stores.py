"""
The daemon's own secret files, made again for a snapshot: never copied, read where they are, written with what can't open anything.

The store of secrets keeps its names, times and order; each value becomes its placeholder, sealed for a machine id that exists nowhere.
That id, and the key that signs tokens, come from the redaction key and the archive's id: they are the same in all snapshots of an archive,
open nothing outside of it, and can't be guessed from outside. A recorded token can't be checked with that key: a replay signs anew.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from replay.capture.snapshots.masking import Masking
from replay.model import ParityError
from replay.workspace import secrets
from replay.workspace.files import write_whole
from replay.workspace.tokens import AUTH_SECRET_BYTES, AUTH_SECRET_FILE

MACHINE_ID_FILES: Final = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_SEALED_BYTES: Final = 40
"""Nonce and authentication tag."""


@dataclass(frozen=True, slots=True)
class ThrowAway:
    """What stands in for an installation's own secrets in all snapshots of one archive."""

    machine_id: str
    auth_secret: bytes
    nonces: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """The store of secrets as it was found."""

    store: secrets.Store | None = None
    """None: there is none, or it can't be read."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Name → plaintext, as far as it is to be had."""
    machine_id: str = ""
    """The id that opened it; empty where none did."""
    trouble: str = ""


def make_throw_away(key: bytes, archive_id: str) -> ThrowAway:
    """Make the stand-ins of an archive."""

    def derive(what: str) -> bytes:
        return hashlib.blake2b(f"{what}:{archive_id}".encode(), key=key, digest_size=32, person=b"signet-parity").digest()

    return ThrowAway(derive("machine id").hex()[:32], derive("auth secret")[:AUTH_SECRET_BYTES], derive("nonces"))


def find_machine_ids(workspace: Path, files: Iterable[str]) -> tuple[str, ...]:
    """
    Read every machine id that the daemon may use: of *files* (relative ones are the workspace's), and of a workspace's own `…machine-id`.

    What can't be read is none.
    """
    places = [*(workspace / name for name in files), *sorted(workspace.glob("*machine-id"))]
    found = []
    for place in places:
        try:
            text = place.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text and len(text) <= 256:
            found.append(text)
    return tuple(dict.fromkeys(found))


def open_store(workspace: Path, machine_ids: Iterable[str]) -> Opened:
    """Read the store of secrets and open what can be opened; never raises for what it holds."""
    path = workspace / secrets.FILE
    if not path.is_file():
        return Opened()
    try:
        store = secrets.read(path)
    except ParityError as error:
        return Opened(trouble=str(error))
    best = Opened(store)
    for machine_id in ("", *machine_ids):
        values = {name: text for name, secret in store.secrets.items() if (text := _plaintext(secret, machine_id)) is not None}
        if len(values) > len(best.values):
            best = Opened(store, values, machine_id)
    return best


def known_values(opened: Opened, machine_ids: Iterable[str], throw_away: ThrowAway, masking: Masking) -> dict[bytes, bytes]:
    """Give what is secret wherever it stands: values of the store without blanks, and the machine's ids."""
    values = {text.encode() for text in opened.values.values() if not any(character.isspace() for character in text)}
    known = {value: masking.credential("known", value) for value in sorted(values) if value}
    return {**known, **{machine_id.encode(): throw_away.machine_id.encode() for machine_id in machine_ids}}


def put_stores(source: Path, copy: Path, opened: Opened, throw_away: ThrowAway, masking: Masking) -> tuple[str, ...]:
    """
    Put the throw-away store and signing key into the copy, where the workspace has its own; give what is to be said of it.

    Raises:
        ParityError: the copy can't be written to.
    """
    notes = []
    if (source / AUTH_SECRET_FILE).exists():
        write_whole(copy / AUTH_SECRET_FILE, throw_away.auth_secret, mode=0o600)
        masking.counts["auth-secret"] += 1
    if opened.store is not None:
        store = secrets.Store({name: _made_again(name, secret, opened, throw_away, masking) for name, secret in opened.store.secrets.items()})
        secrets.write(copy / secrets.FILE, store)
        unopened = len(store.secrets) - len(opened.values)
        if unopened:
            notes.append(f"{secrets.FILE}: the values of {unopened} secrets (no machine id opens them; equal ones can't be told)")
    elif opened.trouble:
        notes.append(f"{secrets.FILE}: {opened.trouble}")
    return tuple(notes)


def _plaintext(secret: secrets.Secret, machine_id: str) -> str | None:
    """Open one secret: with a machine's id, or as one that was never sealed."""
    if machine_id:
        try:
            return secrets.decrypt(secrets.derive_key(machine_id), secret.ciphertext)
        except ParityError:
            return secrets.leaked_text(secret.ciphertext)
    return secrets.leaked_text(secret.ciphertext)


def _made_again(name: str, secret: secrets.Secret, opened: Opened, throw_away: ThrowAway, masking: Masking) -> secrets.Secret:
    plain = opened.values.get(name)
    if plain is None:
        # The length of what is sealed is open to everybody; its content stands for it.
        stand_in = masking.opaque("secret-value", secret.ciphertext.encode(), max(1, _sealed_length(secret.ciphertext)))
    else:
        stand_in = masking.credential("secret-value", plain.encode())
    if plain is not None and secrets.leaked_text(secret.ciphertext) == plain:
        return replace(secret, ciphertext=base64.b64encode(stand_in).decode())
    text = stand_in.decode()
    nonce = hashlib.blake2b(name.encode() + b"\0" + stand_in, key=throw_away.nonces, digest_size=24).digest()
    return replace(secret, ciphertext=secrets.encrypt(secrets.derive_key(throw_away.machine_id), text, nonce=nonce))


def _sealed_length(ciphertext: str) -> int:
    try:
        return len(base64.b64decode(ciphertext, validate=True)) - _SEALED_BYTES
    except ValueError:
        return len(ciphertext)

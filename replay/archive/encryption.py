"""
Encrypting blocks to recipients, and opening them.

How this works
--------------
Each encrypted file (a segment, a snapshot) has a data key of its own, which is fresh and never reused. Its header, in clear, holds that key
sealed to every recipient's public key (`crypto_box_seal`): who writes needs public keys only and can't read what it wrote. The header is
one skippable zstd frame, and so is each block behind it: its number is its place, and beside the ciphertext it bears what it holds, whether
it is the last, and a random nonce.

A block is XChaCha20-Poly1305. What it is bound to (archive, file, its number, what it holds, whether it is the last) is authenticated with
it, so a block that was moved, left out, or taken from elsewhere does not open, and neither does a file that ends early count as ended. The
header is not bound to the blocks: recipients can be changed without writing them again. Where a manifest lists the file, it pins it.

What this can't prove is who wrote: whoever knows a public key can make a whole archive of his own for it.
"""

import hashlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

import msgpack

from replay.archive.formats import FORMAT, newer_format
from replay.archive.index import Holds
from replay.archive.keyring import KEY_BYTES, Keyring, key_id
from replay.archive.shapes import Mismatch, keep, shape_of
from replay.model import ArchiveError

type What = Literal["segment", "snapshot", "file"]
type Content = Holds | Literal["piece"]

FRAME: Final = struct.Struct("<II")
"""How a skippable zstd frame begins: its magic and the length of what follows."""
HEADER_MAGIC: Final = 0x184D2A5E
BLOCK_MAGIC: Final = 0x184D2A5D
BLOCK_BYTES_MAX: Final = (1 << 30) + (1 << 20)
"""No encrypted block is longer."""

_HEADER_BYTES_MAX: Final = 1 << 20
_NONCE_BYTES: Final = 24
_TAG_BYTES: Final = 16
_CODES: Final[dict[Content, int]] = {"head": 0, "records": 1, "body": 2, "index": 3, "piece": 4}
_CONTENTS: Final[dict[int, Content]] = {code: name for name, code in _CODES.items()}
_DAMAGED: Final = "damaged, or not the block that belongs here"


class LockedError(ArchiveError):
    """An encrypted file for which no key is there."""


@dataclass(frozen=True, slots=True)
class SealedKey:
    """The data key of a file, for one recipient."""

    id: str
    """The recipient's public key."""
    sealed: bytes


@dataclass(frozen=True, slots=True)
class KeyHeader:
    """What stands at the start of an encrypted file, in clear."""

    format: int
    archive: str
    what: What
    number: int
    """Of the segment or the snapshot."""
    keys: tuple[SealedKey, ...]

    def render(self) -> bytes:
        """Give its bytes."""
        content = bytes(msgpack.packb(_HEADER.encode(self, keep), use_bin_type=True))
        return FRAME.pack(HEADER_MAGIC, len(content)) + content

    @property
    def ids(self) -> tuple[str, ...]:
        """Who can open the file."""
        return tuple(key.id for key in self.keys)


_HEADER: Final = shape_of(KeyHeader)


@dataclass(frozen=True, slots=True)
class Found:
    """An encrypted block as found in a file."""

    holds: Content
    last: bool
    data: bytes


class Cipher:
    """Seals and opens the blocks of one file."""

    def __init__(self, key: bytes, header: KeyHeader) -> None:
        self.key = key
        """The data key: opens this file, and nothing else."""
        self.header = header
        self._bound = f"signet-parity {header.what}\0{header.archive}\0{header.number}\0".encode()

    def seal(self, number: int, holds: Content, data: bytes, *, last: bool) -> bytes:
        """Give the bytes of a block for the disk."""
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

        nonce = os.urandom(_NONCE_BYTES)
        sealed = encrypt(data, self._aside(number, holds, last=last), nonce, self.key)
        content = bytes((_CODES[holds], last)) + nonce + sealed
        return FRAME.pack(BLOCK_MAGIC, len(content)) + content

    def open(self, number: int, stored: bytes) -> Found:
        """
        Open a block, which must be the one with this number.

        Raises:
            ArchiveError: it is not, or was changed.
        """
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
        from nacl.exceptions import CryptoError

        start = FRAME.size + 2 + _NONCE_BYTES
        if len(stored) < start + _TAG_BYTES or FRAME.unpack_from(stored) != (BLOCK_MAGIC, len(stored) - FRAME.size):
            raise ArchiveError(_DAMAGED)
        holds, last = _CONTENTS.get(stored[FRAME.size]), stored[FRAME.size + 1]
        if holds is None or last > 1:
            raise ArchiveError(_DAMAGED)
        try:
            data = decrypt(stored[start:], self._aside(number, holds, last=bool(last)), stored[start - _NONCE_BYTES : start], self.key)
        except CryptoError as error:
            raise ArchiveError(_DAMAGED) from error
        return Found(holds, bool(last), data)

    def _aside(self, number: int, holds: Content, *, last: bool) -> bytes:
        return self._bound + struct.pack("<QBB", number, _CODES[holds], last)


def new_cipher(recipients: Sequence[bytes], archive: str, what: What, number: int) -> Cipher:
    """
    Make a fresh data key for a file, sealed to every recipient.

    Raises:
        ArchiveError: a recipient's key is none.
    """
    return _sealed(os.urandom(KEY_BYTES), recipients, archive, what, number)


def sealed_again(cipher: Cipher, keyring: Keyring, recipients: Sequence[bytes], dropped: Sequence[str]) -> KeyHeader:
    """
    Give a header with recipients added and others dropped, for the same data key.

    Raises:
        ArchiveError: nobody would be left, or a recipient's key is none.
    """
    header = cipher.header
    key = _data_key(header, keyring)
    fresh = _sealed(key, recipients, header.archive, header.what, header.number).header.keys if recipients else ()
    new = {found.id for found in fresh}
    kept = tuple(found for found in header.keys if found.id not in new and found.id not in dropped)
    if not kept + fresh:
        raise ArchiveError("nobody could open it any more; keep or add a recipient")
    return KeyHeader(header.format, header.archive, header.what, header.number, kept + fresh)


def open_cipher(header: KeyHeader, keyring: Keyring) -> Cipher:
    """
    Open a file's data key.

    Raises:
        LockedError: none of the keys is for this file; says which are.
        ArchiveError: the one that is for it does not open it.
    """
    return Cipher(_data_key(header, keyring), header)


def read_header(file: BinaryIO) -> tuple[KeyHeader, int, str]:
    """
    Read the header of an encrypted file from its start: the header, where it ends, and its digest.

    Raises:
        ArchiveError: there is none, or it is of a newer format.
    """
    file.seek(0)
    begin = file.read(FRAME.size)
    magic, length = FRAME.unpack(begin) if len(begin) == FRAME.size else (0, 0)
    if magic != HEADER_MAGIC or length > _HEADER_BYTES_MAX:
        raise ArchiveError("the header with its keys is damaged or cut")
    content = file.read(length)
    try:
        value = msgpack.unpackb(content, raw=False, strict_map_key=True)
        number = value.get("format") if isinstance(value, dict) else None
        if type(number) is int and number > FORMAT:
            raise newer_format("the header with its keys", number)
        header = _HEADER.decode(value)
    except (Mismatch, ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise ArchiveError(f"the header with its keys is damaged or cut ({error})") from error
    return header, FRAME.size + length, hashlib.sha256(begin + content).hexdigest()


def recipient_ids(recipients: Sequence[bytes]) -> tuple[str, ...]:
    """
    Name the recipients.

    Raises:
        ArchiveError: one is no public key.
    """
    if any(len(public) != KEY_BYTES for public in recipients):
        raise ArchiveError(f"a recipient's public key has {KEY_BYTES} bytes")
    return tuple(dict.fromkeys(key_id(public) for public in recipients))


def locked(ids: Sequence[str]) -> str:
    """Say that a key is needed, and which."""
    return f"encrypted; one of these private keys opens it: {', '.join(ids) or 'none that it names'}"


def _sealed(key: bytes, recipients: Sequence[bytes], archive: str, what: What, number: int) -> Cipher:
    from nacl.bindings import crypto_box_seal
    from nacl.exceptions import CryptoError

    recipient_ids(recipients)
    try:
        keys = tuple(SealedKey(key_id(public), crypto_box_seal(key, public)) for public in dict.fromkeys(recipients))
    except CryptoError as error:
        raise ArchiveError("a recipient's public key is none") from error
    return Cipher(key, KeyHeader(FORMAT, archive, what, number, keys))


def _data_key(header: KeyHeader, keyring: Keyring) -> bytes:
    from nacl.bindings import crypto_box_seal_open
    from nacl.exceptions import CryptoError

    for sealed in header.keys:
        if sealed.sealed in keyring.data_keys:
            return keyring.data_keys[sealed.sealed]
        key = keyring.keys.get(sealed.id)
        if key is None or key.private is None:
            continue
        try:
            data_key = crypto_box_seal_open(sealed.sealed, key.public, key.private)
        except (CryptoError, TypeError, ValueError) as error:
            raise ArchiveError(f"its data key for {sealed.id} is damaged") from error
        if len(data_key) != KEY_BYTES:
            raise ArchiveError(f"its data key for {sealed.id} is damaged")
        return bytes(data_key)
    raise LockedError(locked(header.ids))

"""
What opens the daemon's doors: bearer tokens and API keys.

A bearer token is no JWT: base64url of a JSON payload, a dot, base64url of HMAC-SHA256 over the *encoded* payload. The key is
32 raw bytes in `.daemon/auth-secret`. An API key is `sig_sk_`, twelve hex digits, an underscore, 43 characters of base64url;
the database keeps `scrypt:<salt>:<hash>` of it.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from replay.model import ParityError
from replay.workspace.files import write_whole

AUTH_SECRET_FILE: Final = ".daemon/auth-secret"  # noqa: S105 (a path)
"""Where the signing key is, from the workspace's root."""
AUTH_SECRET_BYTES: Final = 32
ROLES: Final = ("admin", "operator", "agent", "readonly")

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+={0,2}\Z")
_TOKEN_CHARACTERS_MAX: Final = 64 * 1024
_TIMES: Final = frozenset({"iat", "exp"})
_TIME_MEMBER: Final = re.compile(r'("(?:iat|exp)"\s*:\s*)(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?=\s*[,}])')
_API_KEY: Final = re.compile(r"(sig_sk_[0-9a-f]{12})_[A-Za-z0-9_-]{43}\Z")


def claims(token: str) -> dict[str, Any] | None:
    """Read the payload of a token without checking its signature; None where it is none."""
    payload, dot, signature = token.partition(".")
    if not dot or len(token) > _TOKEN_CHARACTERS_MAX or not _BASE64URL.match(signature):
        return None
    raw = _decode(payload)
    if raw is None:
        return None
    try:
        found = json.loads(raw.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def mint(secret: bytes, payload: Mapping[str, Any]) -> str:
    """Sign *payload* as the daemon does: compact JSON, in the order given."""
    encoded = _encode(json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode())
    return f"{encoded}.{_encode(_sign(secret, encoded))}"


def move(token: str, by_s: float) -> str | None:
    """
    Give the encoded payload of *token* with `iat` and `exp` moved by so many seconds, all else byte by byte; None where it is no token.

    Times are moved by whole seconds where they are whole numbers.
    """
    found = claims(token)
    raw = _decode(token.partition(".")[0])
    if found is None or raw is None:
        return None
    wanted = {name: _moved(value, by_s) if name in _TIMES else value for name, value in found.items()}
    if wanted == found:
        return token.partition(".")[0]
    text = _TIME_MEMBER.sub(lambda match: f"{match[1]}{json.dumps(_moved(json.loads(match[2]), by_s))}", raw.decode())
    try:
        kept = json.loads(text) == wanted
    except ValueError:
        kept = False
    return _encode((text if kept else json.dumps(wanted, separators=(",", ":"), ensure_ascii=False)).encode())


def sign(secret: bytes, payload: str) -> str:
    """Put the signature by *secret* behind an encoded payload."""
    return f"{payload}.{_encode(_sign(secret, payload))}"


def verify(secret: bytes, token: str, *, now_s: float | None) -> dict[str, Any] | None:
    """
    Give the claims of a token that *secret* signed; None where it is malformed, signed otherwise, or ended by *now_s*.

    *now_s* is in seconds since the epoch; None leaves the end unchecked.
    """
    found = claims(token)
    payload, _, signature = token.partition(".")
    given = _decode(signature)
    if found is None or given is None or not hmac.compare_digest(_sign(secret, payload), given):
        return None
    end = found.get("exp")
    if not is_well_formed(found) or (now_s is not None and isinstance(end, (int, float)) and now_s >= end):
        return None
    return found


def is_well_formed(found: Mapping[str, Any]) -> bool:
    """Say whether claims have all members that the daemon asks for; it looks at them after the signature."""
    return (
        isinstance(found.get("sub"), str)
        and found.get("role") in ROLES
        and isinstance(found.get("scope"), dict)
        and isinstance(found.get("exp"), (int, float))
        and isinstance(found.get("iat"), (int, float))
    )


def make_auth_secret(path: Path) -> bytes:
    """
    Draw a signing key and put it at *path* with mode 0600, over what is there.

    Raises:
        UsageError: the folder can't be written to.
    """
    secret = secrets.token_bytes(AUTH_SECRET_BYTES)
    write_whole(path, secret, mode=0o600)
    return secret


def read_auth_secret(path: Path) -> bytes:
    """
    Read a signing key.

    Raises:
        ParityError: there is none, or it is not 32 bytes long.
    """
    try:
        if path.exists() and not path.is_file():
            raise ParityError(f"{path}: no file; remove what is there")  # to open a pipe waits for ever
        secret = path.read_bytes()
    except OSError as error:
        raise ParityError(f"{path}: can't be read ({error.strerror or error}); make one") from error
    if len(secret) != AUTH_SECRET_BYTES:
        raise ParityError(f"{path}: {len(secret)} bytes, but a signing key has {AUTH_SECRET_BYTES}; make one")
    return secret


def make_api_key() -> str:
    """Draw an API key in the daemon's shape."""
    return f"sig_sk_{secrets.token_hex(6)}_{_encode(secrets.token_bytes(32))}"


def api_key_prefix(key: str) -> str | None:
    """Give the part of an API key that the daemon shows again (`sig_sk_` and twelve hex digits); None where it is no key."""
    match = _API_KEY.match(key)
    return match.group(1) if match else None


def hash_api_key(key: str, salt: str) -> str:
    """Give what the database keeps of *key*: scrypt with Node's default costs, the salt taken as text."""
    return f"scrypt:{salt}:{_scrypt(key, salt, 32).hex()}"


def is_api_key(stored: str, key: str) -> bool:
    """Say whether *stored* was made of *key*."""
    algorithm, _, rest = stored.partition(":")
    salt, _, digest = rest.partition(":")
    if algorithm != "scrypt" or not salt or not digest:
        return False
    try:
        expected = bytes.fromhex(digest)
    except ValueError:
        return False
    return 0 < len(expected) <= 64 and hmac.compare_digest(expected, _scrypt(key, salt, len(expected)))


def _moved(value: Any, by_s: float) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return value + (round(by_s) if isinstance(value, int) else by_s)


def _scrypt(key: str, salt: str, size_bytes: int) -> bytes:
    return hashlib.scrypt(key.encode(), salt=salt.encode(), n=16384, r=8, p=1, dklen=size_bytes)


def _sign(secret: bytes, payload: str) -> bytes:
    return hmac.digest(secret, payload.encode(), "sha256")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes | None:
    if not _BASE64URL.match(text):
        return None
    bare = text.rstrip("=")
    try:
        return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return None

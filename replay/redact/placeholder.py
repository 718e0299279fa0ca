"""
What stands in for a secret.

How this works
--------------
From 20 bytes on: `REDACTED`, four characters of checksum, then keyed hash. From 4 to 19: `~~`, two characters of checksum, keyed hash.
Below 4: tildes only, so such secrets are hidden but can no longer be told apart. The checksum is taken without the key over the hash
and the length, so a real secret that happens to begin with a tag is still replaced. Only base64url characters and `~` occur: these pass
unchanged through headers, queries, JSON strings and forms.

Three shapes are kept: an API key (the daemon's or a provider's) keeps its public prefix, a bearer token keeps its claims (only the signature
goes), and a number stays a number (its digits become sevens, so equality is lost but a daemon still meets a number). So a provider's key is
the same whether it is known by its shape or by a name before it.
"""

import base64
import hashlib
import json
import re

LONG_TAG = b"REDACTED"
SHORT_TAG = b"~~"
LONG_MIN_BYTES = 20
SHORT_MIN_BYTES = 4
API_KEY = re.compile(rb"(sig_sk_[0-9a-f]{12}_)([A-Za-z0-9_-]{43})")
PROVIDER_KEY = re.compile(
    rb"(?:gh[pousr]_|github_pat_|phc_|[sr]k_live_|[sr]k_test_|whsec_|npm_|hf_|dop_v1_)(?P<a>[A-Za-z0-9_~-]{16,255})"
    rb"|sk-(?:ant-|proj-|or-)?(?P<b>[A-Za-z0-9_~-]{20,255})"
    rb"|(?:xox[abeoprs]|xapp)-(?P<c>[A-Za-z0-9_~-]{10,255})"
    rb"|AIza(?P<d>[A-Za-z0-9_-]{35})"
    rb"|A(?:KIA|SIA)(?P<e>[A-Z0-9]{16}|~~[A-Za-z0-9_-]{14})"
)
"""A key whose public prefix says whose it is; the group that matches is what is secret, or a placeholder for that."""
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_DIGIT = re.compile(rb"[0-9]")


def is_placeholder(data: bytes) -> bool:
    """Whether *data* as a whole is a placeholder, in any of its shapes."""
    if _is_plain(data):
        return True
    key = API_KEY.fullmatch(data)
    if key is not None:
        return _is_plain(key[2])
    provider = PROVIDER_KEY.fullmatch(data)
    if provider is not None:
        return _is_plain(provider[provider.lastgroup or 0])
    parts = data.split(b".")
    if len(parts) == 1:
        return False
    last = not parts[-1] or _is_plain(parts[-1])
    return last and (all(not part or _is_plain(part) for part in parts) or claims_of(b".".join(parts[:-1])))


def make_opaque(key: bytes, secret: bytes, length: int) -> bytes:
    """
    Give the placeholder of *length* bytes for *secret*.

    The length is given apart, because an escaped secret is longer on the wire than it is: both forms begin alike.
    """
    if length < SHORT_MIN_BYTES:
        return b"~" * length
    tag, check_bytes = (LONG_TAG, 4) if length >= LONG_MIN_BYTES else (SHORT_TAG, 2)
    hashed = bytearray(_letters(key, secret, length - len(tag) - check_bytes))
    if hashed:
        # 43 characters of base64url hold 32 bytes and two bits that must be zero: a strict decoder shall not stumble over ours
        hashed[-1] = _ALPHABET[_ALPHABET.index(hashed[-1]) & ~3]
    return tag + _check(bytes(hashed), check_bytes) + bytes(hashed)


def make_credential(key: bytes, secret: bytes) -> bytes:
    """Give the placeholder for a credential, in the shape it has: API key, bearer token, dotted or opaque."""
    if not secret or is_placeholder(secret):
        return secret
    api_key = API_KEY.fullmatch(secret)
    if api_key is not None:
        return api_key[1] + make_opaque(key, api_key[2], len(api_key[2]))
    provider = PROVIDER_KEY.fullmatch(secret)
    if provider is not None:
        start = provider.start(provider.lastgroup or 0)
        return secret[:start] + make_opaque(key, secret[start:], len(secret) - start)
    payload, dot, signature = secret.rpartition(b".")
    if dot and claims_of(payload):
        return payload + dot + (signature if _is_plain(signature) else make_opaque(key, secret, len(signature)))
    # malformed on purpose, perhaps: its dots stay where they are
    parts = secret.split(b".")
    return b".".join(part if _is_plain(part) else make_opaque(key, part, len(part)) for part in parts)


def count_kept(replaced: bytes) -> int:
    """How many leading bytes of a credential's placeholder are not secret and were kept: a key's prefix, a token's claims."""
    api_key = API_KEY.fullmatch(replaced)
    if api_key is not None:
        return len(api_key[1])
    provider = PROVIDER_KEY.fullmatch(replaced)
    if provider is not None:
        return provider.start(provider.lastgroup or 0)
    payload, dot, _ = replaced.rpartition(b".")
    return len(payload) + 1 if dot and claims_of(payload) else 0


def make_number(number: bytes) -> bytes:
    """Give the placeholder for a JSON number: as many digits, all sevens."""
    return _DIGIT.sub(b"7", number)


def claims_of(payload: bytes) -> bool:
    """Whether the part of a bearer token before its signature decodes to a JSON object (of a JWT: its last part does)."""
    part = payload.rpartition(b".")[2]
    if not part.startswith(b"e"):  # base64 of `{`
        return False
    try:
        value = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict)


def _is_plain(data: bytes) -> bool:
    if len(data) < SHORT_MIN_BYTES:
        return data == b"~" * len(data) and bool(data)
    tag, check_bytes = (LONG_TAG, 4) if len(data) >= LONG_MIN_BYTES else (SHORT_TAG, 2)
    start = len(tag) + check_bytes
    return data.startswith(tag) and data[len(tag) : start] == _check(data[start:], check_bytes)


def _check(hashed: bytes, length: int) -> bytes:
    return _letters(b"", b"%d:" % len(hashed) + hashed, length)


def _letters(key: bytes, data: bytes, length: int) -> bytes:
    """Stretch a keyed hash of *data* to *length* base64url characters; shorter results are prefixes of longer ones."""
    seed = hashlib.blake2b(data, key=key, person=b"signet-parity").digest()
    out = bytearray()
    block = 0
    while len(out) < length:
        digest = hashlib.blake2b(b"%d" % block, key=seed, digest_size=63, person=b"signet-parity").digest()
        out += base64.urlsafe_b64encode(digest)
        block += 1
    return bytes(out[:length])

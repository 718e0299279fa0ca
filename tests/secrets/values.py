"""The planted values: one of each kind at least, all different, drawn from a seed."""

import base64
import json
import random
import string
from typing import Final

from tests.secrets.texts import Secret, Secrets

_ALNUM: Final = string.ascii_letters + string.digits
_URL: Final = _ALNUM + "-_"
_HEX: Final = "0123456789abcdef"


def draw(seed: int) -> Secrets:
    """Give name → planted value."""
    random_ = random.Random(seed)  # noqa: S311  # values are to be the same each time

    def word(length: int, alphabet: str = _ALNUM) -> bytes:
        return "".join(random_.choice(alphabet) for _ in range(length)).encode()

    def signature() -> bytes:
        return base64.urlsafe_b64encode(random_.randbytes(32)).rstrip(b"=")

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=")

    def api_key() -> Secret:
        last = word(42, _URL) + b"A"
        return Secret("api-key", b"sig_sk_" + word(12, _HEX) + b"_" + last, (last,))

    def bearer(subject: str) -> Secret:
        claims = {"sub": subject, "scope": {}, "role": "admin", "iat": 1_763_899_200, "exp": 1_764_504_000}
        signed = signature()
        return Secret("bearer", part(claims) + b"." + signed, (signed,))

    def prefixed(kind: str, prefix: bytes, length: int, alphabet: str = _ALNUM) -> Secret:
        rest = word(length, alphabet)
        return Secret(kind, prefix + rest, (rest,))

    def plain(kind: str, length: int = 32, alphabet: str = _ALNUM) -> Secret:
        value = word(length, alphabet)
        return Secret(kind, value, (value,))

    def basic() -> Secret:
        password = word(18)
        both = base64.b64encode(b"operator:" + password)
        return Secret("basic", both, (both, password))

    def pem() -> Secret:
        lines = [base64.b64encode(random_.randbytes(48)) for _ in range(5)]
        value = b"-----BEGIN PRIVATE KEY-----\n" + b"\n".join(lines) + b"\n-----END PRIVATE KEY-----\n"
        return Secret("private-key", value, tuple(lines))

    def jwt() -> Secret:
        signed = signature()
        return Secret("jwt", part({"alg": "HS256", "typ": "JWT"}) + b"." + part({"sub": word(8).decode()}) + b"." + signed, (signed,))

    def odd() -> Secret:
        first, second = word(9), word(9)
        value = first + 'ä"\\ '.encode() + second
        return Secret("password", value, (first, second))

    def key_hash() -> Secret:
        salt, hashed = word(32, _HEX), word(64, _HEX)
        return Secret("key-hash", b"scrypt:" + salt + b":" + hashed, (hashed,))

    return {
        # headers
        "api key": api_key(),
        "api key made": api_key(),
        "bearer": bearer("token:admin"),
        "login token": bearer("dashboard:admin"),
        "minted token": bearer("token:agent"),
        "bad token": plain("bearer", 40),
        "jwt": jwt(),
        "basic": basic(),
        "proxy": plain("bearer", 36),
        "cookie": plain("cookie", 24),
        "second cookie": plain("cookie", 14),
        "set cookie": plain("cookie", 30),
        "x-api-key": plain("api-key", 28),
        "x-auth-token": plain("token", 26),
        # queries
        "query token": plain("query", 33),
        "query code": plain("query", 22),
        "query state": plain("query", 21),
        "query session": plain("query", 25),
        "query key": plain("query", 27),
        "moved token": plain("query", 29),
        # bodies by route
        "weak password": plain("password", 6),
        "odd password": odd(),
        "saml": plain("saml", 90),
        "secret value": plain("secret-value", 31),
        "odd value": odd(),
        "exec command": plain("command", 23),
        "exec env": plain("env", 34),
        "exec out": plain("output", 35),
        "vault session": plain("vault", 44),
        "vault token": plain("vault", 45),
        "vault folder": plain("vault", 20),
        "one password": prefixed("vault", b"ops_", 60),
        "server env": plain("server", 37),
        "server header": plain("server", 38),
        "server url": plain("server", 39),
        "posthog": prefixed("provider-key", b"phc_", 43),
        "key hash": key_hash(),
        "git password": plain("url-password", 20),
        "git token": prefixed("provider-key", b"ghp_", 36),
        "rpc argument": plain("argument", 24),
        "rpc result": plain("output", 32),
        # anywhere by shape or by name
        "openai": prefixed("provider-key", b"sk-proj-", 48),
        "anthropic": prefixed("provider-key", b"sk-ant-", 50, _URL.replace("-", "")),
        "slack": prefixed("provider-key", b"xoxb-", 40),
        "aws id": prefixed("provider-key", b"AKIA", 16, string.ascii_uppercase + "234567"),
        "aws secret": plain("named", 40),
        "google": prefixed("provider-key", b"AIza", 35),
        "private key": pem(),
        "nested": plain("named", 30),
        "encoded": plain("named", 41),
        "escaped": plain("named", 42),
        # streams
        "stream token": plain("named", 46),
        "line token": plain("named", 47),
        "upload token": plain("named", 43),
        # compressed
        "gzip": plain("named", 36),
        "deflate": plain("named", 36),
        "zstd": plain("named", 36),
        "gzip upload": plain("named", 36),
        # files
        "transcript": plain("named", 36),
        "edited": plain("named", 33),
        "file name": prefixed("provider-key", b"sk-proj-", 40),
        "env file": plain("named", 33),
        "stored": plain("store", 28),
        "column": plain("column", 30),
        "cell": plain("named", 31),
        "deleted row": api_key(),
        "indexed": prefixed("provider-key", b"sk-proj-", 44),
        "git config": plain("url-password", 26),
        "git history": plain("named", 38),
        "staged name": prefixed("provider-key", b"sk-proj-", 41),
        "fetched": plain("url-password", 27),
        "packed log": plain("named", 38),
        "machine id": plain("machine", 32, _HEX),
        "auth secret": plain("auth-secret", 32),
        "refused": plain("query", 31),
        "gone": plain("query", 32),
    }

"""Bearer tokens and API keys."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import ParityError
from replay.workspace import tokens

SECRET = bytes(range(32))
CLAIMS = {"sub": "dashboard:admin", "scope": {}, "role": "admin", "iat": 1000, "exp": 2000}


def test_token_comes_back() -> None:
    """What was minted is verified, and its claims are read without any key."""
    token = tokens.mint(SECRET, CLAIMS)

    assert token.count(".") == 1
    assert "=" not in token
    assert tokens.claims(token) == CLAIMS
    assert tokens.verify(SECRET, token, now_s=1999) == CLAIMS


def test_token_is_refused() -> None:
    """Another key, a changed payload, its end, or a missing claim refuse a token."""
    token = tokens.mint(SECRET, CLAIMS)

    assert tokens.verify(bytes(32), token, now_s=0) is None
    assert tokens.verify(SECRET, "A" + token, now_s=0) is None
    assert tokens.verify(SECRET, token, now_s=2000) is None
    assert tokens.verify(SECRET, token, now_s=None) == CLAIMS
    assert tokens.verify(SECRET, tokens.mint(SECRET, {"sub": "x"}), now_s=0) is None


@given(st.text(max_size=200))
def test_any_text_is_a_token_or_none(text: str) -> None:
    """No text makes the readers raise."""
    tokens.claims(text)
    tokens.verify(SECRET, text, now_s=0)
    tokens.api_key_prefix(text)
    tokens.is_api_key(text, "x")


def test_auth_secret_is_private(tmp_path: Path) -> None:
    """A signing key has 32 bytes and is the owner's alone; one of another length is refused."""
    path = tmp_path / ".daemon" / "auth-secret"
    secret = tokens.make_auth_secret(path)

    assert tokens.read_auth_secret(path) == secret
    assert len(secret) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(ParityError, match="5 bytes"):
        tokens.read_auth_secret(path)
    with pytest.raises(ParityError):
        tokens.read_auth_secret(tmp_path / "none")


def test_api_key_has_the_daemons_shape() -> None:
    """A key is recognised by its stored hash, which is Node's scrypt; another is not."""
    key = tokens.make_api_key()
    stored = tokens.hash_api_key(key, "aa" * 16)

    assert len(key) == 7 + 12 + 1 + 43
    assert tokens.api_key_prefix(key) == key[:19]
    assert stored == f"scrypt:{'aa' * 16}:" + hashlib.scrypt(key.encode(), salt=b"aa" * 16, n=16384, r=8, p=1, dklen=32).hex()
    assert tokens.is_api_key(stored, key)
    assert not tokens.is_api_key(stored, tokens.make_api_key())
    assert not tokens.is_api_key("scrypt:x:zz", key)

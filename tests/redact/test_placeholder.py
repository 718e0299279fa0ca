"""What stands in for a secret."""

import base64
import json
import string

from hypothesis import given
from hypothesis import strategies as st

from replay.redact import is_placeholder
from replay.redact.placeholder import make_credential, make_number, make_opaque

KEY = b"k" * 32
OTHER = b"o" * 32
URL_SAFE = string.ascii_letters + string.digits + "-_"
SECRETS = st.binary(min_size=1, max_size=300)


def token(claims: dict[str, object], signature: str = "s" * 43) -> bytes:
    """Make a bearer token of the daemon's shape."""
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=") + b"." + signature.encode()


@given(SECRETS)
def test_keeps_the_length(secret: bytes) -> None:
    """A placeholder is as long as the secret was."""
    assert len(make_credential(KEY, secret)) == len(secret)


@given(SECRETS)
def test_is_idempotent(secret: bytes) -> None:
    """A placeholder is known as one and stays as it is, also under another key."""
    once = make_credential(KEY, secret)
    assert is_placeholder(once)
    assert make_credential(OTHER, once) == once


@given(st.binary(min_size=20, max_size=80), st.binary(min_size=20, max_size=80))
def test_keeps_equality(left: bytes, right: bytes) -> None:
    """Equal secrets get equal placeholders and different ones different."""
    same = make_opaque(KEY, left, 40) == make_opaque(KEY, right, 40)
    assert same == (left == right)


@given(st.binary(min_size=4, max_size=200))
def test_hides_every_plain_byte_run(secret: bytes) -> None:
    """Nothing of an opaque secret is kept: the placeholder is made of tag, checksum and hash alone."""
    placeholder = make_opaque(KEY, secret, len(secret))
    assert set(placeholder) <= set((URL_SAFE + "~").encode())
    assert placeholder == make_opaque(KEY, secret, len(secret))


def test_a_lookalike_is_still_redacted() -> None:
    """A real secret that begins with the tag has no right checksum, so it is replaced."""
    for secret in (b"REDACTED-but-really-a-password", b"~~hunter2hunter2"):
        assert not is_placeholder(secret)
        assert make_credential(KEY, secret) != secret


def test_keys_matter() -> None:
    """Two installations make different placeholders of one secret."""
    assert make_opaque(KEY, b"x" * 30, 30) != make_opaque(OTHER, b"x" * 30, 30)


def test_an_api_key_keeps_its_prefix() -> None:
    """The public prefix of an API key stays, the secret part goes."""
    prefix = b"sig_sk_0123456789ab_"
    placeholder = make_credential(KEY, prefix + b"A" * 43)
    assert placeholder.startswith(prefix)
    assert b"A" * 10 not in placeholder
    assert is_placeholder(placeholder)


def test_a_bearer_token_keeps_its_claims() -> None:
    """Only the signature of a bearer token is replaced, by one that a strict base64 decoder still takes."""
    secret = token({"sub": "token:admin", "role": "admin", "iat": 1})
    placeholder = make_credential(KEY, secret)
    payload, _, signature = placeholder.partition(b".")
    assert payload == secret.partition(b".")[0]
    assert signature != b"s" * 43
    assert len(base64.urlsafe_b64decode(signature + b"=")) == 32
    assert base64.urlsafe_b64encode(base64.urlsafe_b64decode(signature + b"=")).rstrip(b"=") == signature


def test_a_malformed_token_stays_malformed() -> None:
    """Dots stay where they were; what does not decode is opaque."""
    placeholder = make_credential(KEY, b"not-a-payload.not-a-signature")
    assert placeholder.index(b".") == 13
    assert b"not-a" not in placeholder
    assert is_placeholder(placeholder)


def test_a_number_stays_a_number() -> None:
    """A number in a secret's place keeps its form."""
    assert make_number(b"-12.5e3") == b"-77.7e7"

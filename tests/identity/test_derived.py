"""Ids that are sums over other things."""

import json
from typing import Any

from replay.identity import Bindings, learn
from replay.identity.derived import confirm_token, key_prefix, rederive
from replay.model import Request, Response

RECORDED = ["dc9170c7-951e-4171-a2fe-85e14f516ac3", "a3e5efb7-72b5-4c6b-b2f9-4b8a3d3eb7d7", "00e4d107-f135-4ddc-9cbd-fec29a9cc4b6"]
TOKEN = "aea2dd191ca9bc463ba961fc8b3497e6"  # noqa: S105 - of no account
OBSERVED = ["11111111-951e-4171-a2fe-85e14f516ac3", "22222222-72b5-4c6b-b2f9-4b8a3d3eb7d7", "33333333-f135-4ddc-9cbd-fec29a9cc4b6"]
SECRET = "0123456789abcdefghijABCDEFGHIJ_-kKlLmMnNoO1"  # noqa: S105 - of no key


def answer(body: Any) -> Response:
    """Build a response."""
    return Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"application/json"),), json.dumps(body).encode())


def preview(ids: list[str], **more: Any) -> Response:
    """Build the preview of a forget."""
    return answer({"mode": "preview", "candidates": [{"id": one, "version": 1, "score": n} for n, one in enumerate(ids)], **more})


def test_recorded_values() -> None:
    """The sums give what a real daemon gave."""
    assert confirm_token(RECORDED) == confirm_token([*reversed(RECORDED), RECORDED[0]]) == TOKEN
    assert key_prefix(f"sig_sk_b7ff332ed0c6_{SECRET}") == "sig_sk_b7ff332ed0c6"
    assert key_prefix("sig_sk_b7ff332ed0c6") is key_prefix("key_x") is None


def test_a_token_that_the_candidate_left_out() -> None:
    """Where the candidate gave the memories and no token, the token over its memories stands for the recorded one."""
    bindings = Bindings()
    learn(preview(RECORDED, confirmToken=TOKEN), preview(OBSERVED), bindings, 1)
    assert bindings.observed_for(TOKEN) == confirm_token(OBSERVED)
    other = Bindings()
    learn(preview(RECORDED, confirmToken="0" * 31 + "a"), preview(OBSERVED), other, 1)
    assert other.observed_for("0" * 31 + "a") is None


def test_a_token_that_the_client_made() -> None:
    """A token over the ids of the request itself follows them; one that is another sum stays, and so does one that an answer gave."""
    bindings = Bindings()
    for old, new in zip(RECORDED, OBSERVED, strict=True):
        bindings.bind("uuid", old, new, 1, "$.id")
    asked = {"mode": "execute", "ids": RECORDED, "confirm_token": TOKEN}
    for body in (asked, {"params": {"arguments": asked}}):
        known = Bindings.of(bindings.records())
        rederive(Request(b"POST", b"/x", b"HTTP/1.1", (), json.dumps(body).encode()), 4, known)
        assert known.observed_for(TOKEN) == confirm_token(OBSERVED)
    wrong = Bindings.of(bindings.records())
    rederive(Request(b"POST", b"/x", b"HTTP/1.1", (), json.dumps({**asked, "ids": RECORDED[:2]}).encode()), 4, wrong)
    assert wrong.observed_for(TOKEN) is None
    given = Bindings.of(bindings.records())
    given.bind("digest", TOKEN, "f" * 31 + "0", 2, "$.confirmToken")
    rederive(Request(b"POST", b"/x", b"HTTP/1.1", (), json.dumps(asked).encode()), 4, given)
    assert given.observed_for(TOKEN) == "f" * 31 + "0"


def test_the_beginning_of_a_key_follows_the_key() -> None:
    """A key's prefix is known as soon as the key is, in both spellings, though no answer listed it."""
    bindings = Bindings()
    learn(answer({"key": f"sig_sk_b7ff332ed0c6_{SECRET}"}), answer({"key": f"sig_sk_0a1b2c3d4e5f_{SECRET[::-1]}"}), bindings, 1)
    assert bindings.rewrite_text("/api-keys/b7ff332ed0c6") == "/api-keys/0a1b2c3d4e5f"
    assert bindings.rewrite_text("sig_sk_b7ff332ed0c6") == "sig_sk_0a1b2c3d4e5f"

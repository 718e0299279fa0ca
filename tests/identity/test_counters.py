"""Versions and epochs that clients send back."""

from replay.content import Number, Value
from replay.identity.counters import Counters, session_of
from replay.model import Request

M, N = "4a1accbf-4023-4638-bf25-d3235c065c5c", "88449be6-fc8f-42d6-9b75-38bba16fb00f"


def request(target: str, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Request:
    """Build a request."""
    return Request(b"PATCH", target.encode(), b"HTTP/1.1", headers, body)


def counters(**pairs: tuple[int, int]) -> Counters:
    """Know pairs of versions of one memory, by the names that an answer gives them."""
    known = Counters()
    left: dict[str, Value] = {name: Number(str(one)) for name, (one, _) in pairs.items()}
    right: dict[str, Value] = {name: Number(str(two)) for name, (_, two) in pairs.items()}
    known.learn(left, right, M, "s-1")
    return known


def test_only_what_an_answer_gave_is_rewritten() -> None:
    """A version of the same memory goes with the observed number; one that no answer gave, or of another memory, as it was."""
    known = counters(currentVersion=(2, 2), newVersion=(3, 9))
    sent, told = known.rewrite(request(f"/api/memory/{M}", b'{"if_version" : 3, "n": 3, "text": "if_version 3"}'))
    assert sent.body == b'{"if_version" : 9, "n": 3, "text": "if_version 3"}'
    assert told == [f"version 3 of {M} is 9 here"]
    for target, body in ((f"/api/memory/{M}", b'{"if_version":7}'), (f"/api/memory/{N}", b'{"if_version":3}'), ("/x", b'{"if_version":"3"}')):
        same = request(target, body)
        assert known.rewrite(same) == (same, [])


def test_each_patch_has_its_own_memory() -> None:
    """In a list the id beside the number says whose it is, wherever it stands in the object, and not the path."""
    known = counters(newVersion=(3, 12))
    body = b'{"patches":[{"if_version":3,"patch":{"tags":[1,2]},"id":"%s"},{"id":"%s","if_version":3}],"if_version":3}' % (
        M.encode(),
        N.encode(),
    )
    sent, _ = known.rewrite(request("/api/memory/modify", body))
    assert sent.body == body.replace(b'"if_version":3,"patch"', b'"if_version":12,"patch"')


def test_queries() -> None:
    """A version in a query belongs to the memory in the path."""
    known = counters(version=(3, 4))
    sent, _ = known.rewrite(request(f"/api/memory/{M}?reason=if_version%3D3&if_version=3&x=3"))
    assert sent.target == f"/api/memory/{M}?reason=if_version%3D3&if_version=4&x=3".encode()


def test_epochs_belong_to_sessions() -> None:
    """An epoch is learned for the session that asked, and sent anew for no other."""
    known = counters(contextEpoch=(1, 2))
    own = request("/api/memory/recall", b'{"sessionKey":"s-1","contextEpoch":1}')
    assert known.rewrite(own)[0].body == b'{"sessionKey":"s-1","contextEpoch":2}'
    other = request("/api/memory/recall", b'{"contextEpoch":1}', (b"X-Signet-Session-Key", b"s-2"))
    assert known.rewrite(other)[0] is other
    assert (session_of(own), session_of(other), session_of(request("/x"))) == ("s-1", "s-2", None)


def test_odd_bodies_stay() -> None:
    """Bytes that are no JSON, unclosed or no UTF-8, change nothing and break nothing."""
    known = counters(version=(3, 4))
    for body in (b'{"if_version":3', b"]]}}if_version", b'\xff{"if_version":3.0}', b'"if_version"', b'{"if_version":99999999999999999999}'):
        same = request(f"/api/memory/{M}", body)
        assert known.rewrite(same) == (same, [])

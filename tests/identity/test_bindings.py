"""One renaming per kind."""

from replay.content import rewrite
from replay.identity import Bindings
from replay.workspace.tokens import mint

A, B = "4a1accbf-4023-4638-bf25-d3235c065c5c", "88449be6-fc8f-42d6-9b75-38bba16fb00f"
C, D = "a5bfa7a6-0dc5-4d6c-9792-b133c8ccae72", "db99783a-da0c-44ac-806c-f51bb5094d84"


def test_rewrites_by_exact_spans_in_one_pass() -> None:
    """Ids are replaced where they stand whole, also when they change places."""
    bindings = Bindings()
    assert bindings.bind("uuid", A, B, 1, "$.id") is None
    assert bindings.bind("uuid", B, A, 2, "$.id") is None
    bindings.bind("token", "htr3alsu75ehacpv", "carfgd5umvw5fuoy", 2, "$.token")
    assert bindings.rewrite_text(f"/x/{A}/{B}?t=htr3alsu75ehacpv&u=xhtr3alsu75ehacpv") == f"/x/{B}/{A}?t=carfgd5umvw5fuoy&u=xhtr3alsu75ehacpv"
    assert bindings.rewrite_back(f"{A} {B} carfgd5umvw5fuoy") == f"{B} {A} htr3alsu75ehacpv"
    assert bindings.observed_for(A) == B
    assert bindings.recorded_for(B) == A
    assert bindings.observed_for("else") is None


def test_contradictions_keep_the_first() -> None:
    """A second partner for an id, on either side, is refused and said."""
    bindings = Bindings()
    bindings.bind("uuid", A, B, 1, "$.id")
    said = bindings.bind("uuid", A, C, 5, "$.other")
    assert said == f"#5 $.other: uuid {A} would be {C}, but is {B} since #1 $.id"
    assert "stands for" in (bindings.bind("uuid", D, B, 6, "$.x") or "")
    assert bindings.observed_for(A) == B
    assert len(bindings.contradictions) == 2


def test_weak_gives_way() -> None:
    """A binding by order gives way to a firm one and never contradicts."""
    bindings = Bindings()
    bindings.bind("uuid", A, C, 1, "$[0]", weak=True)
    assert bindings.bind("uuid", A, D, 1, "$[1]", weak=True) is None
    assert bindings.bind("uuid", A, B, 2, "$.id") is None
    assert bindings.observed_for(A) == B
    assert bindings.recorded_for(C) is None
    assert bindings.contradictions == []


def test_moments_may_become_one() -> None:
    """Two recorded times may be one observed time: no contradiction."""
    bindings = Bindings()
    assert bindings.bind("timestamp", "2026-11-23T07:37:13.001Z", "2026-12-01T00:00:00.000Z", 1, "$.a") is None
    assert bindings.bind("timestamp", "2026-11-23T07:37:13.002Z", "2026-12-01T00:00:00.000Z", 1, "$.b") is None
    assert bindings.rewrite_text("?since=2026-11-23T07:37:13.002Z") == "?since=2026-12-01T00:00:00.000Z"
    assert bindings.contradictions == []


def test_records_come_back() -> None:
    """Bindings survive their records, weak ones as weak ones."""
    bindings = Bindings()
    bindings.bind("uuid", A, B, 3, "$.id")
    bindings.bind("uuid", C, D, 1, "$[0].id", weak=True)
    back = Bindings.of(bindings.records())
    assert back.records() == bindings.records()
    assert [record.exchange for record in back.records()] == [1, 3]
    assert back.bind("uuid", C, A, 9, "$.id") is None
    assert len(back) == 2


def test_edits_fit_content() -> None:
    """`edits` is what content.rewrite takes: ids in keys and in JSON in strings are replaced, all else stays."""
    bindings = Bindings()
    bindings.bind("uuid", A, B, 1, "$.id")
    body = b'{"%s": 1.0, "t":"{\\"id\\":\\"%s\\"}", "x":"\\u00e9 %s"}' % ((A.encode(),) * 3)
    new, count = rewrite(body, b"application/json", bindings.edits)
    assert new == body.replace(A.encode(), B.encode())
    assert count == 3


def test_two_logins_of_one_second_share_a_token() -> None:
    """Tokens are made of their claims alone: two that grant the same may become one, two that don't are a contradiction."""
    secret = bytes(32)
    first, second = (mint(secret, {"sub": "dashboard:admin", "role": "admin", "iat": at, "exp": at + 60}) for at in (100, 101))
    other = mint(secret, {"sub": "token:readonly", "role": "readonly", "iat": 102, "exp": 162})
    observed = mint(secret, {"sub": "dashboard:admin", "role": "admin", "iat": 900, "exp": 960})
    bindings = Bindings()
    assert bindings.bind("bearer", first, observed, 1, "$.token") is None
    assert bindings.bind("bearer", second, observed, 2, "$.token") is None
    assert bindings.observed_for(first) == bindings.observed_for(second) == observed
    assert bindings.recorded_for(observed) == first
    assert not bindings.contradictions
    assert bindings.bind("bearer", other, observed, 3, "$.token") is not None

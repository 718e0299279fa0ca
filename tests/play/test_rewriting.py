"""A recorded request as it goes to the candidate."""

from collections.abc import Mapping

import pytest

from replay.content import Number
from replay.identity import Bindings
from replay.identity.derived import confirm_token
from replay.model import Connection, EndReason, Exchange, NoResponse, Request
from replay.play.credentials import Credentials
from replay.play.dates import Dates
from replay.play.rewriting import Rewriter, Rewritten
from replay.play.verdicts import Verdicts

R1, R2 = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
O1, LONG = "aaaaaaaa-0000-4000-8000-00000000000a", "memory-of-another-form-0000000000000000000000001"


def rewrite(bindings: Bindings, request: Request, replacements: Mapping[str, str] | None = None) -> Rewritten:
    """Rewrite one request."""
    exchange = Exchange(
        id=4,
        connection=Connection("c"),
        request=request,
        outcome=NoResponse("x"),
        end=EndReason.COMPLETE,
        opened_event=1,
        ended_event=2,
        started_at=0.0,
        ended_at=0.0,
    )
    credentials = Credentials(Verdicts(), bindings, secret=None, clock=lambda: 0.0)
    return Rewriter(bindings, credentials=credentials, dates=Dates(bindings, clock=lambda: 0.0), replacements=replacements or {}).rewrite(
        exchange
    )


def asked(target: bytes, body: bytes = b"", *headers: tuple[bytes, bytes], media: bytes = b"application/json") -> Request:
    """Build a request."""
    length = ((b"Content-Length", str(len(body)).encode()),) if body else ()
    return Request(b"POST", target, b"HTTP/1.1", ((b"Host", b"127.0.0.1:3850"), (b"Content-Type", media), *length, *headers), body)


@pytest.fixture
def bindings() -> Bindings:
    """Know one id of the same length, and one of another form and length."""
    known = Bindings()
    known.bind("uuid", R1, O1, 1, "$.id")
    known.bind("uuid", R2, LONG, 1, "$.other")
    return known


def test_what_names_no_bound_id_is_the_same(bindings: Bindings) -> None:
    """Every byte of such a request stays, odd spelling included."""
    request = asked(b"/a%2Fb//?x=%41&&y", b'{ "a" : 1.0, "b":"\\u00e9", "a":2 }', (b"x-Odd", b" two  spaces "))
    sent = rewrite(bindings, request)
    assert (sent.request, sent.replaced, sent.notes) == (request, 0, ())


def test_places_and_length(bindings: Bindings) -> None:
    """Ids go into path, query, headers and form fields, and the length follows the body."""
    target = b"/api/%s?ids=%s%%2C%s" % (R1.encode(), R1.encode(), R2.encode())
    request = asked(target, b"id=%s&other=%s" % (R1.encode(), R2.encode()), (b"X-Ref", R2.encode()), media=b"application/x-www-form-urlencoded")
    sent = rewrite(bindings, request).request
    assert sent.target == b"/api/%s?ids=%s%%2C%s" % (O1.encode(), O1.encode(), LONG.encode())
    assert sent.body == b"id=%s&other=%s" % (O1.encode(), LONG.encode())
    assert sent.header(b"x-ref") == LONG.encode()
    assert sent.header(b"content-length") == str(len(sent.body)).encode()
    assert sent.header(b"host") == b"127.0.0.1:3850"


def test_versions_change_the_length(bindings: Bindings) -> None:
    """A version with more digits than the recorded one makes the body longer, and a note says so."""
    bindings.counters.learn({"version": Number("9")}, {"version": Number("10")}, R1, None)
    sent = rewrite(bindings, asked(b"/api/memory/" + R1.encode(), b'{"if_version":9}'))
    assert sent.request.body == b'{"if_version":10}'
    assert sent.request.header(b"content-length") == b"17"
    assert sent.notes == (f"version 9 of {R1} is 10 here",)


def test_sums_over_ids_are_made_again(bindings: Bindings) -> None:
    """A token over the ids of the request goes as the token over the observed ones."""
    body = b'{"ids":["%s","%s"],"confirm_token":"%s"}' % (R1.encode(), R2.encode(), confirm_token([R1, R2]).encode())
    sent = rewrite(bindings, asked(b"/api/memory/forget", body)).request
    assert sent.body == b'{"ids":["%s","%s"],"confirm_token":"%s"}' % (O1.encode(), LONG.encode(), confirm_token([O1, LONG]).encode())


def test_placeholders_are_sent_and_not_shown(bindings: Bindings) -> None:
    """What stands in for a secret is written down, the secret itself is sent, and ids beside it are renewed in both."""
    made = rewrite(bindings, asked(b"/x", b'{"v":"~~rlZ1cz3ht5","id":"%s"}' % R1.encode()), {"~~rlZ1cz3ht5": "hush"})
    assert made.request.body == b'{"v":"hush","id":"%s"}' % O1.encode()
    assert made.shown.body == b'{"v":"~~rlZ1cz3ht5","id":"%s"}' % O1.encode()


def test_what_holds_nothing_goes_as_recorded(bindings: Bindings) -> None:
    """A request in which nothing looks like an id is sent as the very same value, also when its headers are known; one with an id is not."""
    dull = asked(b"/api/memories?offset=7", b'{"a":"said"}')
    bearing = asked(b"/api/memories?offset=7", b'{"a":"%b"}' % R1.encode())
    assert rewrite(bindings, dull).request is dull
    assert O1.encode() in (rewrite(bindings, bearing).request.body or b"")
    bindings.bind("prefix", "said", "gone", 2, "$.a")
    assert rewrite(bindings, dull).request.body == b'{"a":"gone"}'

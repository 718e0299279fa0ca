"""Learning ids from answers, and where nothing is learned."""

import json

from replay.identity import Bindings
from replay.model import Connection, Exchange, Request, Response
from replay.play.learning import Learning

R1, O1, O2 = "11111111-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b"


def _response(body: object, *headers: tuple[bytes, bytes]) -> Response:
    return Response(b"HTTP/1.1", 200, b"OK", ((b"content-type", b"application/json"), *headers), json.dumps(body).encode())


def _exchange(number: int, outcome: Response) -> Exchange:
    request = Request(b"GET", b"/api/memories", b"HTTP/1.1", ())
    return Exchange(number, request, outcome, Connection("c"), number * 2, number * 2 + 1, 0.0, 1.0)


def test_an_id_that_is_equal_on_both_sides_contradicts_a_later_other_one() -> None:
    """An answer that is equal byte for byte binds its ids to themselves, so that a later other partner is seen as a contradiction."""
    bindings = Bindings()
    learning = Learning(bindings, frozenset())
    same = _response({"id": O1})
    assert [each.observed for each in learning.whole(_exchange(1, same), same)] == [O1]
    learning.whole(_exchange(2, _response({"id": O1})), _response({"id": O2}))
    assert len(bindings.contradictions) == 1


def test_an_equal_answer_contradicts_an_earlier_binding() -> None:
    """An id that stood for another one and now for itself is a contradiction."""
    bindings = Bindings()
    learning = Learning(bindings, frozenset())
    learning.whole(_exchange(1, _response({"id": R1})), _response({"id": O1}))
    same = _response({"id": R1})
    learning.whole(_exchange(2, same), same)
    assert len(bindings.contradictions) == 1


def test_equal_answers_without_ids_teach_nothing() -> None:
    """Equal answers whose headers differ in the date alone are not searched, and what is equal again is not either."""
    bindings = Bindings()
    learning = Learning(bindings, frozenset())
    dated = _response({"n": 1}, (b"Date", b"Sat, 14 Nov 2026 09:12:03 GMT"))
    later = _response({"n": 1}, (b"Date", b"Sun, 15 Nov 2026 09:12:03 GMT"))
    assert learning.whole(_exchange(1, dated), later) == []
    same = _response({"id": O1})
    assert len(learning.whole(_exchange(2, same), same)) == 1
    assert learning.whole(_exchange(3, same), same) == []
    assert len(bindings) == 1


def test_an_id_in_a_header_of_an_equal_answer() -> None:
    """An id that only a header bears is learned, also before the body is whole."""
    bindings = Bindings()
    learning = Learning(bindings, frozenset())
    recorded, observed = _response({}, (b"X-Request-Id", R1.encode())), _response({}, (b"X-Request-Id", O1.encode()))
    assert [each.observed for each in learning.head(_exchange(1, recorded), observed)] == [O1]
    assert learning.whole(_exchange(1, recorded), observed) == []
    assert bindings.observed_for(R1) == O1

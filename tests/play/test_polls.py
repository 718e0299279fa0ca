"""How far work is, as answers tell it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import Connection, EndReason, Exchange, NoResponse, Request, Response
from replay.play.polls import asks_about, goes_on, is_early

_WORDS = st.sampled_from(["running", "queued", "completed", "failed", "syncing", "idle", "healthy"])
_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_BODIES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["status", "state", "jobs", "a"]), inner | _WORDS, max_size=4),
    max_leaves=12,
)


def _answer(body: Any, status: int = 200) -> Response:
    return Response(b"HTTP/1.1", status, b"OK", ((b"content-type", b"application/json"),), json.dumps(body).encode())


def _exchange(method: bytes, target: bytes, answer: Response) -> Exchange:
    request = Request(method, target, b"HTTP/1.1", (), b"")
    return Exchange(
        id=1, connection=Connection("c1"), request=request, outcome=answer, end=EndReason.COMPLETE,
        opened_event=1, ended_event=2, started_at=1.0, ended_at=1.1,
    )  # fmt: skip


@given(_BODIES)
def test_an_answer_is_never_earlier_than_itself(body: Any) -> None:
    """What is the same as the recorded answer is not asked for again."""
    assert not is_early(_answer(body), _answer(body), patient=True)


@pytest.mark.parametrize(
    ("recorded", "observed"),
    [
        ({"status": "completed"}, {"status": "running"}),
        ({"job": {"state": "done"}}, {"job": {"state": "Queued"}}),
        ({"sources": [{"indexJob": {"status": "complete"}}]}, {"sources": [{"indexJob": {"status": "running"}}]}),
        ({"runs": [{"status": "failed"}, {"status": "completed"}]}, {"runs": [{"status": "completed"}, {"status": "running"}]}),
        ({"id": "m", "extraction_status": "completed"}, {"id": "m", "extraction_status": "pending"}),
    ],
)
def test_running_here_and_done_there_is_early(recorded: Any, observed: Any) -> None:
    """A state that still runs where none ran in the recording is early, in objects and in lists of any order."""
    assert is_early(_answer(recorded), _answer(observed), patient=False)


@pytest.mark.parametrize(
    ("recorded", "observed"),
    [
        ({"status": "running"}, {"status": "completed"}),
        ({"status": "running"}, {"status": "queued"}),
        ({"status": "completed"}, {"status": "failed"}),
        ({"runs": [{"status": "running"}, {"status": "completed"}]}, {"runs": [{"status": "completed"}, {"status": "running"}]}),
        ({"status": "completed"}, {"phase": "running"}),
    ],
)
def test_what_ran_there_too_is_not_early(recorded: Any, observed: Any) -> None:
    """A state that ran in the recording, or ended otherwise here, or that the recording does not tell, is not early."""
    assert not is_early(_answer(recorded), _answer(observed), patient=True)


def test_not_there_yet_is_early_for_the_patient() -> None:
    """An answer of 404 where the recording has 200 is early only where time was left; one of 202 always; an error there never."""
    assert is_early(_answer({}), _answer({}, 404), patient=True)
    assert not is_early(_answer({}), _answer({}, 404), patient=False)
    assert is_early(_answer({}), _answer({}, 202), patient=False)
    assert not is_early(_answer({}, 404), _answer({}, 202), patient=True)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (_answer({"id": "x"}, 202), True),
        (_answer({"status": "syncing"}), True),
        (_answer({"status": "pending"}), False),
        (_answer({"proposal": {"status": "running"}}), False),
        (_answer({"status": "running"}, 409), False),
        (Response(b"HTTP/1.1", 202, b"Accepted", (), b""), False),
        (NoResponse("gone"), False),
    ],
)
def test_an_answer_says_whether_work_goes_on(outcome: Response | NoResponse, *, expected: bool) -> None:
    """Work goes on after 202 with a body, or a state of the answer itself that says so."""
    assert goes_on(outcome) is expected


def test_a_poll_asks_about_what_was_begun() -> None:
    """A GET in the same place whose recorded answer tells a state asks about it; a write, another place, or a stateless answer does not."""
    told = _answer({"sources": [{"job": {"status": "complete"}}]})
    assert asks_about(_exchange(b"GET", b"/api/sources?x=1", told), b"/api/sources/obsidian")
    assert not asks_about(_exchange(b"DELETE", b"/api/sources", told), b"/api/sources/obsidian")
    assert not asks_about(_exchange(b"GET", b"/api/memories", told), b"/api/sources/obsidian")
    assert not asks_about(_exchange(b"GET", b"/api/sources", _answer({"html": ""})), b"/api/sources/obsidian")

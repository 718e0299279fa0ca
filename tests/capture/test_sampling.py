"""Which part of the traffic is recorded."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from replay.capture.sampling import Sampling


@given(st.floats(0, 1), st.text(min_size=1, max_size=8))
def test_a_connection_stays_together(rate: float, client: str) -> None:
    """The same connection is always taken or always left, also by another recorder."""
    one, two = Sampling(rate, "connection"), Sampling(rate, "connection")
    assert len({one.takes(client, {}), one.takes(client, {"x-signet-session-key": "s"}), two.takes(client, {})}) == 1


def test_a_session_stays_together() -> None:
    """A session that spans connections is taken or left as one."""
    sampling = Sampling(0.5, "session")
    for session in map(str, range(50)):
        assert len({sampling.takes(f"c{n}", {"x-signet-session-key": session}) for n in range(20)}) == 1


def test_the_rate_is_kept() -> None:
    """Of many connections about the wanted part is taken; none at 0, all at 1."""
    clients = [str(uuid.UUID(int=n)) for n in range(4000)]
    taken = sum(Sampling(0.25, "connection").takes(client, {}) for client in clients)
    assert 900 < taken < 1100
    assert not any(Sampling(0.0, "connection").takes(client, {}) for client in clients)
    assert all(Sampling(1.0, "connection").takes(client, {}) for client in clients)

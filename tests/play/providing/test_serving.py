"""A served lane on a real socket: what well-behaved clients get, and what all others get."""

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from replay.model import EndReason
from replay.play.providing.requests import NotARequestError, RequestReader


def body_of(raw: bytes) -> bytes:
    """Give the body of an answer."""
    return raw.split(b"\r\n\r\n", 1)[1]


def test_requests_share_a_connection(lane: Any, served: Any, spelt: Any) -> None:
    """Two requests on one connection, sent at once, get their answers in order; the second one closes it."""
    lane.said("one", "1")
    lane.said("two", "2")

    async def talk() -> bytes:
        async with served(lane) as here:
            raw: bytes = await here.talk(spelt("one", close=False) + spelt("two"))
            return raw

    raw = asyncio.run(talk())
    assert raw.index(b'"1"') < raw.index(b'"2"')
    assert raw.count(b"HTTP/1.1 200 As Recorded") == 2


def test_a_stream_comes_in_its_recorded_pieces(lane: Any, served: Any, spelt: Any) -> None:
    """Each recorded piece is a chunk of its own, and nothing waits between them."""
    pieces = [b'{"response":"a"}\n', b'{"response":"b"}\n', b'{"done":true}\n']
    lane.add("/api/generate", {"model": "small", "prompt": "x", "stream": True}, b"".join(pieces), chunks=pieces)

    async def talk() -> bytes:
        async with served(lane) as here:
            raw: bytes = await here.talk(spelt("x", stream=True))
            return raw

    raw = asyncio.run(talk())
    assert body_of(raw) == b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_many_clients_at_once_get_each_answer_once(lane: Any, served: Any, spelt: Any) -> None:
    """Of equal questions asked at the same time, each gets another one of the recorded answers."""
    for number in range(40):
        lane.said("Say a number.", str(number))

    async def talk() -> list[str]:
        async with served(lane) as here:
            raws = await asyncio.gather(*(here.talk(spelt("Say a number.")) for _ in range(40)))
            assert here.server.busy == 0
            return [json.loads(body_of(raw))["response"] for raw in raws]

    assert sorted(asyncio.run(talk()), key=int) == [str(number) for number in range(40)]


def test_a_client_that_leaves_harms_nobody(lane: Any, served: Any, spelt: Any) -> None:
    """Half a request, or an answer that nobody reads, ends with its connection; others are served."""
    lane.said("one", "1" * 3_000_000)

    async def talk() -> tuple[bytes, int]:
        async with served(lane) as here:
            for raw in (spelt("one")[:60], b"", spelt("one")):
                _, writer = await asyncio.open_connection("127.0.0.1", here.port)
                writer.write(raw)
                await writer.drain()
                writer.transport.abort()
            answer = await here.talk(spelt("one"))
            await here.server.close()
            return answer, here.server.busy

    answer, busy = asyncio.run(talk())
    assert len(answer) > 3_000_000
    assert busy == 0


def test_a_slow_reader_gets_all_of_it(lane: Any, served: Any, spelt: Any) -> None:
    """An answer bigger than any buffer waits for its reader, and is counted as being given meanwhile; another client does not wait."""
    lane.said("big", "1" * 8_000_000)
    lane.said("small", "2")

    async def talk() -> int:
        async with served(lane) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port, limit=1024)
            writer.write(spelt("big"))
            await writer.drain()
            await reader.readexactly(10)
            assert b'"2"' in await here.talk(spelt("small"))
            assert here.server.busy == 1
            rest = await reader.read()
            length = 10 + len(rest)
            while part := await reader.read(1_000_000):
                length += len(part)
            writer.close()
            await writer.wait_closed()
            return length

    assert asyncio.run(talk()) > 8_000_000


def test_what_was_left_is_held_until_it_is_left_again(lane: Any, served: Any, spelt: Any) -> None:
    """A stream that the recorded daemon left is not ended for it; holding it counts as no work."""
    lane.add("/api/generate", {"model": "small", "prompt": "x", "stream": True}, b"{}\n", chunks=[b"{}\n"], end=EndReason.CLIENT_LEFT)

    async def talk() -> bool:
        async with served(lane) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(spelt("x", stream=True))
            await reader.readuntil(b"3\r\n{}\n\r\n")
            more = asyncio.ensure_future(reader.read(1))
            done, _ = await asyncio.wait([more], timeout=0.1)
            assert here.server.busy == 0
            writer.close()
            more.cancel()
            await asyncio.gather(writer.wait_closed(), more, return_exceptions=True)
            return not done

    assert asyncio.run(talk())


def test_what_was_broken_off_is_broken_off_again(lane: Any, served: Any, spelt: Any) -> None:
    """A provider that hung up in an answer, or before it, does so again."""
    lane.add("/api/generate", {"model": "small", "prompt": "x", "stream": True}, b"{}\n", chunks=[b"{}\n"], end=EndReason.SERVER_CLOSED)
    lane.add("/api/generate", {"model": "small", "prompt": "y", "stream": False}, None, end=EndReason.SERVER_CLOSED)

    async def talk(prompt: str, **more: Any) -> bytes:
        async with served(lane) as here:
            try:
                raw: bytes = await here.talk(spelt(prompt, **more))
            except ConnectionResetError:
                return b"reset"
            return raw

    assert not asyncio.run(talk("x", stream=True)).endswith(b"0\r\n\r\n")
    assert asyncio.run(talk("y")) in {b"", b"reset"}


def test_a_client_that_waits_to_be_told_is_told(lane: Any, served: Any, spelt: Any) -> None:
    """A body that is sent only after `100 Continue` comes."""
    lane.said("one", "1")
    head, _, body = spelt("one").partition(b"\r\n\r\n")

    async def talk() -> bytes:
        async with served(lane) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            raw = await reader.read()
            writer.close()
            await writer.wait_closed()
            return raw

    assert b'"1"' in asyncio.run(talk())


def test_what_is_no_request_is_refused_and_counted(lane: Any, served: Any, spelt: Any) -> None:
    """Nonsense gets 400 and is noted as malformed; the next client is served."""
    lane.said("one", "1")

    async def talk() -> tuple[bytes, bytes, list[str]]:
        async with served(lane) as here:
            refused = await here.talk(b"\x16\x03\x01 nonsense\r\n\r\n")
            return refused, await here.talk(spelt("one")), [given.stage for _, given, _ in here.notes]

    refused, answer, stages = asyncio.run(talk())
    assert refused.startswith(b"HTTP/1.1 400 ")
    assert b'"1"' in answer
    assert stages == ["malformed", "other"]


def test_secrets_are_shown_to_the_daemon_alone(lane: Any, served: Any, spelt: Any) -> None:
    """A placeholder of the recording is its secret for the daemon, in what it asks and what it gets, and stays one in what is noted."""
    lane.said("The password is REDACTEDpassword1.", "I keep REDACTEDpassword1.")

    async def talk() -> tuple[bytes, bytes]:
        async with served(lane, REDACTEDpassword1="tell-nobody") as here:
            raw = await here.talk(spelt("The password is tell-nobody."))
            ask, given, _ = here.notes[0]
            return raw, ask.body + b"".join(given.pieces)

    raw, noted = asyncio.run(talk())
    assert b"I keep tell-nobody." in raw
    assert b"tell-nobody" not in noted


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_are_a_request_or_none(pieces: list[bytes]) -> None:
    """Whatever comes, the reader gives whole requests or says that it is none."""
    reader = RequestReader()
    try:
        for piece in pieces:
            reader.feed(piece)
    except NotARequestError:
        return
    assert all(each.method for each in reader.whole)

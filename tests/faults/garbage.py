"""
Malformed HTTP, drawn from a seed: heads, targets, lengths, chunks, header bytes, and whole answers that no server should give.

A message begins well-formed and is then bent one to three times; one in ten is no HTTP at all. Addresses in it are loopback's, so that a
proxy that believes one goes nowhere.
"""

import random
from collections.abc import Callable
from typing import Final

type Bend = Callable[[random.Random, bytes], bytes]

_ODD_BYTES: Final = (b"\x00", b"\xff\xfe", b"\xc3\x28", b"\r", b"\n", b"\t", b"\x7f", b"\xe2\x80\xa8", b" ", b"")
_LENGTHS: Final = (
    b"-1",
    b"+5",
    b"0x10",
    b"99999999999999999999",
    b"5, 5",
    b"5, 6",
    b"",
    b" 7 ",
    b"1e3",
    b"4\x00",
    b"00000005",
    b"18446744073709551615",
)
_CHUNKS: Final = (
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\nhello\r\n",
    b'5;ext="\xff"\r\nhello\r\n0\r\n\r\n',
    b"5\nhello\n0\n\n",
    b"g\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhelloworld\r\n0\r\n\r\n",
    b"5\r\nhel",
    b"\r\n\r\n",
    b"0\r\nX-Trailer: 1\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"05\r\nhello\r\n00\r\n\r\n",
    b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5" * 5000 + b"\r\n",
)
_METHODS: Final = (b"", b"get", b"G\x00T", b"G ET", b"A" * 9_000, b"PRI", b"CONNECT", b"\xc3\xa9", b"TRACE", b"GET\t", b"-", b"OPTIONS")
_TARGETS: Final = (
    b"",
    b"*",
    b"http://127.0.0.1:1/x",
    b"//",
    b"/%",
    b"/%00",
    b"/\xff\xfe",
    b"/a b",
    b"?",
    b"/#x",
    b"127.0.0.1:1",
    b"/" + b"x" * 70000,
    b"/\x00",
    b"http://[::1",
    b"http://127.0.0.1:99999/",
    b"/?" + b"a=b&" * 9000,
    b"/api/memory/%ff%fe?token=\xff",
    b"javascript:1",
    b"/\xe2\x80\xa8",
)
_VERSIONS: Final = (b"HTTP/0.9", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.10", b"HTP/1.1", b"http/1.1", b"HTTP/1.1 x", b"", b"HTTP/1.\xff", b"HTTP/3")
_STATUS: Final = (
    b"99",
    b"1000",
    b"abc",
    b"-1",
    b"",
    b"2000",
    b"0",
    b"100",
    b"101",
    b"103",
    b"199",
    b"304",
    b"204",
    b"600",
    b"20\x00",
    b"200" * 99,
)
_HEADERS: Final = (
    b"No colon here",
    b": no name",
    b"Bad Name: 1",
    b"X-Nul: a\x00b",
    b"X-Hi: \xff\xfe\xc3",
    b"X-Fold: a\r\n b",
    b"Content-Length : 5",
    b"X-Long: " + b"y" * 70000,
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Content-Encoding: gzip",
    b"Content-Encoding: zstd, br, nothing",
    b"Content-Type: text/event-stream",
    b"Content-Type: \xff/\xfe; charset=\x00",
    b"Content-Type: application/json; charset=no-such",
    b"Connection: close, keep-alive, upgrade",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13",
    b"Upgrade: h2c\r\nHTTP2-Settings: AAA",
    b"Expect: 100-continue",
    b"Expect: the worst",
    b"Host: \xff",
    b"Host: a\r\nHost: b",
    b"Authorization: Bearer \xff\x00",
    b"Cookie: \x00=\x01; ;;==",
    b"Authorization: Bearer ",
    b"Authorization: \xc3\xa9 x",
    b"Set-Cookie: =;;;\xff",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Trailer: x",
    b"Date: never",
    *tuple(b"Content-Length: " + length for length in _LENGTHS),
)
_BODIES: Final = (
    b"",
    b"hello",
    b'{"token":',
    b'{"password":"\xff\xfe"}',
    b"[" * 20000,
    b"{" * 3000 + b'"a"',
    b'"\\ud800"',
    b'{"a":1e999,"a":2}',
    b"\x1f\x8b\x08\x00garbage",
    b"data: x\n\ndata:",
    b"\x00" * 500,
    b"\xff" * 500,
    b'{"password":"' + b"\\u0061" * 300 + b'"}',
    b"password=%ff%&token=&=",
    b"x" * 100000,
)
_RAW: Final = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    b"\r\n" * 400,
    b"\x05\x01\x00",
    b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n",
    b"SSH-2.0-x\r\n",
    b"\x00" * 3000,
    b"GET",
    b"\n\n\n",
    b":\r\n:\r\n\r\n",
    b" \r\n\r\n",
)


def request(dice: random.Random, number: int) -> bytes:
    """Draw a malformed request."""
    if dice.random() < 0.1:
        return _noise(dice)
    body = dice.choice(_BODIES) if dice.random() < 0.5 else b""
    line = b" ".join((dice.choice((b"GET", b"POST", b"PUT", b"DELETE")), b"/fuzz/%d" % number, b"HTTP/1.1"))
    if dice.random() < 0.4:
        parts = line.split(b" ")
        which = dice.randrange(3)
        parts[which] = dice.choice((_METHODS, _TARGETS, _VERSIONS)[which])
        line = b" ".join(parts)
    return _bend(dice, _message(dice, line, [b"Host: daemon.example"], body))


def answer(dice: random.Random) -> bytes:
    """Draw a malformed answer."""
    if dice.random() < 0.1:
        return _noise(dice)
    line = b"HTTP/1.1 200 OK"
    if dice.random() < 0.4:
        parts = [dice.choice(_VERSIONS), dice.choice(_STATUS), dice.choice((b"OK", b"\xff\xfe", b"", b"a\x00b", b"z" * 70_000))]
        keep = dice.randrange(3)
        line = b" ".join(part if place != keep else b"HTTP/1.1 200 OK".split(b" ")[place] for place, part in enumerate(parts))
    whole = _bend(dice, _message(dice, line, [b"Content-Type: application/json"], dice.choice(_BODIES)))
    if dice.random() < 0.1:
        return dice.choice((b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", whole)) + whole
    return whole


def _message(dice: random.Random, line: bytes, headers: list[bytes], body: bytes) -> bytes:
    fate = dice.random()
    if fate < 0.25:
        headers.append(b"Transfer-Encoding: chunked")
        body = dice.choice(_CHUNKS) if dice.random() < 0.7 else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    elif fate < 0.4:
        headers.append(b"Content-Length: %d" % max(0, len(body) + dice.choice((-3, -1, 1, 4_000))))
    elif body or fate < 0.8:
        headers.append(b"Content-Length: %d" % len(body))
    for _ in range(dice.choice((0, 1, 1, 2))):
        headers.insert(dice.randrange(len(headers) + 1), dice.choice(_HEADERS))
    end = b"\n" if dice.random() < 0.05 else b"\r\n"
    return end.join((line, *headers, b"", b"")) + body


def _bend(dice: random.Random, data: bytes) -> bytes:
    for _ in range(dice.choice((0, 0, 1, 1, 2))):
        data = dice.choice(_BENDS)(dice, data)
    return data


def _cut(dice: random.Random, data: bytes) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def _insert(dice: random.Random, data: bytes) -> bytes:
    at = dice.randrange(min(len(data), 400) + 1)
    return data[:at] + dice.choice(_ODD_BYTES) * dice.choice((1, 1, 3)) + data[at:]


def _flip(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 5)) if data else 0):
        changed[dice.randrange(min(len(changed), 400))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _repeat(dice: random.Random, data: bytes) -> bytes:
    start = dice.randrange(len(data) + 1)
    return data + data[start : start + 300]


_BENDS: Final[tuple[Bend, ...]] = (_cut, _insert, _flip, _repeat)


def _noise(dice: random.Random) -> bytes:
    return dice.choice(_RAW) if dice.random() < 0.5 else dice.randbytes(dice.randrange(1, 600))

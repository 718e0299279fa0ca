"""
Answers made to hang, crash or drown a comparer: each gets an answer in bounded time and memory, and nothing raises.

The big ones run in a process of their own, whose processor time and memory the system limits: one that goes beyond is killed, and its test
fails.
"""

import json
import multiprocessing
import resource
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.compare.exchanges import compare_exchange
from replay.compare.state import Scene
from replay.model import Exchange

type Maker = Callable[..., Exchange]
type Scenes = Callable[[], Scene]
type Pair = tuple[bytes, bytes, bytes]

JSON: Final = b"application/json"
TEXT: Final = b"text/plain"
HTML: Final = b"text/html"
SSE: Final = b"text/event-stream"
NDJSON: Final = b"application/x-ndjson"
FORM: Final = b"application/x-www-form-urlencoded"
MEDIA: Final = (JSON, TEXT, HTML, SSE, NDJSON, FORM, b"image/png", b"", b"application/vnd.x+json; charset=utf-16")

CPU_S_MAX: Final = 120
MEMORY_BYTES_MAX: Final = 3_000_000_000


def nested(depth: int) -> bytes:
    """Make JSON in a string in JSON …, as deep as is asked."""
    text = '"x"'
    for _ in range(depth):
        text = json.dumps([text])
    return text.encode()


SMALL: Final[MappingProxyType[str, Pair]] = MappingProxyType(
    {
        "depth 100,000": (b"[" * 100_000 + b"]" * 100_000, b"[" * 100_000 + b"1" + b"]" * 100_000, JSON),
        "depth 250": (b"[" * 250 + b"]" * 250, b"[" * 250 + b"1" + b"]" * 250, JSON),
        "depth 190": (b'{"a":' * 190 + b"1" + b"}" * 190, b'{"a":' * 190 + b"2" + b"}" * 190, JSON),
        "never closed": (b"[" * 100_000, b"[" * 100_001, JSON),
        "1e400": (b"[1e400,-1e400,1e-400]", b"[1,-1e400,1e-400]", JSON),
        "lone surrogates": (b'{"a":"\\ud800","b":"\\udc00\\ud800"}', b'{"a":"\\udfff","\\ud800":1}', JSON),
        "no UTF-8": (b'{"a":"\xff\xfe"}', b'{"a":"\xff\xfd"}', JSON),
        "no UTF-8 text": (b"\xff\xfe abc", b"\xff\xfd abc", TEXT),
        "a million digits": (b"[1" + b"0" * 1_000_000 + b"]", b"[1" + b"0" * 999_999 + b"1]", JSON),
        "a million decimals": (b"[0." + b"1" * 1_000_000 + b"]", b"[0." + b"1" * 999_999 + b"2]", JSON),
        "JSON in strings": (nested(14), nested(14).replace(b"x", b"y"), JSON),
        "NaN": (b'{"a":NaN,"b":Infinity}', b'{"a":NaN,"b":-Infinity}', JSON),
        "byte order mark": (b'\xef\xbb\xbf{"a":1}', b'{"a":1}', JSON),
        "tags never closed": (b"<a " * 20_000, b"<a " * 20_001, HTML),
        "comments never closed": (b"<!--" * 20_000, b"<!--" * 20_001, HTML),
        "hyphens in names": (b"a-" * 20_000 + b".js", b"a-" * 20_001 + b".js", HTML),
        "one line without an end": (b"data:" + b"x" * 200_000, b"data:" + b"x" * 200_000 + b"\n\n", SSE),
        "half an id": (b"-".join([b"12345678"] * 20_000), b"-".join([b"12345678"] * 20_001), TEXT),
        "half a time": (b"2026-11-" * 20_000, b"2026-11-" * 20_001, TEXT),
        "half a token": (b"eyJ" + b"a.eyJ" * 20_000, b"eyJ" + b"a.eyJ" * 20_001, TEXT),
        "one id throughout": (b"82e9beee-9b05-4be8-84dc-a46eec3e988a " * 2_000, b"a9b629f8-1d8a-48f4-a775-94f7864f1411 " * 1_999, TEXT),
        "broken lines": (b"{broken\n" * 2_000, b"{broken\n" * 2_001, NDJSON),
        "empty fields": (b"&" * 100_000, b"&" * 100_000 + b"a=1", FORM),
        "a key again and again": (b"{" + b'"a":1,' * 20_000 + b'"a":2}', b"{" + b'"a":1,' * 20_000 + b'"a":3}', JSON),
    }
)


@pytest.mark.parametrize("name", SMALL)
def test_what_is_made_to_break_a_comparer_is_found(exchange: Maker, scene: Scenes, name: str) -> None:
    """The two bodies differ, and that is found; each beside itself is equal."""
    one, two, media = SMALL[name]
    left, right = exchange(raw=one, media=media), exchange(raw=two, media=media)

    assert compare_exchange(left, right, scene())
    assert compare_exchange(right, left, scene())
    assert compare_exchange(left, left, scene()) == []


BIG: Final[MappingProxyType[str, Callable[[], Pair]]] = MappingProxyType(
    {
        "50 MB of open brackets": lambda: (b"[" * 50_000_000, b"[" * 49_999_999 + b"1", JSON),
        "50 MB of lists": lambda: (b"[" + b"[]," * 16_600_000 + b"1]", b"[" + b"[]," * 16_600_000 + b"2]", JSON),
        "50 MB of objects": lambda: (b"[" + b"{}," * 16_600_000 + b"1]", b"[" + b"{}," * 16_600_000 + b"2]", JSON),
        "a million lists": lambda: (b"[" + b"[]," * 900_000 + b"1]", b"[" + b"[]," * 900_000 + b"2]", JSON),
        "50 MB of spaces": lambda: (b" " * 50_000_000 + b"a", b" " * 50_000_000 + b"b", TEXT),
        "50 MB of hex digits": lambda: (b"0123456789abcdef" * 3_000_000, b"0123456789abcdef" * 2_999_999 + b"0123456789abcdee", TEXT),
        "20 MB of quotation marks": lambda: (b'"' * 20_000_000, b'"' * 20_000_001, JSON),
        "8 MB of half times": lambda: (b"2026-11-" * 1_000_000, b"2026-11-" * 1_000_000 + b"2", TEXT),
        "9 MB of half ids": lambda: (b"-".join([b"12345678"] * 1_000_000), b"-".join([b"12345678"] * 1_000_000) + b"9", TEXT),
        "a million events": lambda: (
            b"".join(b'data: {"n":%d}\n\n' % n for n in range(1_000_000)),
            b"".join(b'data: {"n":%d}\n\n' % (n if n % 1000 else n + 1) for n in range(1_000_000)),
            SSE,
        ),
        "a million equal events": lambda: (b'data: {"n":1}\n\n' * 1_000_000, b'data: {"n":1}\n\n' * 999_990, SSE),
        "a million lines": lambda: (
            b"\n".join(b"line %d" % n for n in range(1_000_000)),
            b"\n".join(b"line %d" % (n if n % 1000 else n + 1) for n in range(1_000_000)),
            TEXT,
        ),
        "100,000 lines of JSON": lambda: (
            b"\n".join(b'{"n":%d}' % n for n in range(100_000)),
            b"\n".join(b'{"n":%d}' % (n if n % 1000 else n + 1) for n in range(100_000)),
            NDJSON,
        ),
        "2 MB of open tags": lambda: (b"<a " * 600_000, b"<a " * 500_000, HTML),
        "8 MB of fields": lambda: (b"a=1&" * 2_000_000, b"a=1&" * 2_000_000 + b"b=2", FORM),
    }
)


def compare_within_bounds(exchange: Maker, scene: Scenes, make: Callable[[], Pair]) -> None:
    """Compare two big bodies; the system ends this process where it takes too long or too much."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    one, two, media = make()
    assert compare_exchange(exchange(raw=one, media=media), exchange(raw=two, media=media), scene())


@pytest.mark.slow
@pytest.mark.parametrize("name", BIG)
def test_big_answers_take_bounded_time_and_memory(exchange: Maker, scene: Scenes, name: str) -> None:
    """Fifty megabytes of brackets, a million events: found within two minutes of one core, and three gigabytes."""
    process = multiprocessing.get_context("fork").Process(target=compare_within_bounds, args=(exchange, scene, BIG[name]))
    process.start()
    process.join()

    assert process.exitcode == 0


ALPHABET: Final = st.sampled_from([*'{}[]":,\\ \n\r\0', "data: ", "event: ", "\\u", "\\ud800", "1", "-", "e9", ".", "null", "true", "a", "é"])
RAW: Final = st.lists(ALPHABET, max_size=25).map(lambda parts: "".join(parts).encode()) | st.binary(max_size=40)


@given(one=RAW, two=RAW, media=st.sampled_from(MEDIA))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixtures give makers, which keep nothing
def test_any_bytes_are_compared(exchange: Maker, scene: Scenes, one: bytes, two: bytes, media: bytes) -> None:
    """Whatever two bodies hold and whatever they say they are, there is an answer, and a body is equal to itself."""
    left, right = exchange(raw=one, media=media), exchange(raw=two, media=media)
    for bytewise in (False, True):
        here = replace(scene(), bytewise=bytewise)

        assert compare_exchange(left, left, here) == []
        assert one != two or compare_exchange(left, right, here) == []
        assert isinstance(compare_exchange(left, right, here), list)

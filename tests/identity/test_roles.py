"""What strings and numbers are."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.content import Number
from replay.identity import classify, classify_number, find, fits, is_duration_key, skeleton

UUID = "4a1accbf-4023-4638-bf25-d3235c065c5c"
HEX16, HEX32, HEX64 = (
    "e157d79a502b59af",
    "0d3021a8df6cdaa956468311eb55a1ae",
    "13164529e868c5310204847af56c2abe378e6ac80e010e66c8fc0ba0fd4bdc2d",
)


@pytest.mark.parametrize(
    ("text", "role"),
    [
        (UUID, "uuid"),
        (HEX32, "digest(hex32)"),
        (HEX64, "digest(hex64)"),
        ("91d871ff741f", "prefix(hex12)"),
        ("key_mZtzzhrwC0DAu8NR", "api-key-id"),
        ("sig_sk_91d871ff741f_itSUJDlgWyniV9e9YPGa0iCTCGdSHc2qGhvi7Htkawo", "api-key"),
        ("eyJzdWIiOiJ0b2tlbjphZG1pbiJ9." + "a" * 43, "bearer"),
        ("agent_1795419510911_1", "time-id(name_ms)"),
        ("chatcmpl_1795419520325", "time-id(name_ms)"),
        ("mwsyf24v-g1wab0", "time-id(base36)"),
        ("htr3alsu75ehacpv", "token(base32)"),
        ("obsidian:" + HEX16, "composed(obsidian:<digest>)"),
        ("chunk-group:" + HEX32, "composed(chunk-group:<digest>)"),
        (f"source-index:obsidian:{HEX16}:1795419497464", "composed(source-index:obsidian:<digest>:<time-id>)"),
        ("sess-alpha-0001:compaction:1795419433407", "composed(sess-alpha-0001:compaction:<time-id>)"),
        (f"chatcmpl_{UUID}", "composed(chatcmpl_<uuid>)"),
        (f"temporal:memory:{UUID}:valid", "composed(temporal:memory:<uuid>:valid)"),
        ("memory/2026-11-23T07-37-13.407Z--yvdl6ymqk37zzcnw--manifest.md", "composed(memory/<timestamp>--<token>--manifest.md)"),
        ("REDACTED23M4KBu7YLHWauado2yBXo9LKcLFCcH0G4U", "placeholder"),
        ("2026-11-23T07:36:23.113Z", "timestamp(ms,Z)"),
        ("2026-11-14T09:12:03.511204117+00:00", "timestamp(ns,+00:00)"),
        ("2026-11-23 07:37:13", "timestamp(s,none,space)"),
        ("2026-11-23 07:37", "timestamp(min,none,space)"),
        ("2026-11-23T07-37-13.407Z", "timestamp(ms,Z,file.)"),
        ("2026-11-23T07-38-06-992Z", "timestamp(ms,Z,file-)"),
        ("Mon, 23 Nov 2026 07:37:13 GMT", "timestamp(http)"),
        ("2026-11-23", "date(iso)"),
        ("Monday, November 23, 2026 at 7:37 AM", "date(english)"),
        ("November 23, 2026", "date(english)"),
    ],
)
def test_shapes(text: str, role: str) -> None:
    """Each shape of the daemons' ids and times is named, with its spelling."""
    assert str(classify(text)) == role


@pytest.mark.parametrize(
    "text", ["", "hello", "sess-alpha-0001", "gpt-5.4-mini", "0.145.7", "navigate-through", "burst-1", "123456789012", "deadbeef", "p50"]
)
def test_plain_words_have_no_role(text: str) -> None:
    """Names, versions and words are not taken for ids."""
    assert classify(text) is None


def test_instants() -> None:
    """A time's instant is known whatever its spelling; impossible dates have none."""
    spellings = ["2026-11-23T07:37:13.500Z", "2026-11-23T08:37:13.500+01:00", "2026-11-23T07:37:13.500000000Z", "2026-11-23T07-37-13.500Z"]
    instants = {role.seconds for text in spellings if (role := classify(text)) is not None}
    assert instants == {1795419433.5}
    odd = classify("2026-13-33T07:37:13Z") or find("2026-11-33")[0].role
    assert odd.seconds is None


def test_find_in_longer_text() -> None:
    """Ids and times are found inside prose, Markdown and file names."""
    text = f"- [{UUID}] saved 2026-11-23T07:37:13.407Z, see memory/x--yvdl6ymqk37zzcnw--a.md (Monday, November 23, 2026)"
    assert skeleton(text) == "- [<uuid>] saved <timestamp>, see memory/x--<token>--a.md (<date>)"
    assert next(text[span.start : span.end] for span in find(text)) == UUID
    assert find(f"x{UUID}") == []
    assert skeleton(f"session_{UUID}/{UUID}?a={UUID}") == "session_<uuid>/<uuid>?a=<uuid>"


def test_find_takes_linear_time() -> None:
    """Megabytes of letters that look like the beginning of an id are searched quickly."""
    started = time.perf_counter()
    for text in ("a" * 3_000_000, "eyJ" * 700_000, "0123456789abcdef-" * 150_000, "key_" * 500_000, "agent_17954195109 " * 100_000):
        find(text)
    assert time.perf_counter() - started < 15


@given(st.text(alphabet="0123456789abcdefZTeyJ-:._+ ", max_size=80))
def test_find_is_total(text: str) -> None:
    """Any text is searched without an error; spans are ordered and within the text."""
    spans = find(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(one.end <= two.start for one, two in itertools.pairwise(spans))
    classify(text)


@pytest.mark.parametrize(
    ("key", "yes"),
    [
        ("durationMs", True),
        ("totalLatencyMs", True),
        ("latency_ms", True),
        ("uptime", True),
        ("p95", True),
        ("mean", True),
        ("oldestAgeSec", True),
        ("message", False),
        ("usage", False),
        ("timeoutMs", False),
        ("pollMs", False),
        ("storage", False),
        ("count", False),
        ("items", False),
    ],
)
def test_duration_keys(key: str, yes: bool) -> None:  # noqa: FBT001
    """Measured durations are known by their names; configured limits are not durations."""
    assert is_duration_key(key) is yes


def test_numbers() -> None:
    """Epochs are known by range, durations by name."""
    assert str(classify_number("at", Number("1795419433407"))) == "epoch(epoch-ms)"
    assert str(classify_number("exp", Number("1795419433"))) == "epoch(epoch-s)"
    assert str(classify_number("durationMs", Number("12.5"))) == "duration(ms)"
    assert classify_number("count", Number("12")) is None
    assert classify_number("n", Number("9999999999999")) is None


def test_fits_is_lenient_beside_a_known_role() -> None:
    """Beside an id whose role is known, a value of the same shape counts although it has no digit."""
    role = classify("mwsyf24v-g1wab0")
    assert role is not None
    assert fits(role, "mwsycexq-oieruty")
    assert not fits(role, "something")
    digest = classify("obsidian:" + HEX16)
    assert digest is not None
    assert fits(digest, "obsidian:" + HEX16)

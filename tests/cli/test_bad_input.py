"""Bad input to the real command line: exit code 2, a message that says what and where, and nothing lost."""

import http.server
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ESCAPES = "\x1b\x00\x07\u202e\u2066\x9b"
RULE = """[[rule]]
id = "{id}"
verdict = "{verdict}"
reason = "known"
owner = "parity team"
until = 2099-01-01
"""


def expect_refused(outcome: Any, *words: str) -> None:
    """Make sure that a command could not judge, and says all of *words* without a traceback."""
    assert outcome.code == 2, outcome
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err


def _newer(path: Path) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))


def _foreign(path: Path) -> None:
    (path / "manifest.json").write_text('{"name": "package", "version": "1.0.0"}')
    (path / "segment-000001.msgpack.zst").unlink()


def _cut(path: Path) -> None:
    segment = path / "segment-000001.msgpack.zst"
    os.truncate(segment, segment.stat().st_size - 5)


def _empty(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()


BROKEN: list[tuple[Callable[[Path], Any], str]] = [
    (shutil.rmtree, "not there"),
    (_empty, "not an archive"),
    (_cut, "--salvage"),
    (_foreign, "not an archive of signet-parity"),
    (_newer, "format 99 is newer than this tool"),
]
COMMANDS: list[tuple[str, ...]] = [
    ("inspect", "{bad}"),
    ("inspect", "{bad}", "1"),
    ("verify", "{bad}"),
    ("export", "{bad}", "{new}"),
    ("replay", "{bad}", "--observed", "{new}", "--daemon", "demo-rust"),
    ("replay", "{bad}", "--observed", "{new}", "--daemon", "demo-rust", "--dry-run"),
    ("compare", "{bad}", "{good}", "--run", "{new}"),
    ("compare", "{good}", "{bad}", "--run", "{new}"),
    ("compare", "{good}", "{good}", "--control", "{bad}", "--run", "{new}"),
    ("noise", "{good}", "{bad}", "--out", "{new}"),
]


@pytest.mark.parametrize(("spoil", "says"), BROKEN, ids=["missing", "empty", "cut", "foreign", "newer"])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_bad_archive_is_refused(words: tuple[str, ...], spoil: Callable[[Path], Any], says: str, archive: Any, signet_parity: Any) -> None:
    """Each command that reads an archive refuses a missing, empty, cut, foreign or newer one, by name, and makes nothing."""
    good, bad = archive("good.parity", b'{"a":1}'), archive("bad.parity", b'{"a":1}')
    new = bad.with_name("new")
    spoil(bad)
    outcome = signet_parity(*(word.format(good=good, bad=bad, new=new) for word in words))
    if words[0] == "verify" and spoil is _cut:
        assert (outcome.code, "cut" in outcome.out) == (2, True)
    else:
        expect_refused(outcome, "bad.parity", says)
    assert not new.exists()


def test_salvage_reads_what_is_whole_and_says_so(archive: Any, signet_parity: Any) -> None:
    """With --salvage a cut archive is shown, marked as such, also where nothing is whole."""
    path = archive("cut.parity", b'{"a":1}')
    _cut(path)
    outcome = signet_parity("inspect", path, "--salvage")
    assert outcome.code == 0
    assert "salvaged: true" in outcome.out
    os.truncate(path / "segment-000001.msgpack.zst", 10)
    outcome = signet_parity("inspect", path, "--salvage")
    assert outcome.code == 0
    assert "no whole exchange" in outcome.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "Usage"),
        (("inspect",), "Missing argument"),
        (("nonsense",), "No such command"),
        (("inspect", "{good}", "--nonsense"), "No such option"),
        (("inspect", "{good}", "one"), "valid integer"),
        (("inspect", "{good}", "9" * 5000), "integer"),
        (("inspect", "{good}", "99999999999999999999"), "has no exchange 99999999999999999999"),
        (("import", "{good}", "{new}", "--first", "-1"), "greater than or equal to 1"),
        (("import", "{good}", "{new}"), "no such file"),
        (("export", "{good}", "{taken}"), "is there already"),
        (("replay", "{good}", "--observed", "{new}"), "--daemon"),
        (("replay", "{good}", "--observed", "{taken}", "--daemon", "demo-rust"), "is there already"),
        (("replay", "{good}", "--observed", "/proc/none/x.parity", "--daemon", "demo-rust"), "can't be made"),
        (("replay", "{good}", "--observed", "{taken}/x.parity", "--daemon", "demo-rust"), "can't be made"),
        (("replay", "{good}", "--observed", "{new}", "--daemon", "demo-rust"), "holds no snapshot"),
        (("replay", "{good}", "--observed", "{new}", "--daemon", "nonsense"), "no built-in one"),
        (("replay", "{good}", "--observed", "{new}", "--daemon", "demo-rust", "--only", "-4", "--dry-run"), "no exchange -4"),
        (("replay", "{good}", "--observed", "{new}", "--daemon", "demo-rust", "--only", "77", "--dry-run"), "no exchange 77"),
        (("replay", "{good}", "--observed", "{new}", "--daemon", "demo-rust", "--pace", "0"), "--pace 0"),
        (("replay", "{good}", "--observed", "{new}", "--daemon", "demo-rust", "--allow", "all of it"), "--allow all of it"),
        (("compare", "{good}", "{good}", "--run", "{taken}"), "is no run"),
        (("compare", "{good}", "{good}", "--run", "/proc/none/run"), "/proc/none/run"),
        (("judge", "{good}"), "is no run"),
        (("report", "{good}"), "is no run"),
        (("explain", "{good}", "1"), "is no run"),
        (("gate", "{new}"), "there is no ledger"),
        (("status", "{taken}"), "does not hold together"),
        (("rules", "list", "{new}"), "can't be read"),
        (("rules", "try", "{new}", "--run", "{good}"), "can't be read"),
        (("strength", "{good}", "{new}"), "new"),
        (("nightly", "{new}"), "can't be read"),
        (("noise", "{good}", "--out", "{new}"), "at least two archives"),
        (("demo", "--folder", "{good}"), "is not empty"),
        (("demo", "--fault", "nonsense"), "there is none of that name"),
        (("record", "--upstream", "ftp://127.0.0.1:1"), "must be an origin"),
        (("record", "--upstream", "http://127.0.0.1:99999"), "must be an origin"),
        (("record", "--upstream", "http://[::1"), "must be an origin"),
        (("record", "--upstream", "http://127.0.0.1:1", "--listen", "99999"), "is no port"),
        (("check",), "not built yet"),
        (("runtime",), "not built yet"),
    ],
)
def test_wrong_words_are_refused(words: tuple[str, ...], says: str, tmp_path: Path, archive: Any, signet_parity: Any) -> None:
    """Wrong words, numbers and places are told for what they are; what was there is untouched, and nothing new is."""
    good, taken, new = archive("good.parity", b'{"a":1}'), tmp_path / "taken", tmp_path / "new"
    taken.write_text("mine\n")
    expect_refused(signet_parity(*(word.format(good=good, new=new, taken=taken) for word in words)), says)
    assert taken.read_text() == "mine\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.parity", "taken"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = 1\nb = = 2\n", "line 2"),
        ("[[rule]]\nid = ", "line 2"),
        (RULE.format(id="a", verdict="documented") + "bogus = 1\n", "line 7: unknown key 'bogus'"),
        ("bogus = 1\n", "line 1: unknown key 'bogus'"),
        (RULE.format(id="a", verdict="maybe"), "'maybe' is none of"),
        (RULE.format(id="a", verdict="open").replace("2099-01-01", '"soon"'), "line 6: until must be a date"),
        (RULE.format(id="a", verdict="open") + RULE.format(id="a", verdict="open"), "line 7: the id 'a' is taken"),
        ("x = " + "[" * 100_000, "nested too deeply"),
    ],
)
def test_broken_rules_are_refused(text: str, says: str, tmp_path: Path, archive: Any, signet_parity: Any) -> None:
    """Broken TOML, an unknown key, a wrong value: told with file and line, by `rules list` and before anything is compared."""
    rules, good = tmp_path / "rules.toml", archive("good.parity", b'{"a":1}')
    rules.write_text(text)
    expect_refused(signet_parity("rules", "list", rules), "rules.toml", says)
    expect_refused(signet_parity("compare", good, good, "--run", tmp_path / "run", "--rules", rules), "rules.toml", says)
    assert not (tmp_path / "run").exists()


def test_contradictory_rules_are_refused(tmp_path: Path, pair: Any, signet_parity: Any) -> None:
    """Two rules of equal weight that disagree about a finding end the comparison: no run, no verdict."""
    rules, (recorded, observed) = tmp_path / "rules.toml", pair(b'{"a":1}', b'{"a":2}')
    rules.write_text(RULE.format(id="yes", verdict="documented") + RULE.format(id="no", verdict="open"))
    outcome = signet_parity("compare", recorded, observed, "--run", tmp_path / "run", "--rules", rules)
    expect_refused(outcome, "yes (line 1)", "no (line 7)", "disagree")
    assert not (tmp_path / "run").exists()


def test_an_expired_rule_excuses_nothing(tmp_path: Path, pair: Any, signet_parity: Any) -> None:
    """After its end date a rule no longer applies, and the list says so."""
    rules, (recorded, observed) = tmp_path / "rules.toml", pair(b'{"a":1}', b'{"a":2}')
    rules.write_text(RULE.format(id="old", verdict="documented").replace("2099", "2001"))
    assert "EXPIRED" in signet_parity("rules", "list", rules).out
    assert signet_parity("compare", recorded, observed, "--run", tmp_path / "run", "--rules", rules).code == 1


@pytest.mark.parametrize(("text", "says"), [("command = [", "line 1"), ('command = ["x"]\nbogus = 1\n', "daemon.toml:2: unknown key 'bogus'")])
def test_a_broken_daemon_is_refused(text: str, says: str, tmp_path: Path, archive: Any, signet_parity: Any) -> None:
    """A daemon's description that is broken is told with its line, and nothing is started."""
    daemon = tmp_path / "daemon.toml"
    daemon.write_text(text)
    outcome = signet_parity("replay", archive("good.parity", b"{}"), "--observed", tmp_path / "new", "--daemon", daemon)
    expect_refused(outcome, "daemon.toml", says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("recording = ", "line 1"),
        ("bogus = 1\n", "line 1: unknown key 'bogus'"),
        ('recording = "x"\n', "candidate is missing"),
        ('recording = "x"\ncandidate = 5\ncontrol = "x"\nledger = "x"\noutput = "x"\n', "line 2: candidate must be a text"),
    ],
)
def test_a_broken_night_is_refused(text: str, says: str, tmp_path: Path, signet_parity: Any) -> None:
    """A night's configuration that is broken is told with its line."""
    config = tmp_path / "night.toml"
    config.write_text(text)
    expect_refused(signet_parity("nightly", config), "night.toml", says)


def test_a_damaged_ledger_is_known_before_the_night(tmp_path: Path, archive: Any, signet_parity: Any) -> None:
    """A ledger that would take no entry stops the night before anything is replayed."""
    archive("good.parity", b"{}")
    config = tmp_path / "night.toml"
    config.write_text('recording = "good.parity"\ncandidate = "demo-rust"\ncontrol = "demo-js"\nledger = "ledger.jsonl"\noutput = "nights"\n')
    (tmp_path / "ledger.jsonl").write_text("nonsense\n")
    expect_refused(signet_parity("nightly", config), "ledger.jsonl", "does not hold together")
    assert not (tmp_path / "nights").exists()


def test_a_taken_port_is_told(signet_parity: Any) -> None:
    """Recording on a port that somebody else has is refused before mitmdump starts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        expect_refused(signet_parity("record", "--upstream", "http://127.0.0.1:1", "--listen", port), str(port), "name another port")


class _Answers(http.server.BaseHTTPRequestHandler):
    status, body = 200, b"{}"

    def do_GET(self) -> None:
        """Answer every path the same."""
        self.send_response(self.status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def target() -> Iterator[Callable[[int, bytes], str]]:
    """Give a maker of servers that answer everything the same; it gives their URL."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def serve(status: int, body: bytes) -> str:
        handler = type("Answers", (_Answers,), {"status": status, "body": body})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://192.0.2.7:3850", "not loopback"),
        ("http://0.0.0.0:3850", "not loopback"),
        ("https://127.0.0.1:1", "plain HTTP"),
        ("http://127.0.0.1:1", "nothing answers"),
        ("http://127.0.0.1:99999", "no URL of a daemon"),
        ("http://user@127.0.0.1:1", "plain HTTP"),
    ],
)
def test_a_target_that_is_not_a_local_daemon_is_refused(url: str, says: str, tmp_path: Path, archive: Any, signet_parity: Any) -> None:
    """Only plain HTTP on loopback that answers is a target; nothing is written for another."""
    outcome = signet_parity("replay", archive("good.parity", b"{}"), "--observed", tmp_path / "new", "--target", url)
    expect_refused(outcome, url, says)
    assert not (tmp_path / "new").exists()


def test_a_target_without_proof_is_not_written_to(tmp_path: Path, archive: Any, signet_parity: Any, target: Any) -> None:
    """Writes to a daemon on loopback need the proof that it is not production; a redirect is never followed."""
    good, new = archive("good.parity", b"{}"), tmp_path / "new"
    for status, body, says in (
        (200, b"{}", "does not tell where its workspace is"),
        (200, json.dumps({"agentsDir": str(tmp_path)}).encode(), "Writes go only to"),
        (302, b"", "redirect"),
    ):
        url = target(status, body)
        expect_refused(signet_parity("replay", good, "--observed", new, "--target", url, "--writes"), url, says)
    assert not new.exists()


def test_a_candidate_that_dies_at_the_start_is_told(tmp_path: Path, archive: Any, signet_parity: Any) -> None:
    """The end of a dead daemon's log is shown, with what would steer a terminal escaped."""
    (tmp_path / "state").mkdir()
    daemon, new = tmp_path / "daemon.toml", tmp_path / "new"
    daemon.write_text('command = ["sh", "-c", "printf \'no database \\\\033[31m\'; exit 3"]\n')
    words = ("replay", archive("good.parity", b"{}"), "--observed", new, "--daemon", daemon, "--state", tmp_path / "state")
    expect_refused(signet_parity(*words), "exit code 3", "no database \\x1b[31m")
    assert not new.exists()


def test_a_tar_that_climbs_out_is_refused(tmp_path: Path, archive: Any, climbing_tar: Path, signet_parity: Any) -> None:
    """A state to start from that climbs out of its folder is refused, and leaves nothing."""
    words = ("replay", archive("good.parity", b"{}"), "--observed", tmp_path / "new", "--daemon", "demo-rust", "--state", climbing_tar)
    expect_refused(signet_parity(*words), "climbing.tar", "climbs out")
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not (tmp_path / "new").exists()


def test_a_full_output_is_told(archive: Any, signet_parity: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the result can't be written, the command did not judge."""
    good = archive("good.parity", b"{}")
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        expect_refused(signet_parity("inspect", good), "No space left on device")


HOSTILE = [
    (b"[" * 100_000 + b"]" * 100_000, b"[" * 100_000 + b"1" + b"]" * 100_000),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b'{"a":' * 100_000 + b"2" + b"}" * 100_000),
    (b'{"n":' + b"9" * 10_000 + b"}", b'{"n":' + b"9" * 9_999 + b"8}"),
    (b'{"n":1e999}', b'{"n":-1e999}'),
    (b'{"n":NaN}', b'{"n":0}'),
    (b'{"a":"\xff\xfe"}', b'{"a":"\xff\xfd"}'),
    (b'{"a":"\\ud800"}', b'{"a":"\\udbff"}'),
    (json.dumps([f"{number:x}" for number in range(5_000)]).encode(), json.dumps([f"{number:x}!" for number in range(5_000)]).encode()),
    (b'{"a":"' + b"0123abcd" * 50_000 + b'"}', b'{"a":"' + b"0123abcd" * 50_000 + b'."}'),
    (b'{"a":"' + b"--" * 200_000 + b'"}', b'{"a":"' + b"--" * 200_000 + b'."}'),
]


@pytest.mark.parametrize(("recorded", "observed"), HOSTILE, ids=[f"{number}" for number in range(len(HOSTILE))])
def test_a_hostile_body_never_passes(recorded: bytes, observed: bytes, tmp_path: Path, pair: Any, signet_parity: Any) -> None:
    """Bodies that are too deep, too long or no text are found to differ: never a pass, never a crash."""
    first, second = pair(recorded, observed)
    outcome = signet_parity("compare", first, second, "--run", tmp_path / "run")
    assert outcome.code == 1, outcome.err
    assert "FAIL" in outcome.out


def test_a_crash_of_the_comparer_is_a_gap(tmp_path: Path, pair: Any, signet_parity: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our own code breaks on an exchange, it is a gap, and the run is incomplete."""

    def crash(*_: object, **__: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("replay.compare.archives.compare_exchange", crash)
    first, second = pair(b'{"a":1}', b'{"a":2}')
    outcome = signet_parity("compare", first, second, "--run", tmp_path / "run")
    assert outcome.code == 2
    assert "INCOMPLETE" in outcome.out


def test_no_control_character_reaches_the_terminal(tmp_path: Path, pair: Any, signet_parity: Any) -> None:
    """What steers a terminal is escaped wherever recorded bytes are shown."""
    odd = ESCAPES.encode() + b"\x9b\r\n"
    body = json.dumps({ESCAPES: ESCAPES}, ensure_ascii=True).encode()
    first, second = pair(body, body.replace(b"\\u202e", b"\\u202d"), target=b"/api/memories?q=" + odd.strip(), header=odd.strip())
    run = tmp_path / "run"
    shown = [signet_parity("compare", first, second, "--run", run)]
    shown += [signet_parity(*words) for words in (("inspect", first), ("inspect", first, 1), ("explain", run, "1"), ("judge", run))]
    shown += [signet_parity("report", run, "--format", form) for form in ("table", "html", "markdown", "junit", "json")]
    for outcome in shown:
        assert outcome.code in {0, 1}
        assert not set(ESCAPES) & set(outcome.out + outcome.err)


def test_another_recording_is_no_partner(tmp_path: Path, archive: Any, pair: Any, signet_parity: Any) -> None:
    """An observed archive is compared with the recording that it replays, and with no other."""
    _, observed = pair(b"{}", b"{}")
    outcome = signet_parity("compare", archive("other.parity", b"{}"), observed, "--run", tmp_path / "run")
    expect_refused(outcome, "is a replay of the recording", "not of")


def test_an_unwritable_report_leaves_the_earlier_one(tmp_path: Path, pair: Any, signet_parity: Any) -> None:
    """A full disk cuts no report that was there."""
    run, page = tmp_path / "run", tmp_path / "page.html"
    signet_parity("compare", *pair(b'{"a":1}', b'{"a":2}'), "--run", run)
    page.write_text("earlier")
    (tmp_path / ".page.html.draft").symlink_to("/dev/full")
    expect_refused(signet_parity("report", run, "--format", "html", "--out", page), "page.html", "No space left on device")
    assert page.read_text() == "earlier"
    assert signet_parity("report", run, "--format", "html", "--out", page).code == 0
    assert page.read_text().startswith("<!")

"""What daemons asked their models and embedders, compared."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Archive, ArchiveWriter, read
from replay.compare.asked import Asked, Party, asked_findings
from replay.compare.state import Side
from replay.identity import Bindings
from replay.model import Connection, Ended, EndReason, Finding, Opened, ProviderCall, Request, Response, Witness

M1, M2 = (f"{digit * 8}-0000-4000-8000-00000000000{digit}" for digit in "1a")
EMBED, GENERATE = "/api/embeddings", "/api/generate"

type Body = dict[str, Any]
type Said = tuple[str, Body]
"""What was asked: a target and a JSON body."""


def embed(text: str, **more: Any) -> Said:
    """Spell a call of an embedder."""
    return EMBED, {"model": "nomic", "prompt": text, **more}


def generate(text: str, **options: Any) -> Said:
    """Spell a call of a model."""
    return GENERATE, {"model": "qwen3:4b", "prompt": text, "options": {"temperature": 0.1, **options}}


def recording(path: Path, said: Sequence[Said], lanes: Sequence[str] = ("daemon", "provider")) -> Archive:
    """Write a recording with a lane of calls."""
    with ArchiveWriter.create(path, kind="recording", facts={"lanes": list(lanes)}) as writer:
        for number, (target, body) in enumerate(said if len(lanes) > 1 else (), 1):
            request = Request(b"POST", target.encode(), b"HTTP/1.1", ((b"content-type", b"application/json"),))
            writer.append(Opened(number, 2 * number - 1, float(number), Connection("p"), request, "provider"))
            answer = Response(b"HTTP/1.1", 200, b"", (), b"{}")
            writer.append(Ended(number, 2 * number, number + 0.5, EndReason.COMPLETE, answer, json.dumps(body).encode()))
        writer.seal(event=2 * len(said) + 1, at=100.0, reason="test")
    return read(path)


def replay(path: Path, recorded: Archive, said: Sequence[Said], **facts: Any) -> Archive:
    """Write a replay with records of what it asked."""
    with ArchiveWriter.create(path, kind="observed", facts={"replay_of": recorded.id, **facts}) as writer:
        for number, (target, body) in enumerate(said, 1):
            line = f"POST {target}\r\n\r\n".encode()
            writer.append(ProviderCall(number, 1000.0 + number, "x", line + json.dumps(body).encode(), b"200", "{}"))
        writer.seal(event=len(said) + 1, at=2000.0, reason="test")
    return read(path)


def compared(folder: Path, recorded: Sequence[Said], observed: Sequence[Said], control: Sequence[Said] | None = None) -> Asked:
    """Compare the calls of a recording and its replays; the daemon's id M2 stands for M1."""
    first = recording(folder / "r.parity", recorded)
    bindings = Bindings()
    bindings.bind("uuid", M1, M2, 1, "$.id")
    third = None if control is None else Party(replay(folder / "c.parity", first, control), Side(bindings))
    return asked_findings(first, Party(replay(folder / "o.parity", first, observed), Side(bindings)), third)


def told(asked: Asked) -> list[tuple[str, str, str]]:
    """Give kind, path and transition of what was found."""
    return [(finding.kind, finding.path, finding.transition) for finding in asked.findings]


def test_the_same_calls_in_another_order_are_the_same(tmp_path: Path) -> None:
    """Order is no product of workers, and an id of this run stands for the recorded one."""
    asked = compared(tmp_path, [embed("tea"), generate(f"Is {M1} it?"), embed("milk")], [generate(f"Is {M2} it?"), embed("milk"), embed("tea")])
    assert asked.findings == ()
    assert [(pair.exchange, pair.route, pair.domain, pair.gap) for pair in asked.pairs] == [
        (1, f"provider POST {EMBED}", "pipeline-workers", None),
        (2, f"provider POST {GENERATE}", "pipeline-workers", None),
        (3, f"provider POST {EMBED}", "pipeline-workers", None),
    ]


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        ([embed("tea"), embed("milk")], ("asked-missing", "calls", "fewer times")),
        ([embed("tea"), embed("tea")], ("asked-missing", "calls", "never")),
        ([*[embed("tea")] * 3, embed("milk")], ("asked-extra", "calls", "more times")),
        ([*[embed("tea")] * 2, embed("milk"), embed("what nobody ever said")], ("asked-extra", "calls", "not recorded")),
    ],
)
def test_how_often_is_counted(tmp_path: Path, observed: Sequence[Said], expected: tuple[str, str, str]) -> None:
    """What was asked more or less often is told once, with both counts."""
    asked = compared(tmp_path, [embed("tea"), embed("tea"), embed("milk")], observed)
    assert told(asked) == [expected]
    counted = [json.loads(shown or "{}")["asked"] for shown in (asked.findings[0].primary, asked.findings[0].candidate)]
    assert counted[0] != counted[1]
    assert asked.findings[0].subject.kind == ("exchange" if expected[0] == "asked-missing" else "call")


@pytest.mark.parametrize(
    ("observed", "path"),
    [
        (generate("You are a memory system. Decide about milk now.", temperature=0.7), "$.options.temperature"),
        ((GENERATE, {**generate("You are a memory system. Decide about milk now.")[1], "model": "other"}), "$.model"),
        (generate("You are a memory system. Decide about milk later."), "$.prompt"),
    ],
)
def test_what_differs_inside_a_call_is_found_where_it_is(tmp_path: Path, observed: Said, path: str) -> None:
    """A call that asks nearly the same is compared with its like, leaf by leaf."""
    asked = compared(tmp_path, [generate("You are a memory system. Decide about milk now.")], [observed])
    assert [finding.path for finding in asked.findings] == [path]
    assert asked.pairs[0].findings == 1


def test_the_change_of_a_long_prompt_is_shown(tmp_path: Path) -> None:
    """Of long prompts what lies around the change is shown, not their common beginning; a known id is no change."""
    before, after = f"{M1} " + "a long wording " * 100, " and so on" * 100
    asked = compared(tmp_path, [generate(f"{before}RED{after}")], [generate(f"{before.replace(M1, M2)}BLUE{after}")])
    (finding,) = asked.findings
    assert "RED" in (finding.primary or "")
    assert "BLUE" in (finding.candidate or "")
    assert len(finding.primary or "") < 400


def test_the_control_is_heard(tmp_path: Path) -> None:
    """What both replays failed to ask is the replay's doing; what the candidate alone did not ask is its own."""
    asked = compared(tmp_path, [embed("tea"), embed("milk"), embed("wine")], [embed("wine")], [embed("milk"), embed("wine")])
    witnesses = {json.loads(finding.primary or "{}")["about"]: finding.witness for finding in asked.findings}
    assert witnesses == {"tea": Witness.INFIDELITY, "milk": Witness.CANDIDATE}


def test_who_can_not_tell_is_counted(tmp_path: Path) -> None:
    """Where the recording has no lane of calls, or the replay is of a part, nothing is compared, and that is said."""
    first = recording(tmp_path / "r.parity", [], ("daemon",))
    asked = asked_findings(first, Party(replay(tmp_path / "o.parity", first, [embed("tea")]), Side(Bindings())), None)
    assert (asked.findings, asked.pairs) == ((), ())
    assert asked.not_compared == (("calls to models, of which the recording tells nothing", 1),)
    second = recording(tmp_path / "s.parity", [embed("tea")])
    part = replay(tmp_path / "p.parity", second, [embed("milk")], only=[3])
    assert asked_findings(second, Party(part, Side(Bindings())), None).not_compared[0][1] == 1


def test_two_recordings_are_compared_by_their_lanes(tmp_path: Path) -> None:
    """Two recordings of one client hold their calls in lanes; a call is no exchange of a client."""
    first, second = (recording(tmp_path / f"{name}.parity", said) for name, said in (("a", [embed("tea")]), ("b", [embed("milk")])))
    found: tuple[Finding, ...] = asked_findings(first, Party(second, Side(Bindings())), None).findings
    assert {finding.check for finding in found} == {"provider"}
    assert {finding.kind for finding in found} == {"asked-missing", "asked-extra"}
    assert all(replace(finding, check="http").domain == "pipeline-workers" for finding in found)

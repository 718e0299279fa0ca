"""
A place made ready to be explained: its cluster, what it speaks of, and what both answers of its smallest exchange show.

The answers tell what a finding alone does not: which tool an RPC called, whether a refusal came from the route or from the framework in
front of it, and how many keys an object has beside those that differ.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from replay.judge.things import CALL, Thing, parent, thing_of, words
from replay.model import Answer, Answers, Cluster, Divergence, Finding

_BODY_CHARACTERS: Final = 400
_STEP: Final = re.compile(r'\.<json>|\.([^.\[<]+)|\[("(?:[^"\\]|\\.)*")\]|\[(\d+)\]')
_NUMBER_OR_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\S*\d\S*", re.IGNORECASE)
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|(?<=: )\S+$")


@dataclass(frozen=True, slots=True)
class Said:
    """What one side answered, as far as it tells a cause."""

    status: int | None
    media_type: str
    text: str
    """The beginning of the body."""
    refusal: str
    """The words of an error answer, without what differs from one to the next; empty for any other."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One place, with all that its cause is read from."""

    cluster: Cluster
    members: tuple[Divergence, ...]
    thing: Thing
    tool: str
    """The RPC method and tool that was called; empty for plain HTTP."""
    primary: Said
    candidate: Said
    keys: int
    """How many keys the primary's object at this place has; 0: not known."""

    @property
    def finding(self) -> Finding:
        """The finding of the smallest exchange."""
        return self.members[0].finding

    @property
    def asked(self) -> str:
        """The route, and the tool where one was called."""
        return f"{self.cluster.route} {self.tool}" if self.tool else self.cluster.route or ""

    @property
    def holder(self) -> str:
        """The path of the object that holds the place."""
        return parent(self.cluster.path)

    @property
    def failed(self) -> bool:
        """Whether both sides answered with an error."""
        return (self.primary.status or 0) >= 400 and (self.candidate.status or 0) >= 400


_NOTHING: Final = Said(None, "", "", "")


def sights(clusters: Iterable[Cluster], divergences: Iterable[Divergence], answers: Iterable[Answers]) -> tuple[Sight, ...]:
    """Make each place ready: its divergences, the smallest first, and what the answers of its smallest exchange show."""
    clusters = tuple(clusters)
    members: dict[str, list[Divergence]] = {cluster.id: [] for cluster in clusters}
    for divergence in divergences:
        told = f"{divergence.cluster}-{divergence.verdict}"
        members[told if told in members else divergence.cluster].append(divergence)
    wanted = {cluster.subjects[0].id for cluster in clusters if cluster.subjects[0].kind == "exchange"}
    shown = {str(item.exchange): item for item in answers if str(item.exchange) in wanted}
    bodies: dict[str, Any] = {}
    return tuple(_sight(cluster, members[cluster.id], shown, bodies) for cluster in clusters)


def skeleton(text: str) -> str:
    """Give an error's words without what differs from one to the next: names in quotes, numbers, ids, and what comes last after a colon."""
    return " ".join(_NUMBER_OR_ID.sub("…", _QUOTED.sub("…", text)).split())[:120]


def _sight(cluster: Cluster, members: list[Divergence], shown: Mapping[str, Answers], bodies: dict[str, Any]) -> Sight:
    first = cluster.subjects[0]
    members = sorted(members, key=lambda member: member.finding.subject != first or member.finding.at != cluster.at)
    answer = shown.get(first.id) if first.kind == "exchange" else None
    tool = "" if answer is None else _tool(answer.request_body)
    return Sight(
        cluster=cluster,
        members=tuple(members),
        thing=thing_of(f"{CALL} /{tool.replace('_', '/')}" if tool else cluster.route, cluster.path),
        tool=tool,
        primary=_NOTHING if answer is None else _said(answer.primary),
        candidate=_NOTHING if answer is None else _said(answer.candidate),
        keys=0 if answer is None or answer.primary is None else _keys(first.id, answer.primary, cluster.at, bodies),
    )


def _said(answer: Answer | None) -> Said:
    if answer is None:
        return _NOTHING
    text = answer.body[:_BODY_CHARACTERS]
    refusal = ""
    if answer.status is not None and answer.status >= 400:
        refusal = skeleton(_message(answer.body) or text)
    return Said(answer.status, answer.media_type.partition(";")[0].strip().lower(), text, refusal)


def _message(body: str) -> str:
    """Give the message of an error answer in JSON; empty where there is none."""
    value = _parsed(body)
    for _ in range(3):
        if isinstance(value, str):
            return value
        if not isinstance(value, dict):
            return ""
        value = next((value[key] for key in ("error", "message", "detail", "reason") if value.get(key)), "")
    return ""


def _tool(body: str) -> str:
    """Name what a JSON-RPC request called: its method, for a tool call the tool; empty for anything else."""
    value = _parsed(body) if '"jsonrpc"' in body else None
    if isinstance(value, list):
        return "batch"
    if not isinstance(value, dict) or not isinstance(value.get("method"), str):
        return ""
    arguments = value.get("params")
    name = arguments.get("name") if value["method"] == "tools/call" and isinstance(arguments, dict) else None
    return name if isinstance(name, str) else value["method"]


def _keys(exchange: str, answer: Answer, at: str, bodies: dict[str, Any]) -> int:
    """Count the keys of the object that holds the concrete place *at*."""
    if not at.startswith("$") or ".<sse>" in at or ".<ndjson>" in at:
        return 0
    if exchange not in bodies:
        bodies[exchange] = _parsed(answer.body)
    value = bodies[exchange]
    for match in _STEP.finditer(parent(at)):
        key, quoted, index = match.groups()
        try:
            if index is not None:
                value = value[int(index)]
            elif key is not None:
                value = value[key]
            else:
                value = json.loads(value if quoted is None else quoted) if quoted is None else value[json.loads(quoted)]
        except (KeyError, IndexError, TypeError, ValueError, RecursionError):
            return 0
    return len(value) if isinstance(value, dict) else 0


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def similar_words(one: str, two: str) -> bool:
    """Whether two names are the same words in another case, or shortened: `checkFtsConsistency`, `check_fts`."""
    left, right = words(one), words(two)
    shared = sum(word in left for word in right)
    return bool(left) and bool(right) and shared * 2 >= min(len(left), len(right)) and (left[0] == right[0] or shared > 1)

"""What a daemon asked its models and embedders: read from an archive, and paired by what was asked."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from replay.archive import Archive
from replay.compare.blinding import blind_text
from replay.content import Content, dump, parse, walk
from replay.model import Exchange, ProviderCall, Response
from replay.play.providing import MISS, PREFIX
from replay.play.providing.stages import OTHER, payload_of, stage_of

DAEMON_LANE: Final = "daemon"
_JSON: Final = b"application/json"
_MISSED: Final = re.compile(rf'"tier"\s*:\s*"{MISS}"')
_WORD: Final = re.compile(r"\w+")
_ALIKE_MIN: Final = 0.5
"""Calls of one kind that have fewer of their own words in common ask for different things."""
_COMPARISONS_MAX: Final = 250_000
"""More than so many pairs of one kind are not weighed: what is left unpaired then stands as missing and extra."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a daemon to a model or an embedder."""

    number: int
    """A recorded exchange's id, or for a replay the place among its calls, from 1."""
    at: float
    kind: str
    """Such as `POST /api/generate (decision)`: of which service, and for which step of the work."""
    content: Content
    status: int | None
    missed: bool = False
    """For a replay: nothing recorded answered it, so the daemon went on with an error."""

    @property
    def key(self) -> str:
        """What was asked, but for ids and times."""
        return blind_text(self.text)

    @property
    def text(self) -> str:
        """What was asked, as one canonical text."""
        value = self.content.value
        return dump(value) if self.content.kind == "json" else repr(value)  # type: ignore[arg-type]  # by kind

    @property
    def subject(self) -> str:
        """What it is about, for people: of the longest prompt what is no wording of its step."""
        prompt = self.prompt
        return payload_of(stage_of(prompt), prompt) or prompt

    @property
    def prompt(self) -> str:
        """The longest text in it; all of it where it holds none."""
        return max(_prompts(self.content), key=len, default="") or (self.text if self.content.value is not None else "")


def calls_of(archive: Archive) -> list[Call] | None:
    """
    Give what a daemon asked, in order; None where the archive can't tell: a recording without a lane, a replay that others gave answers.

    Raises:
        ArchiveError: the archive is damaged.

    """
    if archive.facts.get("replay_of") is not None:
        records = (record for record in archive.records() if isinstance(record, ProviderCall)) if _holds_records(archive) else ()
        calls = [_replayed(number, record) for number, record in enumerate(records, 1)]
        return calls if calls or _was_served(archive) else None
    lanes = archive.facts.get("lanes")
    if not isinstance(lanes, list) or set(lanes) <= {DAEMON_LANE}:
        return None
    found = archive.catalogue().scan()
    calls = [recorded_call(exchange) for exchange in found if isinstance(exchange, Exchange) and exchange.lane != DAEMON_LANE]
    return sorted(calls, key=lambda call: call.number) or None


def _holds_records(archive: Archive) -> bool:
    """Whether the manifest counts any call; where it does not tell (a salvaged archive), there may be some."""
    counts = archive.manifest.get("counts")
    records = counts.get("records") if isinstance(counts, dict) else None
    return not isinstance(records, dict) or bool(records.get("provider"))


def _was_served(archive: Archive) -> bool:
    """Whether the recording's answers were offered to the replayed daemon, even if it asked for none."""
    counts = archive.facts.get("counts")
    return isinstance(counts, dict) and any(str(name).startswith(f"{PREFIX}/") for name in counts)


def recorded_call(exchange: Exchange) -> Call:
    """Read an exchange of a provider's lane as a call."""
    request = exchange.request
    outcome = exchange.outcome
    content = parse(request.body or b"", _JSON)
    kind = _kind(f"{request.method.decode('latin-1')} {request.target.decode('latin-1')}", content)
    status = outcome.status if isinstance(outcome, Response) else None
    return Call(exchange.id, exchange.started_at, kind, content, status)


def _replayed(number: int, record: ProviderCall) -> Call:
    head, _, body = record.request.partition(b"\r\n\r\n")
    status = record.response.partition(b"\r\n")[0]
    content = parse(body, _JSON)
    code = int(status) if status.isdigit() else None
    return Call(number, record.at, _kind(head.decode("latin-1"), content), content, code, _MISSED.search(record.match) is not None)


def _kind(line: str, content: Content) -> str:
    method, _, target = line.partition(" ")
    stages = Counter(stage for text in _prompts(content) if (stage := stage_of(text)) != OTHER)
    stage = f" ({stages.most_common(1)[0][0]})" if stages else ""
    return f"{method} {target.split('?', 1)[0]}{stage}"


def _prompts(content: Content) -> Iterator[str]:
    if content.kind == "json":
        for path, leaf in walk(content.value):  # type: ignore[arg-type]  # by kind
            if isinstance(leaf, str) and path != "$.model":
                yield leaf


@dataclass(frozen=True, slots=True)
class Aligned:
    """Which calls of two runs stand for each other."""

    partners: Mapping[int, Call]
    """By the recorded call's number."""
    missing: tuple[Call, ...]
    extra: tuple[Call, ...]


def align_calls(recorded: Sequence[Call], observed: Sequence[Call]) -> Aligned:
    """
    Pair calls by what they ask, whatever their order: workers do their work when they come to it.

    First what is the same but for ids and times, then within one kind what is most alike.
    """
    partners: dict[int, Call] = {}
    waiting: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in reversed(observed):
        waiting[call.kind, call.key].append(call)
    left: dict[str, list[Call]] = defaultdict(list)
    for call in recorded:
        same = waiting.get((call.kind, call.key))
        if same:
            partners[call.number] = same.pop()
        else:
            left[call.kind].append(call)
    right: dict[str, list[Call]] = defaultdict(list)
    for (kind, _), calls in waiting.items():
        right[kind].extend(calls)
    for kind in sorted(left.keys() & right.keys()):
        _pair_alike(left[kind], right[kind], partners)
    taken = {call.number for call in partners.values()}
    return Aligned(
        partners,
        tuple(call for call in recorded if call.number not in partners),
        tuple(call for call in observed if call.number not in taken),
    )


def _pair_alike(left: Sequence[Call], right: Sequence[Call], partners: dict[int, Call]) -> None:
    if len(left) * len(right) > _COMPARISONS_MAX:
        return
    words = {id(call): frozenset(_WORD.findall(blind_text(call.prompt))) for call in (*left, *right)}
    # what most calls of a kind say is their wording; what few say is what they ask about
    common = Counter(word for said in words.values() for word in said)
    wording = frozenset(word for word, count in common.items() if count * 2 > len(words)) if len(words) > 2 else frozenset()
    own = {key: (said - wording) or said for key, said in words.items()}
    alike = [
        (_likeness(own[id(one)], own[id(two)]), -place, -other, one, two) for place, one in enumerate(left) for other, two in enumerate(right)
    ]
    alike.sort(key=lambda entry: entry[:3], reverse=True)
    taken: set[int] = set()
    for likeness, _, _, one, two in alike:
        if likeness < _ALIKE_MIN:
            return
        if one.number not in partners and two.number not in taken:
            partners[one.number] = two
            taken.add(two.number)


def _likeness(one: frozenset[str], two: frozenset[str]) -> float:
    both = len(one & two)
    return both / (len(one) + len(two) - both) if both else 0.0


__all__ = ["Aligned", "Call", "align_calls", "calls_of", "recorded_call"]

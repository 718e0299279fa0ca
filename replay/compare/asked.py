"""
Compare what the daemons asked their models and embedders, as it was recorded, observed and asked by the control.

How this works
--------------
A recording holds the calls as exchanges of a lane of their own, a replay as records of the stand-in that answered them. Calls are paired by what
they ask (`calls`); order is no product. A pair's requests are walked like any JSON: prompt, model, options; a long text is shown around where it
changes. A call that was asked less often, or never, is `asked-missing`, one that was asked more often `asked-extra`, told once for all calls
that ask the same. The control's calls are the third witness as everywhere.

Each recorded call is a compared pair of its own: `Answers` and totals know it as the exchange of the recording's lane that it is. What
was asked beyond the recording has no such exchange; its subject is a `call`. Where one side can't tell what it asked, nothing is compared, and
that is counted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from replay.archive import Archive
from replay.compare.calls import Aligned, Call, align_calls, calls_of
from replay.compare.difference import ABSENT, Difference, shown
from replay.compare.state import Place, Scene, Side, Window
from replay.compare.walk import walk_pair
from replay.compare.witness import Heard, hear
from replay.content import Number, Value
from replay.model import CALL_PREFIX, DifferenceClass, Finding, Pair, Subject, Witness

CHECK: Final = "provider"
DOMAIN: Final = "pipeline-workers"
UNANSWERED: Final = "calls to models left without a recorded answer"
"""How what both replays asked in vain is named among the things that were not compared."""
MISSED_SHARE_MAX: Final = 0.05
_AROUND_CHARS: Final = 160
"""So much of a long text is shown on both sides of the place where it changes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was found out about the calls of two archives."""

    findings: tuple[Finding, ...] = ()
    pairs: tuple[Pair, ...] = ()
    """One for each recorded call that was compared."""
    not_compared: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Party:
    """One of the archives compared with the recording."""

    archive: Archive
    side: Side


def asked_findings(recorded: Archive, observed: Party, control: Party | None) -> Asked:
    """
    Compare what was asked of models and embedders.

    Raises:
        ArchiveError: an archive is damaged.

    """
    ours, theirs = calls_of(recorded), calls_of(observed.archive)
    if ours is not None and theirs is not None and _is_part(observed.archive):
        return Asked(not_compared=(("calls to models: only a part of the recording was replayed", len(ours)),))
    if ours is None or theirs is None:
        lacking = "the recording" if ours is None else "the observed archive"
        count = len(theirs or ()) + len(ours or ())
        return Asked(not_compared=((f"calls to models, of which {lacking} tells nothing", count),) if count else ())
    third = calls_of(control.archive) if control is not None else None
    aligned = align_calls(ours, theirs)
    against = align_calls(ours, third) if third is not None else None
    findings: list[Finding] = []
    pairs: list[Pair] = []
    for call in ours:
        other = aligned.partners.get(call.number)
        heard = [] if other is None else _compare(call, other, observed.side, against, control)
        findings += [_finding(item.difference, item.witness, item.control, Subject("exchange", str(call.number)), call) for item in heard]
        pairs.append(_pair(call, other, None if against is None else against.partners.get(call.number), len(heard)))
    findings += _uneven(aligned, against, ours, theirs)
    missed = _missed(third, theirs) if third is not None else []
    counts = {finding.subject.id for finding in findings if finding.subject.kind == "exchange" and finding.kind == "asked-missing"}
    pairs = [replace(pair, findings=pair.findings + 1) if str(pair.exchange) in counts else pair for pair in pairs]
    return Asked(tuple(findings), tuple(pairs), tuple(missed))


def _is_part(archive: Archive) -> bool:
    """Whether a replay left out requests on purpose: what these would have had the daemon ask is not known."""
    stretch = archive.facts.get("stretch")
    cut = isinstance(stretch, dict) and bool(stretch.get("after") or stretch.get("until"))
    return cut or bool(archive.facts.get("only") or archive.facts.get("reads_only"))


def _missed(control: Sequence[Call], observed: Sequence[Call]) -> list[tuple[str, int]]:
    """
    Name the kinds of calls that the control asked in vain, and the candidate likewise: it is the recorded daemon, so the replay let it down.

    Told where more than `MISSED_SHARE_MAX` of a kind (at least two) were missed, or all of it.
    """
    told = []
    # a worker that gets no answer asks again: what was asked counts, not how often
    asked = Counter(kind for kind, _ in {_id(call) for call in control})
    missed = Counter(kind for kind, _ in {_id(call) for call in control if call.missed})
    also = {call.kind for call in observed if call.missed}
    for kind, count in sorted(missed.items()):
        if kind in also and (count == asked[kind] or count > max(1.0, MISSED_SHARE_MAX * asked[kind])):
            told.append((f"{UNANSWERED}, in the control {count} of {asked[kind]} of {kind} (allowed are {MISSED_SHARE_MAX:.0%})", count))
    return told


def _compare(call: Call, other: Call, side: Side, against: Aligned | None, control: Party | None) -> list[Heard]:
    found = list(_differences(call, other, side))
    if against is None or control is None:
        return hear(found, None)
    third = against.partners.get(call.number)
    if third is None:  # the control never asked this: it says nothing of how it would have
        return [Heard(item, Witness.ALL_DIFFER, ABSENT) for item in found]
    return hear(found, list(_differences(call, third, control.side)))


def _differences(call: Call, other: Call, side: Side) -> Iterator[Difference]:
    if call.content.kind != other.content.kind:
        change = f"{call.content.kind} → {other.content.kind}"
        yield Difference(DifferenceClass.STRUCTURAL, "body-kind", "body", "body", call.text, other.text, change)
        return
    window, theirs = Window(call.at, call.at, call.at), Window(other.at, other.at, other.at)
    scene = Scene(side, _route(call), call.number, window, theirs, binding=False)
    for found in walk_pair(call.content.value, other.content.value, scene, Place()):  # type: ignore[arg-type]  # JSON and text are values
        yield _around_change(found, side)


def _around_change(found: Difference, side: Side) -> Difference:
    """Show of two long texts what lies around the first place where they differ in more than an id that is known."""
    one, two = found.recorded, found.observed
    if not isinstance(one, str) or not isinstance(two, str) or max(len(one), len(two)) <= 2 * _AROUND_CHARS:
        return found
    renamed = side.bindings.rewrite_text(one)
    places = enumerate(zip(renamed, two, strict=False))
    same = next((index for index, (left, right) in places if left != right), min(len(renamed), len(two)))
    return replace(found, recorded=_cut(renamed, same), observed=_cut(two, same))


def _cut(text: str, place: int) -> str:
    start, end = max(0, place - _AROUND_CHARS), place + _AROUND_CHARS
    return f"{'… ' if start else ''}{text[start:end]}{' …' if len(text) > end else ''}"


def _uneven(aligned: Aligned, against: Aligned | None, ours: Sequence[Call], theirs: Sequence[Call]) -> Iterator[Finding]:
    """Tell of calls that one side asked and the other did not, once for all that ask the same."""
    recorded, observed = _by_key(ours), _by_key(theirs)
    missed = {_id(call) for call in against.missing} if against is not None else set()
    beyond = {_id(call) for call in against.extra} if against is not None else set()
    for side, calls, also, kind in (("missing", aligned.missing, missed, "asked-missing"), ("extra", aligned.extra, beyond, "asked-extra")):
        for key, members in _by_key(calls).items():
            first = members[0]
            times = (len(recorded.get(key, ())), len(observed.get(key, ())))
            witness = Witness.UNCONFIRMED if against is None else Witness.INFIDELITY if key in also else Witness.CANDIDATE
            change = ("never" if not times[1] else "fewer times") if side == "missing" else ("not recorded" if not times[0] else "more times")
            one, two = _told(first, times[0]), _told(first, times[1])
            found = Difference(DifferenceClass.STRUCTURAL, kind, "calls", "calls", one, two, change)
            subject = Subject("exchange", str(first.number)) if side == "missing" else Subject("call", f"call-{first.number}")
            yield _finding(found, witness, two if witness is Witness.INFIDELITY else ABSENT, subject, first)


def _told(call: Call, times: int) -> Value:
    return {"asked": Number(str(times)), "about": call.subject[: 2 * _AROUND_CHARS]} if times else {"asked": Number("0")}


def _id(call: Call) -> tuple[str, str]:
    return call.kind, call.key


def _by_key(calls: Sequence[Call]) -> Mapping[tuple[str, str], list[Call]]:
    grouped: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        grouped.setdefault(_id(call), []).append(call)
    return grouped


def _route(call: Call) -> str:
    return f"{CALL_PREFIX}{call.kind}"


def _finding(found: Difference, witness: Witness, third: object, subject: Subject, call: Call) -> Finding:
    return Finding(
        check=CHECK,
        subject=subject,
        domain=DOMAIN,
        route=_route(call),
        difference=found.difference,
        kind=found.kind,
        path=found.path,
        at=found.at,
        primary=shown(found.recorded),
        candidate=shown(found.observed),
        control=shown(third),  # type: ignore[arg-type]  # a value, or nothing
        transition=found.transition,
        witness=witness,
        quirk=found.quirk,
        ids=found.ids,
    )


def _pair(call: Call, other: Call | None, third: Call | None, findings: int) -> Pair:
    method, _, target = call.kind.partition(" ")
    return Pair(
        exchange=call.number,
        domain=DOMAIN,
        route=_route(call),
        method=method,
        target=target.split(" ", 1)[0],
        gap=None,
        observed_exchange=None if other is None else other.number,
        findings=findings,
        primary_status=call.status,
        candidate_status=None if other is None else other.status,
        control_status=None if third is None else third.status,
    )


__all__ = ["CHECK", "UNANSWERED", "Asked", "Party", "asked_findings"]

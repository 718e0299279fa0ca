"""
What the evidence allows: the nine-domain checklist, the streak of good nights, and the gate's decision with all that blocks it.

The gate opens only on evidence that is there: a domain that was hardly compared blocks as surely as one that differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from replay.evidence.ledger import Counts, Entry, entry_from
from replay.model import DOMAINS
from replay.runs import Run

FLOOR: Final = 10
"""How many compared exchanges a domain needs where the policy names no other number: zero in 10 still allows 30 %."""
DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist: a feature of the old daemon, and where the new one stands."""

    domain: str
    feature: str
    compared: int
    """n: how many exchanges (or state findings) the status rests on."""
    open: int
    status: str
    """`proven` (compared at least as often as the floor, nothing open), `thin` (nothing open, but fewer), `divergent` or `not seen`."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the gate asks for."""

    nights: int = 7
    """How many nights in a row must have passed."""
    floor: int = FLOOR
    floors: Mapping[str, int] = field(default_factory=dict)
    """Other floors by domain; 0 lets a domain be unseen, and the decision says so."""
    gap_share_max: float = 0.05
    """How much of the planned exchanges of the last run may be gaps."""
    canaries: bool = True
    """Whether every night of the streak must have found each canary that it planted, and planted some."""
    age_days_max: float | None = None
    """How old the last run may be."""

    def floor_of(self, domain: str) -> int:
        """Give the floor of a domain."""
        return self.floors.get(domain, self.floor)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the gate is open, and why not."""

    open: bool
    blocks: tuple[str, ...]
    """Everything that blocks, in words; empty where it is open."""
    streak: int
    notes: tuple[str, ...] = ()
    """What does not block, but who decides should know."""


def checklist(evidence: Sequence[Entry] | Run, *, floor: int = 1) -> tuple[Item, ...]:
    """
    List each feature with what its status rests on, in the order of the nine domains; a domain that nothing shows has one item.

    Of a ledger's entries each feature stands as the last run that compared it left it.
    """
    entries = [entry_from(evidence, name="")] if isinstance(evidence, Run) else evidence
    last: dict[tuple[str, str], Counts] = {}
    for entry in entries:
        for domain, rows in entry.features.items():
            for feature, counts in rows.items():
                if _weight(counts) or (domain, feature) not in last:
                    last[domain, feature] = counts
    names = [*DOMAINS, *sorted({domain for domain, _ in last} - set(DOMAINS))]
    items = []
    for domain in names:
        there = {feature: counts for (name, feature), counts in last.items() if name == domain}
        items += [_item(domain, feature, there[feature], floor) for feature in sorted(there)]
        if not there:
            items.append(Item(domain, "(nothing seen)", 0, 0, "not seen"))
    return tuple(items)


def streak(entries: Sequence[Entry]) -> int:
    """
    Count the nights (UTC days) in a row, back from the last run, on which every run passed.

    Several runs of one day are one night; a run that failed or could not judge ends the streak, as do a day without a run and another candidate.
    """
    return len(_nights(entries))


def gate(entries: Sequence[Entry], policy: Policy, *, now: float | None = None) -> Decision:
    """
    Decide whether the evidence is enough; *now* (seconds since the epoch) is needed only where the policy limits the last run's age.

    Opens only where the last run passed, the streak is long enough, each domain was compared often enough in the last run, gaps are
    few, no archive was salvaged, and the nights of the streak proved that they were awake.
    """
    if not entries:
        return Decision(open=False, blocks=("the ledger is empty: there is no evidence",), streak=0)
    last = entries[-1]
    nights = _nights(entries)
    blocks: list[str] = []
    notes: list[str] = []
    if last.verdict != "pass":
        blocks.append(f"the last run ({_day(last)}) is {last.verdict}: {last.because}")
    if len(nights) < policy.nights:
        blocks.append(f"{len(nights)} of {policy.nights} nights in a row have passed")
    for domain in DOMAINS:
        _judge_domain(domain, last.domains.get(domain, Counts()), policy.floor_of(domain), blocks, notes)
    planned, gaps = last.totals.get("planned", 0), sum(last.gaps.values())
    if gaps > policy.gap_share_max * planned:
        blocks.append(f"{gaps} of {planned} planned exchanges are gaps; at most {policy.gap_share_max:.1%} may be")
    if policy.canaries:
        asleep = [entry for entry in (nights or [last]) if not _awake(entry)]
        blocks += [f"the run of {_day(entry)} did not prove that it was awake: {_canary_words(entry)}" for entry in asleep]
    if any(party.get("salvaged") for party in last.parties.values()):
        blocks.append("the last run rests on a salvaged archive")
    if policy.age_days_max is not None:
        age = None if now is None else (now - last.started_at) / DAY_S
        if age is None:
            blocks.append("the policy limits the age of the last run, and the time now was not given")
        elif age > policy.age_days_max:
            blocks.append(f"the last run is {age:.1f} days old; at most {policy.age_days_max:g} may pass")
    notes += [f"{word} changed within the streak" for word, values in _streak_facts(nights).items() if len(values) > 1]
    return Decision(open=not blocks, blocks=tuple(blocks), streak=len(nights), notes=tuple(notes))


def _nights(entries: Sequence[Entry]) -> list[Entry]:
    """Give the last run of each night of the streak, newest first."""
    nights: list[Entry] = []
    failed_days = {_day(entry) for entry in entries if entry.verdict != "pass"}
    for entry in reversed(entries):
        if entry.verdict != "pass" or _day(entry) in failed_days or entry.daemon != entries[-1].daemon:
            break
        if nights and _days_between(entry, nights[-1]) > 1:
            break
        if not nights or _day(nights[-1]) != _day(entry):
            nights.append(entry)
    return nights


def _days_between(earlier: Entry, later: Entry) -> int:
    return int(later.started_at // DAY_S) - int(earlier.started_at // DAY_S)


def _judge_domain(domain: str, counts: Counts, floor: int, blocks: list[str], notes: list[str]) -> None:
    if counts.open or counts.state_open:
        state = f" and {counts.state_open} open divergences of state" if counts.state_open else ""
        # What the run's own policy lets pass (slowness, say) is told and does not block: the run's verdict has decided.
        notes.append(f"{domain}: {counts.open} of {counts.compared} compared exchanges have an open divergence{state}")
    if counts.compared < floor:
        blocks.append(f"{domain}: {counts.compared} exchanges compared; the floor is {floor}")
    elif counts.compared == 0:
        notes.append(f"{domain}: nothing was compared, and the policy asks for nothing")


def _awake(entry: Entry) -> bool:
    planted = entry.canaries.get("planted", 0)
    return planted > 0 and entry.canaries.get("found", 0) == planted


def _canary_words(entry: Entry) -> str:
    planted = entry.canaries.get("planted", 0)
    return f"{entry.canaries.get('found', 0)} of {planted} canaries found" if planted else "no canaries were planted"


def _streak_facts(nights: Sequence[Entry]) -> dict[str, set[str]]:
    return {
        "the rules": {entry.rules_digest for entry in nights},
        "the noise": {entry.noise_digest for entry in nights},
        "the tool": {entry.tool for entry in nights},
    }


def _item(domain: str, feature: str, counts: Counts, floor: int) -> Item:
    weight = _weight(counts)
    found = counts.open + counts.state_open
    status = "divergent" if found else "not seen" if weight == 0 else "proven" if weight >= floor else "thin"
    return Item(domain, feature, weight, found, status)


def _weight(counts: Counts) -> int:
    return counts.compared + counts.state_open + counts.state_explained


def _day(entry: Entry) -> str:
    return datetime.fromtimestamp(entry.started_at, UTC).strftime("%Y-%m-%d")

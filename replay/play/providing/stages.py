"""
Which step of a daemon's work a prompt belongs to, and what of it is payload.

A stage is known by how its prompt begins; both daemons' ways of beginning are listed. Where the two word the same question differently, the
payload (what is asked about) is cut out of the wording, so that an answer recorded from one daemon can be given to the other.
"""

import json
import re
from dataclasses import dataclass
from typing import Final

OTHER: Final = "other"
PAYLOAD_BYTES_MAX: Final = 11_000
"""Both daemons cut long texts, one at 12,000 UTF-16 units and one at 12,000 bytes; what lies before is common to both."""


def _number(spelling: str) -> float | int:
    """Read a number such that 1.0 is 1."""
    value = float(spelling)
    return int(value) if value.is_integer() else value


_BEGINNINGS: Final = (
    ("extraction", r"Extract key facts and "),
    ("escalation", r"Extract only decisions, constraints"),
    ("decision", r"You are a memory management system"),
    ("contradiction", r"Do these two statements contradict"),
    ("summary single", r"You are reviewing a cleaned transcript"),
    ("summary chunk", r"You are reviewing chunk [0-9]+ of [0-9]+"),
    ("summary combine", r"You are combining [0-9]+ "),
    ("continuity", r"Evaluate how well pre-loaded"),
    ("sentence", r"Write exactly one sentence"),
    ("hints", r"Given this fact stored in a personal memory"),
    ("classification", r"Classify (?:each fact|the following facts)"),
    ("entity types", r"Classify each entity"),
    ("dependency", r"Task: classify each fact and decide|Extract entity relationships from facts"),
    ("dependency synthesis", r"Task: identify new dependency"),
    ("condensation", r"Condense these "),
    ("reflection", r"You are the question generator"),
    (
        "dream",
        r"You are running Signet's dreaming|You are taking time to reflect|<identity>[\s\S]{0,200000}<task>\s*You are taking time to reflect",
    ),
    ("ontology", r"You are extracting candidate ontology"),
    ("consolidation", r"You are performing Signet ontology"),
    ("rerank", r"You are a reranker"),
    ("recall summary", r"You are summarizing recalled"),
    ("recall plan", r"Propose focused follow-up"),
    ("recall note", r"Write one concise atomic memory note"),
    ("greeting", r"Given this agent personality"),
    ("skill", r"You are analyzing an AI agent skill|You are a developer skill assessment"),
    ("distilling", r"You are a (?:precision )?knowledge extraction engine"),
    ("widget", r"Generate an interactive HTML widget"),
    ("assistant", r"You are Oogie"),
    ("agent", r"You are a GUI automation agent"),
)
_STAGE: Final = re.compile("|".join(f"(?P<s{number}>{pattern})" for number, (_, pattern) in enumerate(_BEGINNINGS)))
_CUT: Final = re.compile(r"\s*\[truncated\]\s*\Z")
_CLOSING: Final = re.compile(r"\n\s*Respond with only the JSON object[^\n]*\Z")
_SEGMENTS: Final = re.compile(r"\n(?:Extracted facts from all segments|Facts):\n")
_DAYTIME: Final = re.compile(r"(?<=Generate a brief )(?:morning|afternoon|evening|night|late-night|midday)(?= greeting)")
_OPENING: Final = re.compile(r"^[\[{]", re.MULTILINE)
_DECODER: Final = json.JSONDecoder(parse_float=_number)
_MODE: Final = re.compile(r"You are running in [A-Z]+ mode")
_FACT: Final = re.compile(
    r'New fact \(type: ([^,\n]*), confidence: ([^)\n]*)\):\n"([\s\S]*?)"\n\nExisting candidates:\n([\s\S]*?)\n\nActions:\n'
)
_CANDIDATE: Final = re.compile(r"(?:\A|\n)\[[0-9]+\] ID: (\S+)\n    Type: ([^\n]*)\n    Content: ")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A memory that a decision may be about."""

    id: str
    content: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a prompt asks to decide: where a new fact belongs among what is known."""

    type: str
    confidence: str
    content: str
    candidates: tuple[Candidate, ...]


def stage_of(text: str) -> str:
    """Name the stage of a prompt; `other` where none is known."""
    match = _STAGE.match(text.lstrip())
    return OTHER if match is None or match.lastgroup is None else _BEGINNINGS[int(match.lastgroup[1:])][0]


def payload_of(stage: str, text: str) -> str | None:
    """Give what a prompt is about, without its wording; None for a stage whose wording is the same in both daemons, or is not known."""
    match stage:
        case "extraction" | "escalation":
            after = _after(text, "\nText:\n")
            if after is None and (after := _after(text, "\nContent:\n")) is not None:
                after = _CLOSING.sub("", after)
            return None if after is None else _cut(_CUT.sub("", after))
        case "summary single":
            return _after(text, "\nConversation:\n")
        case "summary chunk":
            return _after(text, "\nConversation segment:\n")
        case "summary combine":
            found = _after(text, "\nSegment summaries:\n")
            return None if found is None else _SEGMENTS.sub("\n", found)
        case "greeting":
            return _DAYTIME.sub("present", text)
        case "consolidation" | "rerank" | "recall summary":
            return _with_one_json(text)
    return None


def task_of(stage: str, text: str) -> str | None:
    """
    Give what a prompt wants done, without what the daemon knew at the time and quotes in it.

    What it knew (memories, a graph) is what a race of its own workers leaves there. None for a stage that quotes no such thing.
    """
    match stage:
        case "continuity":
            return _after(text, "\nSession transcript")
        case "reflection":
            return text.partition("\nRecent saved memories:")[0]
        case "dream":
            found = _MODE.search(text)
            return None if found is None else found[0]
    return None


def decision_of(text: str) -> Decision | None:
    """Take a decision's prompt apart; None where it is none, or not as both daemons spell it."""
    match = _FACT.search(text)
    if match is None:
        return None
    heads = list(_CANDIDATE.finditer(match[4]))
    ends = [head.start() for head in heads[1:]] + [len(match[4])]
    candidates = tuple(Candidate(head[1], match[4][head.end() : end].strip()) for head, end in zip(heads, ends, strict=True))
    return Decision(match[1].strip(), _spelt(match[2]), match[3], candidates) if candidates else None


def _with_one_json(text: str) -> str:
    """Spell the JSON that begins a line one way: the daemons order members differently, and write 0 or 0.0."""
    parts: list[str] = []
    at = 0
    for match in _OPENING.finditer(text):
        if match.start() < at:
            continue  # inside of what was read
        try:
            value, end = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        parts += [text[at : match.start()], json.dumps(value, sort_keys=True, ensure_ascii=False)]
        at = end
    return "".join((*parts, text[at:]))


def _after(text: str, mark: str) -> str | None:
    """Give what follows the first such line: a wording holds it once, and what comes after may hold it again."""
    _, found, rest = text.partition(mark)
    return rest if found else None


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text.encode("utf-8", "surrogatepass")[:PAYLOAD_BYTES_MAX].decode("utf-8", "ignore")


def _spelt(number: str) -> str:
    """Spell a confidence one way: the one daemon writes 0.9, the other 0.90."""
    try:
        return f"{float(number):.2f}"
    except ValueError:
        return number.strip()

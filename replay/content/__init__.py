"""
What bytes mean: parse bodies, walk them, find JSON in strings, rewrite by exact spans, align lists.

Pure: knows no HTTP beyond a media type, no files, no clocks. Everything here is total: a body that is not what it says
it is becomes text or binary with a note, never an error.

- `parse` gives a `Content`; `walk` and `strings` go through it with paths such as `$.results[3].id`.
- `rewrite` (bodies) and `rewrite_target` (request targets) replace strings and leave every other byte as it was.
- `align` pairs the items of two lists by their keys; `match_in_order` pairs two sequences whose order counts, without crossing.
- `sniff` names what bytes are.
"""

from replay.content.align import Alignment, Pairing, align
from replay.content.parse import Content, parse
from replay.content.paths import child, strings, walk
from replay.content.rewrite import Replace, rewrite, rewrite_target, rewrite_text, shared_head
from replay.content.sequences import match_in_order
from replay.content.sniffing import sniff
from replay.content.sse import Event, event_ends, read_events
from replay.content.values import Number, Value, dump, embedded, load

__all__ = [
    "Alignment",
    "Content",
    "Event",
    "Number",
    "Pairing",
    "Replace",
    "Value",
    "align",
    "child",
    "dump",
    "embedded",
    "event_ends",
    "load",
    "match_in_order",
    "parse",
    "read_events",
    "rewrite",
    "rewrite_target",
    "rewrite_text",
    "shared_head",
    "sniff",
    "strings",
    "walk",
]

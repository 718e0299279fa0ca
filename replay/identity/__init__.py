"""
Ids and times: what they look like, which recorded one stands for which observed one, and how that is learned.

- `classify` names the role of a whole string, `find` gives the id-shaped and time-shaped spans of a longer text, `skeleton` is the
  text with those spans blanked, `classify_number` reads epochs and durations; `may_hold` sees quickly where none of it is.
- `Bindings` is one renaming per kind, recorded ↔ observed, with its contradictions.
- `learn` walks a recorded and an observed answer side by side and binds what was born there.
"""

from replay.identity.bindings import Bindings
from replay.identity.learn import learn, learn_pair
from replay.identity.roles import (
    ID_KINDS,
    TIME_KINDS,
    Role,
    Span,
    classify,
    classify_number,
    find,
    fits,
    is_duration_key,
    skeleton,
)
from replay.identity.scanning import may_hold

__all__ = [
    "ID_KINDS",
    "TIME_KINDS",
    "Bindings",
    "Role",
    "Span",
    "classify",
    "classify_number",
    "find",
    "fits",
    "is_duration_key",
    "learn",
    "learn_pair",
    "may_hold",
    "skeleton",
]

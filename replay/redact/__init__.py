"""
Secrets out, before anything reaches the disk; and the scanner for what was left.

How this works
--------------
A secret is a span of bytes. It is replaced by a *placeholder* of the same byte length and shape (`placeholder`), made from a keyed hash,
so equal secrets stay equal and nothing can be read back. The placeholder carries a tag and a checksum by which redactor and scanner know
it without the key, so it is never redacted twice nor taken for a leftover.

Where secrets are found: in known headers (`headers`), in query parameters, in fields of bodies by route (`tables`, `fields`), and anywhere by
the name before them (`names`) and by their own shape (`shapes`), also under percent signs, base64, hexadecimal (`encoded`) and content
encodings (`compressed`). `Redactor` puts these and an operator's own `rules` together and says which spans it replaced; `RecordRedactor`
does it for records as they come, across the borders of chunks; `scan` looks for what a redactor would change.
"""

from replay.redact.placeholder import is_placeholder
from replay.redact.redactor import Redactor
from replay.redact.rules import Rule, Rules, load_rules
from replay.redact.scanning import Suspect, scan
from replay.redact.streams import RecordRedactor

__all__ = ["RecordRedactor", "Redactor", "Rule", "Rules", "Suspect", "is_placeholder", "load_rules", "scan"]

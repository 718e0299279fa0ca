"""
Secrets out, before anything reaches the disk; and the scanner for what was left.

How this works
--------------
A secret is a span of bytes. It is replaced by a *placeholder* of the same byte length and shape (`placeholder`), made from a keyed hash,
so equal secrets stay equal and nothing can be read back. The placeholder carries a tag and a checksum by which redactor and scanner know
it without the key, so it is never redacted twice nor taken for a leftover.

Where secrets are found: in known headers (`headers`), in query parameters, in fields of bodies by route (`fields`), and by their own shape
anywhere (`shapes`). `Redactor` puts these together and says which spans it replaced; `scan` looks for shapes that are no placeholder.

Known limits, for a later issue: a secret that is split between two chunks of a stream is not seen, compressed bodies are not opened,
and the table of body fields is short.
"""

from replay.redact.placeholder import is_placeholder
from replay.redact.records import redact_record
from replay.redact.redactor import Redactor
from replay.redact.shapes import Suspect, scan

__all__ = ["Redactor", "Suspect", "is_placeholder", "redact_record", "scan"]

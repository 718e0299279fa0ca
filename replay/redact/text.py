"""Everything that can be found in a text without knowing what the text is: names, shapes, and both under encodings."""

from dataclasses import dataclass

from replay.redact.edits import Edit, merge_edits
from replay.redact.encoded import find_encoded
from replay.redact.names import find_named, fold
from replay.redact.shapes import find_shapes


@dataclass(frozen=True, slots=True)
class Texts:
    """Finds secrets in texts under one key. *more* and *kept* are own names (folded, without dashes): to be hidden, and not to be."""

    key: bytes
    more: frozenset[bytes] = frozenset()
    kept: frozenset[bytes] = frozenset()

    def find(self, data: bytes, depth: int = 0) -> list[Edit]:
        """Find the secrets of *data*, placeholders included, in order of place and not overlapping."""
        folded = fold(data)
        return merge_edits(
            find_encoded(data, self.find, self.key, depth),
            find_named(data, folded, self.key, self.more, self.kept),
            find_shapes(data, folded, self.key),
        )

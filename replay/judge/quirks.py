"""Known causes in words: what a bare name such as `q-time-format` means, for whoever reads a report."""

from types import MappingProxyType
from typing import Final

QUIRKS: Final = MappingProxyType(
    {
        "q-boolean-as-number": "a whole number on one side, true or false on the other",
        "q-content-type": "another content type than the primary gives",
        "q-hangs": "no answer in time where the primary answers",
        "q-html-fallback": "a web page where the primary answers with something else",
        "q-id-format": "another kind of id than the primary gives",
        "q-json-as-text": "text on one side, an object or a list on the other",
        "q-key-case": "a key that the other side spells in another case (camelCase, snake_case)",
        "q-letter-case": "the same text in other letter case",
        "q-null": "null on one side where the other has a value",
        "q-null-added": "null where the primary leaves the key out",
        "q-null-left-out": "the key left out where the primary writes null",
        "q-number-as-text": "text on one side, a number on the other",
        "q-number-format": "the same number written in another way",
        "q-secret-in-clear": "a secret stored in clear, which the primary does not do",
        "q-time-format": "another time format than the primary writes",
        "q-white-space": "the same text with other white space",
    }
)
"""The bare name stays the cause's identity everywhere that a machine reads; the words are for display alone."""


def quirk_words(cause: str) -> str:
    """Say what a known cause means; empty for any other."""
    return QUIRKS.get(cause, "")

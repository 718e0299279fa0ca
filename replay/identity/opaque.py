"""
Finding words in a text that have no shape of their own.

How this works
--------------
Ids that `roles.find` sees by their shape are looked up one by one. The others (twelve hex digits, sixteen letters, what stands in for a secret)
are known only because they were bound. A pattern with all of them as alternatives would have to be built anew with each, and be tried at each
word of a text: quadratic in a long recording. So there is one pattern for each *length* of word, which gives the places where a word of that
length would stand free, and a set tells whether it is one. Words that hold other characters than names do are few, and searched for one by one.
"""

import re
from typing import Final

_NAME: Final = re.compile(r"[0-9A-Za-z~][0-9A-Za-z_~.:-]*")


class OpaqueWords:
    """Words that are to be found in texts wherever they stand between other characters than letters and digits."""

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._odd: list[str] = []
        self._by_length: dict[int, re.Pattern[str]] = {}

    def may_stand_in(self, text: str) -> bool:
        """Tell whether a word may be found in a text, or in a part of it between other characters than letters and digits."""
        return bool(self._odd) or any(
            match.group(1) in self._words
            for length, pattern in self._by_length.items()
            if length <= len(text)
            for match in pattern.finditer(text)
        )

    def add(self, word: str) -> None:
        """Add a word; an empty one is none."""
        if not word or word in self._words:
            return
        self._words.add(word)
        if not _NAME.fullmatch(word):
            self._odd.append(word)
        elif len(word) not in self._by_length:
            window = rf"(?<![0-9A-Za-z])(?=([0-9A-Za-z~][0-9A-Za-z_~.:-]{{{len(word) - 1}}})(?![0-9A-Za-z]))"
            self._by_length[len(word)] = re.compile(window)

    def find(self, text: str, taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Give the places of words in a text, in order, not overlapping each other nor what is *taken* already; longer ones first."""
        if not self._words:
            return []
        places = [
            (match.start(1), match.end(1))
            for length, pattern in self._by_length.items()
            if length <= len(text)
            for match in pattern.finditer(text)
            if match.group(1) in self._words
        ]
        for word in self._odd:
            at = text.find(word)
            while at >= 0:
                if _stands_free(text, at, at + len(word)):
                    places.append((at, at + len(word)))
                at = text.find(word, at + 1)
        if not places:
            return []
        places.sort(key=lambda place: (place[0], -place[1]))
        found: list[tuple[int, int]] = []
        free_from, next_taken = 0, 0
        for start, end in places:
            while next_taken < len(taken) and taken[next_taken][1] <= start:
                next_taken += 1
            if start >= free_from and not (next_taken < len(taken) and taken[next_taken][0] < end):
                found.append((start, end))
                free_from = end
        return found


def _stands_free(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (before.isascii() and before.isalnum()) and not (after.isascii() and after.isalnum())

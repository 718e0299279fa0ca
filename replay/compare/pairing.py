"""
Which observed exchange stands for which recorded one.

A replay bears the recorded ids. Two recordings of the same client are aligned by sequence: on method, route and the request's target
and body with ids and times blanked; what jittered past its neighbours is then paired by the same key, in order. Of each exchange only the
digests of its keys are held.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Final

from replay.compare.blinding import blind_text
from replay.content import parse
from replay.content.values import dump
from replay.model import Exchange, UsageError
from replay.routes import route_of

ALIGNED_MIN: Final = 0.95
_LEVELS: Final = 3
_STEPS_MAX: Final = 50_000_000
"""Where keys repeat so often that looking for the longest runs would take more steps, they are paired in order alone."""


def pair_by_sequence(recorded: Iterable[Exchange], observed: Iterable[Exchange]) -> dict[int, int]:
    """
    Pair two recordings of the same client: recorded id → observed id.

    Raises:
        UsageError: under 95 % of the recorded exchanges have a partner: these are not recordings of one client.

    """
    left, right = _Keys.of(recorded), _Keys.of(observed)
    partners: dict[int, int] = {}
    taken: set[int] = set()
    for level in range(_LEVELS):
        rest_left = [at for at, number in enumerate(left.numbers) if number not in partners]
        rest_right = [at for at, number in enumerate(right.numbers) if number not in taken]
        ours, theirs = [left.key(level, at) for at in rest_left], [right.key(level, at) for at in rest_right]
        for one, two in _paired(ours, theirs):
            partners[left.numbers[rest_left[one]]] = right.numbers[rest_right[two]]
            taken.add(right.numbers[rest_right[two]])
    if left.numbers and len(partners) < ALIGNED_MIN * len(left.numbers):
        raise UsageError(
            f"only {len(partners)} of {len(left.numbers)} exchanges have a partner: these archives are no replay of each other and no "
            "recordings of the same client; compare a recording with its own replay (signet-parity replay … --observed …)"
        )
    return partners


class _Keys:
    """The exchanges of one recording: their numbers, and of each a digest for each level, the strictest first."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._digests = array("q")

    @classmethod
    def of(cls, exchanges: Iterable[Exchange]) -> "_Keys":
        keys = cls()
        for exchange in exchanges:
            keys.numbers.append(exchange.id)
            request = _request_key(exchange)
            keys._digests.extend(map(_digest, (_exact_key(exchange, request), request, route_of(exchange.request).name)))
        return keys

    def key(self, level: int, at: int) -> int:
        return self._digests[_LEVELS * at + level]


def _paired(left: Sequence[int], right: Sequence[int]) -> list[tuple[int, int]]:
    """Pair equal keys: those in the longest common runs first, then the rest in order."""
    found: list[tuple[int, int]] = []
    used_left, used_right = set(), set()
    for start_left, start_right, length in _runs(left, right):
        for step in range(length):
            found.append((start_left + step, start_right + step))
            used_left.add(start_left + step)
            used_right.add(start_right + step)
    waiting: dict[int, list[int]] = {}
    for index in range(len(right) - 1, -1, -1):
        if index not in used_right:
            waiting.setdefault(right[index], []).append(index)
    found.extend((index, waiting[key].pop()) for index, key in enumerate(left) if index not in used_left and waiting.get(key))
    return found


def _runs(left: Sequence[int], right: Sequence[int]) -> list[tuple[int, int, int]]:
    """Give common runs (start in both, length) that do not cross. What both begin with is one of them, however often its keys come again."""
    begin = next((at for at, (one, two) in enumerate(zip(left, right, strict=False)) if one != two), min(len(left), len(right)))
    ours, theirs = left[begin:], right[begin:]
    often, others = Counter(ours), Counter(theirs)
    if sum(count * others[key] for key, count in often.items()) * (1 + len(ours).bit_length()) > _STEPS_MAX:
        return [(0, 0, begin)]
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    return [(0, 0, begin), *((begin + one, begin + two, length) for one, two, length in matcher.get_matching_blocks())]


def _digest(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


def _exact_key(exchange: Exchange, request_key: str) -> str:
    body = parse(exchange.request.body or b"", exchange.request.header(b"content-type"))
    text = dump(body.value) if body.kind == "json" else repr(body.value)  # type: ignore[arg-type]  # by kind
    return f"{request_key}\0{blind_text(text) if len(text) < 65_536 else len(text)}"


def _request_key(exchange: Exchange) -> str:
    request = exchange.request
    return f"{request.method.decode('latin-1')} {blind_text(request.target.decode('latin-1'))}"

"""
Which observed exchange stands for which recorded one.

A replay bears the recorded ids. Two recordings of the same client are aligned by sequence: on method, route and the request's target
and body with ids and times blanked; what jittered past its neighbours is then paired by the same key, in order.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

from replay.compare.blinding import blind_text
from replay.content import parse
from replay.content.values import dump
from replay.model import Exchange, UsageError
from replay.routes import route_of

ALIGNED_MIN: Final = 0.95


def pair_by_sequence(recorded: Sequence[Exchange], observed: Sequence[Exchange]) -> dict[int, Exchange]:
    """
    Pair two recordings of the same client, by recorded id.

    Raises:
        UsageError: under 95 % of the recorded exchanges have a partner: these are not recordings of one client.

    """
    partners: dict[int, Exchange] = {}
    for level in (_exact_key, _request_key, _route_key):
        rest_left = [exchange for exchange in recorded if exchange.id not in partners]
        taken = {exchange.id for exchange in partners.values()}
        rest_right = [exchange for exchange in observed if exchange.id not in taken]
        _pair_level([level(item) for item in rest_left], [level(item) for item in rest_right], rest_left, rest_right, partners)
    if recorded and len(partners) < ALIGNED_MIN * len(recorded):
        raise UsageError(
            f"only {len(partners)} of {len(recorded)} exchanges have a partner: these archives are no replay of each other and no "
            "recordings of the same client; compare a recording with its own replay (signet-parity replay … --observed …)"
        )
    return partners


def _pair_level(left_keys: list[str], right_keys: list[str], left: list[Exchange], right: list[Exchange], partners: dict[int, Exchange]) -> None:
    matcher = SequenceMatcher(None, left_keys, right_keys, autojunk=False)
    used_left, used_right = set(), set()
    for start_left, start_right, length in matcher.get_matching_blocks():
        for step in range(length):
            partners[left[start_left + step].id] = right[start_right + step]
            used_left.add(start_left + step)
            used_right.add(start_right + step)
    waiting: dict[str, list[int]] = {}
    for index, key in enumerate(right_keys):
        if index not in used_right:
            waiting.setdefault(key, []).append(index)
    for index, key in enumerate(left_keys):
        if index not in used_left and waiting.get(key):
            partners[left[index].id] = right[waiting[key].pop(0)]


def _exact_key(exchange: Exchange) -> str:
    body = parse(exchange.request.body or b"", exchange.request.header(b"content-type"))
    text = dump(body.value) if body.kind == "json" else repr(body.value)  # type: ignore[arg-type]  # by kind
    return f"{_request_key(exchange)}\0{blind_text(text) if len(text) < 65_536 else len(text)}"


def _request_key(exchange: Exchange) -> str:
    request = exchange.request
    return f"{request.method.decode('latin-1')} {blind_text(request.target.decode('latin-1'))}"


def _route_key(exchange: Exchange) -> str:
    return route_of(exchange.request).name

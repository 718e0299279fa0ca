"""Measure noise: what the primary does differently from itself, from every pair of its archives."""

from collections.abc import Callable, Sequence
from itertools import combinations

from replay.archive import Archive
from replay.compare import compare_archives, partners_of
from replay.compare.surveying import Survey, survey_of
from replay.judge import NoiseModel, learn_noise
from replay.model import Finding, Pair, UsageError
from replay.routes import route_of

type Progress = Callable[[str, int, int], None]


def measure_noise(archives: Sequence[Archive], progress: Progress) -> NoiseModel:
    """
    Learn what the primary does differently from itself: each archive against each other.

    A recording and its replays, two recordings of one client, and two replays of one recording can be laid beside each other.

    Raises:
        UsageError: fewer than two archives, archives of two daemons, or ones that do not belong together.

    """
    if len(archives) < 2:
        raise UsageError("noise needs at least two archives of the same daemon: a recording and its replays on it")
    if len({archive.id for archive in archives}) < len(archives):
        raise UsageError("noise needs archives of different runs; one of these is given twice, and says of itself only that it is the same")
    names = {str(daemon["name"]) for archive in archives if isinstance(daemon := archive.facts.get("daemon"), dict) and daemon.get("name")}
    if len(names) > 1:
        raise UsageError(f"noise is what one daemon does differently from itself; these archives are of {', '.join(sorted(names))}")
    # A recording comes before its replays, whatever the order they are given in.
    ordered = sorted(archives, key=lambda archive: archive.facts.get("replay_of") is not None)
    couples = list(combinations(ordered, 2))
    runs: list[tuple[Sequence[Finding], Sequence[Pair]]] = []
    surveys: list[Survey] = []
    for number, (one, two) in enumerate(couples, 1):
        progress("measuring noise", number, len(couples))
        found = compare_archives(one, two, (), lambda _done, _of: None)
        runs.append((tuple(found.findings), tuple(found.pairs)))
        surveys.append(_survey(one, two, found.pairs))
    return learn_noise(runs, [archive.digest for archive in archives], surveys)


def _survey(one: Archive, two: Archive, pairs: Sequence[Pair]) -> Survey:
    partners = partners_of(one, two)
    standing = {pair.exchange for pair in pairs if pair.gap is None and pair.exchange in partners.exchanges}
    known = ((exchange, partners.exchanges[exchange.id]) for exchange in one.exchanges() if exchange.id in standing)
    return survey_of(((route_of(exchange.request).name, exchange, other) for exchange, other in known), partners.side.clock)

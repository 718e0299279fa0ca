"""What was asked on the lanes: one record a call, and the counts."""

from collections import Counter
from collections.abc import Callable, Mapping

from replay.model import ProviderCall, Statistics
from replay.play.observed import Observed
from replay.play.providing.asks import Ask
from replay.play.providing.given import TIERS, Given, as_json

PREFIX = "provider"
"""How the counts are called in `Statistics`: `provider/<lane>/<stage>/<tier>`, and `…/recorded`, `…/unasked`."""

ELSEWHERE = "in another context"
"""How the count of calls is called that asked the recorded thing while the daemon knew something else."""


class Log:
    """
    Takes calls from the start, and writes them once there is an archive.

    A record's `request` is the request line, an empty line and the body; its `response` the status, an empty line and the body, or only the
    status where the answer is the recorded one (`match` names its exchange).
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._observed: Observed | None = None
        self._is_over = False
        self._early: list[tuple[float, Ask, Given, bool]] = []
        self.counts: Counter[str] = Counter()

    def note(self, lane: str, ask: Ask, given: Given, *, left: bool) -> None:
        """Take one call; *left*: the daemon did not wait for the end of its answer. What comes after the counts were written is none."""
        if self._is_over:
            return
        self.counts[f"{PREFIX}/{lane}/{given.stage}/{given.tier}"] += 1
        if "context" in given.match:
            self.counts[f"{PREFIX}/{lane}/{given.stage}/{ELSEWHERE}"] += 1
        if self._observed is None:
            self._early.append((self._clock(), ask, given, left))
        else:
            _write(self._observed, self._clock(), ask, given, left=left)

    def attach(self, observed: Observed) -> None:
        """Write what came so far, and from now on each call at once."""
        self._observed = observed
        for at, ask, given, left in self._early:
            _write(observed, at, ask, given, left=left)
        self._early.clear()

    def close(self, lane: str, recorded: Mapping[str, int], unasked: Mapping[str, int]) -> None:
        """Add what a lane's recording holds, and what of it was never asked."""
        for stage, count in recorded.items():
            self.counts[f"{PREFIX}/{lane}/{stage}/recorded"] = count
            self.counts[f"{PREFIX}/{lane}/{stage}/unasked"] = unasked.get(stage, 0)

    def write_counts(self) -> None:
        """Write the counts, once all lanes are closed."""
        self._is_over = True
        if self._observed is not None and self.counts:
            self._observed.append(Statistics(self._clock(), {name: float(count) for name, count in sorted(self.counts.items())}))


def tabulate_counts(counts: Mapping[str, float]) -> dict[tuple[str, str], dict[str, int]]:
    """Read the counts back: by lane and stage, what was asked in all, in each tier, recorded and never asked."""
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for name, count in counts.items():
        prefix, _, rest = name.partition("/")
        parts = rest.rsplit("/", 2)  # a lane is called what its recorder liked
        if prefix != PREFIX or len(parts) != 3:
            continue
        row = rows.setdefault((parts[0], parts[1]), {"asked": 0, **dict.fromkeys((*TIERS, "recorded", "unasked", ELSEWHERE), 0)})
        row[parts[2]] = int(count)
        row["asked"] += int(count) if parts[2] in TIERS else 0
    return rows


def _write(observed: Observed, at: float, ask: Ask, given: Given, *, left: bool) -> None:
    match = {**given.match, **({"left": True} if left else {})}
    if ask.model:
        match["model asked"] = ask.model
    head = f"{given.status}".encode()
    observed.append(
        ProviderCall(
            event=observed.next_event(),
            at=at,
            stage=given.stage,
            request=f"{ask.method} {ask.target}\r\n\r\n".encode() + ask.body,
            response=head + b"\r\n\r\n" + b"".join(given.pieces) if given.made else head,
            match=as_json(match),
        )
    )

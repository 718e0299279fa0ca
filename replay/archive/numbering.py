"""Whether a sequence of event numbers has holes or doubles; pure."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class EventNumbers:
    """
    Takes runs of numbers in any order and says which are missing from 1 on.

    What is complete from 1 on is held as one number, so that hours of traffic cost no memory; only what came early is kept apart.
    """

    complete_to: int = 0
    """Every number from 1 to here was seen."""
    last: int = 0
    """The highest number seen."""
    _early: dict[int, int] = field(default_factory=dict)
    """Runs that lie beyond, first number to last."""

    def add(self, first: int, last: int) -> None:
        """Take a run; numbers below 1 count for nothing."""
        first = max(first, 1)
        if last < first:
            return
        self.last = max(self.last, last)
        if first > self.complete_to + 1:
            self._early[first] = max(last, self._early.get(first, 0))
            return
        self.complete_to = max(self.complete_to, last)
        while (reached := self._early.pop(self.complete_to + 1, None)) is not None:
            self.complete_to = max(self.complete_to, reached)

    def holes(self) -> list[tuple[int, int]]:
        """Give the runs of numbers that are missing below the highest."""
        missing = []
        reached = self.complete_to
        for first, last in sorted(self._early.items()):
            if first > reached + 1:
                missing.append((reached + 1, first - 1))
            reached = max(reached, last)
        return missing

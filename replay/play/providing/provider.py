"""All lanes of one replay: built from the recording, served from before the daemon starts until the replay is over."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Self

from replay.archive import Archive
from replay.daemon.lanes import Lane
from replay.identity import Bindings
from replay.model import DaemonError
from replay.plan import Stretch
from replay.play.observed import Observed
from replay.play.providing.answering import Answering
from replay.play.providing.asks import Ask
from replay.play.providing.given import Given
from replay.play.providing.log import Log
from replay.play.providing.plain import Present
from replay.play.providing.recorded import lane_exchanges, lane_times
from replay.play.providing.serving import Server
from replay.play.providing.store import Store


class Provider:
    """
    Stands in for what the recorded daemon asked. An asynchronous context manager: within it, its lanes are served.

    It knows the replay's bindings, so the player that it serves beside must learn into the same.
    """

    def __init__(
        self,
        recorded: Archive,
        lanes: Sequence[Lane],
        bindings: Bindings,
        *,
        clock: Callable[[], float],
        stretch: Stretch | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        """
        Read the lanes of a recording; *secrets* are what clients send in the place of placeholders.

        Of a *stretch*, what was asked in it is answered first; what was asked before or after only where that does not suffice.

        Raises: ArchiveError where a block is damaged.
        """
        self.bindings = bindings
        """Into which the player must learn."""
        self._lanes = tuple(lanes)
        self._stores: dict[str, Store] = {}
        self._servers: dict[str, Server] = {}
        self._log = Log(clock)
        for lane in lanes:
            now = clock()
            present = Present.of(lane_times(recorded, lane.name) or (now, now), now)
            part = Stretch() if stretch is None else stretch
            store = self._stores[lane.name] = Store(present)
            store.fill(exchange for exchange in lane_exchanges(recorded, lane.name) if part.holds(exchange.opened_event))
            if part.after or part.until is not None:
                rest = (exchange for exchange in lane_exchanges(recorded, lane.name) if not part.holds(exchange.opened_event))
                store.fill(rest, in_part=False)
            answering = Answering(lane.name, store, present, bindings)
            self._servers[lane.name] = Server(answering, partial(self._note, lane.name), secrets)

    @property
    def busy(self) -> int:
        """How many requests are being answered just now."""
        return sum(server.busy for server in self._servers.values())

    @property
    def counts(self) -> Mapping[str, int]:
        """What was asked so far, by lane, stage and tier (`log.PREFIX`)."""
        return self._log.counts

    def attach(self, observed: Observed) -> None:
        """Write what is asked into an observed archive, also what was asked before."""
        self._log.attach(observed)

    def finish(self) -> Mapping[str, int]:
        """Write the counts, and give them."""
        for name, store in self._stores.items():
            unasked = Counter(stage for stage, _ in store.unasked())
            self._log.close(name, store.calls(), unasked)
        self._log.write_counts()
        return dict(self._log.counts)

    async def __aenter__(self) -> Self:
        for lane in self._lanes:
            for address in lane.addresses:
                try:
                    await self._servers[lane.name].listen(address.host, address.port)
                except OSError as error:
                    await self.__aexit__()
                    raise DaemonError(
                        f"lane {lane.name}: {address.host}:{address.port} can't be listened on: {error.strerror}. "
                        "What listens there would be asked in its place: stop it, or use a namespace cell, which has all ports to itself."
                    ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers.values():
            await server.close()

    def _note(self, lane: str, ask: Ask, given: Given, *, left: bool) -> None:
        self._log.note(lane, ask, given, left=left)

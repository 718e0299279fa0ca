"""What sending cost the player itself, in one line, and what hung, in another."""

from collections.abc import Iterator, Mapping


def sending_lines(costs: object, counts: Mapping[str, object]) -> Iterator[str]:
    """Tell the *costs* (as `play.costs.Costs.told` gives them; nothing where they are none) and, of the counts, what met its bound."""
    if isinstance(costs, Mapping) and costs and all(isinstance(value, int | float) for value in costs.values()):

        def ms(name: str) -> str:
            return f"{costs.get(f'own_{name}_us', 0.0) / 1000.0:.2f} ms"

        yield (
            f"the player itself: {ms('send_p50')} from when an exchange may be sent to when it is (p99 {ms('send_p99')}), "
            f"{ms('record_p50')} from its last byte to its record (p99 {ms('record_p99')}), {ms('cpu')} CPU an exchange"
        )
    late, timeouts, asked = (counts.get(name, 0) for name in ("went_on_without", "timeouts", "asked_for_health"))
    if late or timeouts or asked:
        yield (
            f"slow: others went on without {late} exchanges, {timeouts} were closed at their bounds; "
            f"the daemon was silent and asked for its health {asked} times"
        )

"""What a replay says of what it put in the place of credentials and moments, and of waits for rate limits."""

from collections.abc import Mapping
from typing import Final

_KEPT: Final = "credentials_kept_"
_DONE: Final = (
    ("credentials_given_by_the_candidate", "given by this daemon"),
    ("tokens_minted", "minted with the recorded claims"),
    ("tokens_aged", "signed again to be as old as they were"),
    ("api_keys_renewed", "made afresh for their rows"),
    ("logins_with_the_cells_password", "logins with the cell's password"),
)


def carried_lines(counts: Mapping[str, object]) -> list[str]:
    """Say it from the counts of an observed archive; nothing where nothing was done."""
    numbers = {name: count for name, count in counts.items() if isinstance(count, int) and count}
    done = [f"{numbers[name]:,} {words}" for name, words in _DONE if name in numbers]
    bad = [f"{count:,} {name.removeprefix(_KEPT)}" for name, count in sorted(numbers.items()) if name.startswith(_KEPT)]
    if bad:
        done.append(f"kept bad: {', '.join(bad)}")
    sent = numbers.get("recorded_credentials_sent", 0)
    lines = [f"credentials: {' · '.join([*done, f'recorded ones sent: {sent:,}'])}"] if done or sent else []
    if "rate_limit_waits" in numbers:
        lines.append(f"rate limits: {numbers['rate_limit_waits']:,} waits until what the recording had in another window did not count any more")
    if "key_end_waits" in numbers:
        lines.append(f"ends of API keys: {numbers['key_end_waits']:,} waits for an end that had come when the recorded request was made")
    if "dates_shifted" in numbers:
        lines.append(f"dates: {numbers['dates_shifted']:,} moments in requests moved to the replay's time; the exchanges say which")
    return lines

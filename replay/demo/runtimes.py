"""Which of the pair a daemon is: the name, how it writes times and JSON, and whether a known difference applies."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from replay.demo.differences import DIFFERENCES

type RuntimeName = Literal["js", "rust"]
NAMES: Final[tuple[str, ...]] = get_args(RuntimeName.__value__)
VERSION: Final = "0.145.7"


@dataclass(frozen=True, slots=True)
class Runtime:
    """One of the pair."""

    name: RuntimeName

    def differs(self, name: str) -> bool:
        """Say whether the difference of that name applies. An unknown name is a bug and raises `KeyError`."""
        return DIFFERENCES[name] is not None and self.name == "rust"

    def time_text(self, now_ns: int) -> str:
        """Write a time, nanoseconds since the epoch, as this runtime does."""
        seconds, fraction_ns = divmod(now_ns, 1_000_000_000)
        head = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        if self.differs("time-format"):
            return f"{head}.{fraction_ns:09d}+00:00"
        return f"{head}.{fraction_ns // 1_000_000:03d}Z"

    def now(self) -> str:
        """Write the present time."""
        return self.time_text(time.time_ns())

    def dump(self, value: Any) -> str:
        """Write JSON: compact, keys as they came (`js`) or sorted, as serde's maps are (`rust`)."""
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=self.name == "rust")

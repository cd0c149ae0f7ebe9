"""The two clocks: one that never steps and runs the schedule, one that people and Solomon read."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

_LOOKS = 5


def boot_ns() -> int:
    """Nanoseconds since boot, with the time in suspend: a clock that never steps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def utc_now() -> datetime:
    """The time of day, which may be set at any moment."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clocks:
    """What the loop reads the time from; tests pass others in."""

    boot_ns: Callable[[], int] = boot_ns
    now: Callable[[], datetime] = utc_now

    def epoch_offset_ns(self) -> int:
        """Unix time minus the clock that never steps; of several looks the one that nobody interrupted."""
        looks = []
        for _ in range(_LOOKS):
            before_ns = self.boot_ns()
            unix_ns = round(self.now().timestamp() * 1e9)
            looks.append((self.boot_ns() - before_ns, unix_ns - before_ns))
        return min(looks)[1]

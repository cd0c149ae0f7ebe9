"""The two clocks: one that never steps and runs the schedule, one that people and Solomon read."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


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

"""Whether this host was too busy to judge a target: *decide*; the kernel's figures come in as text."""

import re
from collections import deque
from collections.abc import Callable
from pathlib import Path

SAMPLE_NS = 1_000_000_000
_KEPT_SAMPLES = 120
# A program that starts a second late, or waits for a processor nearly all the time, says nothing about its target.
STARVED_LAG_SECONDS = 1.0
STARVED_SHARE = 0.95
_TOTAL = re.compile(r"some .*total=(\d+)")


def cpu_pressure() -> str:
    """The kernel's figures; empty where there are none (before 4.20, or switched off)."""
    try:
        return Path("/proc/pressure/cpu").read_text()
    except OSError:
        return ""


class CpuPressure:
    """The share of time in which somebody on this host waited for a processor."""

    def __init__(self, read: Callable[[], str] = cpu_pressure) -> None:
        self._read = read
        # (moment, microseconds of waiting so far)
        self._samples: deque[tuple[int, int]] = deque(maxlen=_KEPT_SAMPLES)

    def sample(self, now_ns: int) -> None:
        """Take note of the figures, at most once a second."""
        if not self._samples or now_ns - self._samples[-1][0] >= SAMPLE_NS:
            self._take(now_ns)

    def share_since(self, since_ns: int, now_ns: int) -> float:
        """From 0 to 1; 0 if the time is too short to tell."""
        if now_ns - since_ns < SAMPLE_NS:
            return 0.0
        self._take(now_ns)
        before = [sample for sample in self._samples if sample[0] <= since_ns]
        if not before or len(self._samples) < 2:
            return 0.0
        (begin_ns, begin_us), (end_ns, end_us) = before[-1], self._samples[-1]
        return (end_us - begin_us) * 1000 / (end_ns - begin_ns) if end_ns > begin_ns else 0.0

    def _take(self, now_ns: int) -> None:
        if found := _TOTAL.search(self._read()):
            self._samples.append((now_ns, int(found[1])))


def is_starved(*, start_lag_seconds: float, waiting_share: float) -> bool:
    """Whether the host was too busy to judge."""
    return start_lag_seconds >= STARVED_LAG_SECONDS or waiting_share >= STARVED_SHARE

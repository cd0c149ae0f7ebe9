"""What a benchmark gives, and how it measures time."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One row: our time beside the floor's, both in milliseconds of CPU per repetition."""

    what: str
    floor: str
    floor_milliseconds: float
    our_milliseconds: float

    @property
    def ratio(self) -> float:
        """How many times the floor we cost."""
        return self.our_milliseconds / self.floor_milliseconds


@dataclass(frozen=True)
class RateMeasurement:
    """One row of a server under load: answers per second, the floor's beside ours; CPU in cores, floor and ours.

    Per core: answers per second of the server's CPU time, which other work on the machine disturbs least.
    """

    what: str
    floor: str
    floor_rate: float
    our_rate: float
    floor_rate_per_core: float
    our_rate_per_core: float
    server_cpu: tuple[float, float]
    generator: str
    generator_cpu: tuple[float, float]
    notes: str = ""

    @property
    def ratio(self) -> float:
        """Our rate per core as a share of the floor's."""
        return self.our_rate_per_core / self.floor_rate_per_core


@dataclass(frozen=True)
class WallMeasurement:
    """One row of what people wait for: the floor's seconds of wall time beside ours."""

    what: str
    floor: str
    floor_seconds: float
    our_seconds: float
    notes: str = ""

    @property
    def ratio(self) -> float:
        """How many times the floor we take."""
        return self.our_seconds / self.floor_seconds


def best_cpu_milliseconds(action: Callable[[], object], *, repetitions: int = 7) -> float:
    """CPU time of the fastest repetition: the one that the rest of the machine disturbed least."""
    times = []
    for _ in range(repetitions):
        started = time.process_time()
        action()
        times.append(time.process_time() - started)
    return min(times) * 1000

"""Show: what this Creator tells Prometheus and Solomon about itself."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from common.solomon.points import Histogram as Buckets
from common.solomon.points import Kind, Point
from creator.lanes import Lane

PREFIX = "mr_prober_creator_"
# 1-2-5 from a second to half a day: terraform is slow, people are slower.
_BOUNDS = tuple(float(digit * 10**power) for power in range(5) for digit in (1, 2, 5))


@dataclass(frozen=True)
class Figures:
    """What the loop saw in its last pass."""

    waiting: Mapping[Lane, int] = field(default_factory=dict)
    running: int = 0
    oldest_plan_at: datetime | None = None
    plans_too_old: int = 0


class Metrics:
    """Figures of one Creator; may be used by several threads."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.figures = Figures()
        self._clock = clock
        self._registry = CollectorRegistry()
        self._convergence = Histogram(
            f"{PREFIX}convergence_seconds",
            "seconds from a change by people to the end of the deployment that brought it",
            buckets=_BOUNDS,
            registry=self._registry,
        )
        self._failures = Counter(
            f"{PREFIX}failures",
            "deployments that failed, by the step that did, and mishaps of Creator's own",
            ["reason"],
            registry=self._registry,
        )
        self._registry.register(_Gauges(self._gauges))

    def converged(self, seconds: float) -> None:
        """A change by people has been applied."""
        self._convergence.observe(seconds)

    def failed(self, reason: str) -> None:
        """A deployment or a turn went wrong."""
        self._failures.labels(reason).inc()

    def text(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)

    def points(self) -> Iterator[Point]:
        """All of it as Solomon takes it."""
        for gauge in self._gauges():
            for sample in gauge.samples:
                yield Point(sample.name, Kind.GAUGE, sample.value, sample.labels)
        for sample in _samples(self._failures, "_total"):
            yield Point(f"{PREFIX}failures", Kind.RATE, sample.value, sample.labels)
        cumulative = [int(sample.value) for sample in _samples(self._convergence, "_bucket")]
        counts = [b - a for a, b in zip([0, *cumulative], cumulative, strict=False)]
        buckets = Buckets(_BOUNDS, tuple(counts[:-1]), counts[-1])
        yield Point(f"{PREFIX}convergence_seconds", Kind.HIST_RATE, buckets)

    def serve(self, port: int) -> tuple[WSGIServer, threading.Thread]:
        """Answer `/metrics` on loopback; OSError if the port is taken."""
        return start_http_server(port, addr="127.0.0.1", registry=self._registry)

    def _gauges(self) -> Iterator[GaugeMetricFamily]:
        figures = self.figures
        waiting = GaugeMetricFamily(
            f"{PREFIX}waiting", "clusters that wait for a worker, by lane", labels=["lane"]
        )
        for lane in Lane:
            waiting.add_metric([lane.value], figures.waiting.get(lane, 0))
        yield waiting
        yield _gauge("steps_running", "clusters that are being worked on", figures.running)
        oldest = figures.oldest_plan_at
        age = (self._clock() - oldest).total_seconds() if oldest else 0.0
        yield _gauge("plan_age_seconds", "age of the oldest last plan of a cluster", age)
        yield _gauge("plans_too_old", "clusters not planned for too long", figures.plans_too_old)


class _Gauges(Collector):
    def __init__(self, gauges: Callable[[], Iterable[GaugeMetricFamily]]) -> None:
        self._collected = gauges

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._collected()


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", meaning, value=value)


def _samples(metric: Counter | Histogram, suffix: str) -> Iterator[Sample]:
    for family in metric.collect():
        yield from (sample for sample in family.samples if sample.name.endswith(suffix))

"""Show: what meeseeks tells Prometheus and Solomon about its own rounds."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
    start_http_server,
)

from common.atomic_files import write_atomically
from common.solomon.points import Kind, Point
from tools.meeseeks.errors import MetricsError
from tools.meeseeks.rounds import Outcome, Round

PREFIX = "mr_prober_meeseeks_"
# Anybody on the machine may read numbers, and the exporter of text files runs as somebody else.
_FILE_MODE = 0o644
_GOOD = frozenset({Outcome.UNCHANGED, Outcome.APPLIED, Outcome.PLANNED})


class Metrics:
    """Figures of one process; may be read by several threads."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        self._rounds = Counter(
            f"{PREFIX}rounds", "rounds by what they came to", ["outcome"], registry=self._registry
        )
        for outcome in Outcome:
            self._rounds.labels(outcome.value)  # a series that starts at 0 shows its first step
        self._gauges: dict[str, Gauge] = {}
        for name, meaning in {
            "listed_nodes": "nodes that the Compute Admin API listed",
            "wanted_nodes": "nodes that the variable shall hold",
            "known_nodes": "nodes that the variable held before",
            "doubts": "doubts about the list and what it would change, forced or not",
            "round_seconds": "how long the last round took",
            "last_success_timestamp_seconds": "when a round last compared both sides, Unix time",
            "repeated_calls": "calls to the Compute Admin API that were asked again",
        }.items():
            self._gauges[name] = Gauge(f"{PREFIX}{name}", meaning, registry=self._registry)
        self._differences = Gauge(
            f"{PREFIX}differences", "nodes that differed", ["kind"], registry=self._registry
        )

    def record(self, done: Round, *, repeated: int = 0) -> None:
        """Count a round; `repeated` counts calls since the start."""
        self._rounds.labels(done.outcome.value).inc()
        self._gauges["round_seconds"].set(done.seconds)
        self._gauges["repeated_calls"].set(repeated)
        if done.outcome in _GOOD:
            moment = self._clock().timestamp()
            self._gauges["last_success_timestamp_seconds"].set(moment)
        if done.plan is None:
            return
        plan = done.plan
        self._gauges["listed_nodes"].set(plan.listed)
        self._gauges["wanted_nodes"].set(len(plan.wanted))
        self._gauges["known_nodes"].set(plan.known)
        self._gauges["doubts"].set(len(plan.refusals) + len(plan.notes))
        for kind in ("added", "removed", "changed"):
            self._differences.labels(kind).set(len(getattr(plan.difference, kind)))

    def text(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)

    def points(self) -> Iterator[Point]:
        """All of it as Solomon takes it."""
        for family in self._registry.collect():
            for sample in family.samples:
                if sample.name.endswith("_created"):
                    continue
                is_counter = family.type == "counter"
                name = sample.name.removesuffix("_total") if is_counter else sample.name
                kind = Kind.RATE if is_counter else Kind.GAUGE
                yield Point(name, kind, sample.value, sample.labels)

    def serve(self, port: int) -> int:
        """Answer `/metrics` on loopback, on which port; MetricsError."""
        try:
            server, _ = start_http_server(port, addr="127.0.0.1", registry=self._registry)
        except OSError as error:
            raise MetricsError(
                f"metrics cannot be shown on 127.0.0.1:{port}: {error.strerror or error}"
            ) from error
        return server.server_port

    def write(self, path: Path) -> None:
        """Replace the file, which the exporter of text files reads; MetricsError."""
        try:
            write_atomically(path, self.text(), mode=_FILE_MODE)
        except OSError as error:
            raise MetricsError(
                f"metrics cannot be written to {path}: {error.strerror or error}"
            ) from error

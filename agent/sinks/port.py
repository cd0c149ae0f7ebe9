"""The port `MetricSink`, the one that does nothing, and several as one."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from common.solomon.points import Point


@dataclass(frozen=True)
class Batch:
    """The points of one cell of the 15 s grid."""

    at: datetime
    points: Sequence[Point]
    common_labels: Mapping[str, str]
    # Grows with each cell, also over restarts.
    number: int = 0
    # To be called once, as soon as the batch would outlast the process; then what it counts is nobody else's to count.
    on_kept: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class SinkFigures:
    """What a sink says about itself: points lost since the start by reason, and what waits on disk."""

    dropped: Mapping[str, int] = field(default_factory=dict)
    spool_bytes: int = 0
    spool_age_seconds: float = 0.0  # of the oldest point


class MetricSink(Protocol):
    """Takes batches of points."""

    def start(self) -> None:
        """Begin to send."""

    def accept(self, batch: Batch) -> None:
        """Take a batch; never blocks and never fails, what cannot be kept is counted."""

    def figures(self) -> SinkFigures:
        """What there is to say now; from any thread."""

    def close(self, *, time_limit_seconds: float) -> None:
        """Send what is left, as far as the time limit permits."""


class SeveralSinks:
    """Gives every batch to each of its sinks; none at all is fine, too."""

    def __init__(self, sinks: Sequence[MetricSink]) -> None:
        self._sinks = sinks

    def start(self) -> None:
        """See `MetricSink`."""
        for sink in self._sinks:
            sink.start()

    def accept(self, batch: Batch) -> None:
        """See `MetricSink`."""
        if not self._sinks:
            batch.on_kept()
        for sink in self._sinks:
            sink.accept(batch)
            # The first one is the one that keeps it, if any does.
            batch = replace(batch, on_kept=lambda: None)

    def figures(self) -> SinkFigures:
        """See `MetricSink`; counts are added up."""
        each = [sink.figures() for sink in self._sinks]
        dropped: Counter[str] = Counter()
        for figures in each:
            dropped.update(figures.dropped)
        return SinkFigures(
            dropped=dict(dropped),
            spool_bytes=sum(figures.spool_bytes for figures in each),
            spool_age_seconds=max((figures.spool_age_seconds for figures in each), default=0.0),
        )

    def close(self, *, time_limit_seconds: float) -> None:
        """See `MetricSink`; one after the other, so only one of them may take its time."""
        for sink in self._sinks:
            sink.close(time_limit_seconds=time_limit_seconds)

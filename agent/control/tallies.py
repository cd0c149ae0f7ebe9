"""Counters and points as the control socket shows them. Pure."""

from collections import Counter
from collections.abc import Iterable

from agent.metrics import Tally
from common.contracts.control import MetricPoint, RunFigures
from common.contracts.states import Outcome, SkipReason
from common.solomon.points import Histogram, Point


def figures_of(tallies: Iterable[Tally]) -> RunFigures:
    """The sums."""
    runs: Counter[Outcome] = Counter()
    skipped: Counter[SkipReason] = Counter()
    starved, run_seconds, cpu_seconds = 0, 0.0, 0.0
    for tally in tallies:
        runs.update(tally.runs)
        skipped.update(tally.skipped)
        starved += tally.starved
        run_seconds += tally.run_seconds
        cpu_seconds += tally.cpu_seconds
    return RunFigures(
        runs=dict(+runs), skipped=dict(+skipped), starved=starved,
        run_seconds=run_seconds, cpu_seconds=cpu_seconds,
    )  # fmt: skip


def metric_point(point: Point) -> MetricPoint:
    """One series."""
    value = point.value
    if isinstance(value, Histogram):
        return MetricPoint(
            name=point.name, kind=point.kind.value, labels=dict(point.labels),
            bounds=list(value.bounds), buckets=list(value.buckets), above=value.above,
        )  # fmt: skip
    return MetricPoint(
        name=point.name, kind=point.kind.value, labels=dict(point.labels), value=float(value)
    )

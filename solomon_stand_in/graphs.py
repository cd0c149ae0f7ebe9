"""Points of a series → numbers to look at → the path of a small SVG line. Pure."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

from solomon_stand_in.metric_values import MetricType, Value
from solomon_stand_in.metrics import Point

WIDTH = 240
HEIGHT = 32

# What only grows is shown as its growth per second, as Solomon shows it.
_GROWING = (MetricType.COUNTER, MetricType.RATE, MetricType.HIST_RATE)

Curve = list[tuple[int, float]]  # (milliseconds, number), both finite


def curve_of(metric_type: MetricType, points: Sequence[Point]) -> Curve:
    """One finite number per moment: the value, a total for histograms, the growth for what only grows."""
    curve = [(point.milliseconds, _number(metric_type, point.value)) for point in points]
    if metric_type in _GROWING:
        # A smaller value than before is a restart of the sender: no growth is known.
        curve = [
            (after[0], (after[1] - before[1]) * 1000 / (after[0] - before[0]))
            for before, after in itertools.pairwise(curve)
            if after[1] >= before[1]
        ]
    return [(moment, number) for moment, number in curve if math.isfinite(number)]


def line_of(curve: Curve) -> str:
    """The attribute `points` of an SVG polyline within WIDTH x HEIGHT; empty without points."""
    if not curve:
        return ""
    moments = [moment for moment, _ in curve]
    numbers = [number for _, number in curve]
    return " ".join(
        f"{_scaled(moment, min(moments), max(moments), WIDTH):.1f},"
        f"{HEIGHT - 2 - _scaled(number, min(numbers), max(numbers), HEIGHT - 4):.1f}"
        for moment, number in curve
    )


def _scaled(number: float, low: float, high: float, size: int) -> float:
    # Each is halved before the difference: two huge doubles apart are more than a double holds.
    span = high / 2 - low / 2
    return size / 2 if span == 0 else size * ((number / 2 - low / 2) / span)


def _number(metric_type: MetricType, value: Value) -> float:
    if isinstance(value, Mapping):
        return _TOTALS[metric_type](value)
    return float(value)


def _histogram_total(value: Mapping[str, object]) -> float:
    buckets, beyond = value["buckets"], value["inf"]
    return _sum(buckets) + _sum([beyond])


def _log_histogram_total(value: Mapping[str, object]) -> float:
    return _sum(value["buckets"]) + _sum([value["zeros_count"]])


def _sum(numbers: object) -> float:
    if not isinstance(numbers, list):
        return math.nan
    return sum(float(number) for number in numbers)


_TOTALS: dict[MetricType, Callable[[Mapping[str, object]], float]] = {
    MetricType.HIST: _histogram_total,
    MetricType.HIST_RATE: _histogram_total,
    MetricType.LOGHIST: _log_histogram_total,
    MetricType.DSUMMARY: lambda value: _sum([value["last"]]),
}

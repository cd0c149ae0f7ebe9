"""What a push carries, whatever its dialect: series with their points. Plain values."""

from dataclasses import dataclass

from solomon_stand_in.labels import Labels
from solomon_stand_in.metric_values import MetricType, Value

MAX_METRICS_IN_REQUEST = 10_000


@dataclass(frozen=True)
class Shard:
    """The container of series: access, settings and limits belong to it."""

    project: str
    cluster: str
    service: str


@dataclass(frozen=True)
class Point:
    """A value at a moment (milliseconds since the epoch)."""

    milliseconds: int
    value: Value


@dataclass(frozen=True)
class Metric:
    """Points of one series; the labels are sorted and do not hold those of the shard."""

    type: MetricType
    labels: Labels
    points: tuple[Point, ...]

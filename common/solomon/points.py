"""Points as values, the same for every dialect and for the scrape."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

_NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Kind(StrEnum):
    """How Solomon stores a series."""

    GAUGE = "GAUGE"
    IGAUGE = "IGAUGE"  # an integer
    RATE = "RATE"  # a growing integer, shown per second
    HIST_RATE = "HIST_RATE"  # growing integers, one per bucket


class Histogram(NamedTuple):
    """Counts per bucket, not cumulative over buckets; `above` is the count over the last bound, `total` the sum of all values."""

    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    above: int
    total: float = 0.0


class Point(NamedTuple):
    """The value of one series at the time of its batch; RATE and HIST_RATE only grow since the sender's start."""

    name: str
    kind: Kind
    value: float | Histogram
    labels: Mapping[str, str] = _NO_LABELS

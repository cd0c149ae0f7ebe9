"""The classic dialect: `POST /api/v2/push?project=…&cluster=…&service=…`. Pure.

JSON: `ts` in Unix seconds, `commonLabels`, `sensors`; growing counters go as they are (RATE, HIST_RATE), so a lost push loses nothing.
Project, cluster and service are in the address only, Solomon refuses them as labels.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from common.solomon.encoder import Value, Writer
from common.solomon.labels import as_json, safe_labels, safe_value
from common.solomon.points import Histogram, Kind, Point

INTEGER_BOUND = 2**63


class ClassicDialect:
    """See `common.solomon.encoder.Dialect`."""

    def head(self, at: datetime, common_labels: Mapping[str, str]) -> str:
        """See `Dialect`."""
        labels = as_json(safe_labels(common_labels))
        return f'{{"ts":{int(at.timestamp())},"commonLabels":{labels},"sensors":['

    def writer(self, point: Point) -> Writer:
        """See `Dialect`."""
        labels = as_json({"name": safe_value(point.name), **safe_labels(point.labels)})
        return _WRITERS[point.kind](f'{{"kind":"{point.kind.value}","labels":{labels},')


def _gauge(prefix: str) -> Writer:
    prefix += '"value":'

    def write(value: Value) -> Sequence[str] | None:
        if isinstance(value, Histogram) or not math.isfinite(value):
            return None
        return (f"{prefix}{float(value)!r}}}",)

    return write


def _integer(prefix: str, *, lowest: int) -> Writer:
    prefix += '"value":'

    def write(value: Value) -> Sequence[str] | None:
        # A comparison with NaN is false.
        if isinstance(value, Histogram) or not lowest <= value < INTEGER_BOUND:
            return None
        return (f"{prefix}{int(value)}}}",)

    return write


def _histogram(prefix: str) -> Writer:
    def write(value: Value) -> Sequence[str] | None:
        if not isinstance(value, Histogram) or not all(map(math.isfinite, value.bounds)):
            return None
        bounds = ",".join(map(repr, value.bounds))
        buckets = ",".join(map(str, value.buckets))
        return (
            f'{prefix}"hist":{{"bounds":[{bounds}],"buckets":[{buckets}],"inf":{value.above}}}}}',
        )

    return write


_WRITERS = {
    Kind.GAUGE: _gauge,
    Kind.IGAUGE: lambda prefix: _integer(prefix, lowest=-INTEGER_BOUND + 1),
    Kind.RATE: lambda prefix: _integer(prefix, lowest=0),
    Kind.HIST_RATE: _histogram,
}

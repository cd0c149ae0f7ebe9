"""The cloud dialect (Yandex Monitoring): `POST /monitoring/v2/data/write?folderId=…&service=custom`. Pure.

JSON: `ts` in RFC 3339, `labels`, `metrics` with a `name` each; neither rates that every reader understands nor histograms.
So a growing counter becomes its growth in the cell (IGAUGE), a histogram one such series per bucket, told apart by the label `bin`.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from common.solomon.classic import INTEGER_BOUND
from common.solomon.encoder import Value, Writer
from common.solomon.labels import as_json, safe_labels, safe_value
from common.solomon.points import Histogram, Kind, Point


class CloudDialect:
    """See `common.solomon.encoder.Dialect`."""

    def head(self, at: datetime, common_labels: Mapping[str, str]) -> str:
        """See `Dialect`."""
        moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f'{{"ts":"{moment}","labels":{as_json(safe_labels(common_labels))},"metrics":['

    def writer(self, point: Point) -> Writer:
        """See `Dialect`."""
        return _WRITERS[point.kind](point)


def bin_text(bound: float) -> str:
    """A bucket's upper bound as the label `bin`: seconds as text, `inf` above the last one."""
    return "inf" if math.isinf(bound) else f"{bound:g}"


def _gauge(point: Point) -> Writer:
    prefix = _prefix(point, "DGAUGE")

    def write(value: Value) -> Sequence[str] | None:
        if isinstance(value, Histogram) or not math.isfinite(value):
            return None
        return (f"{prefix}{float(value)!r}}}",)

    return write


def _integer(point: Point) -> Writer:
    prefix = _prefix(point, "IGAUGE")

    def write(value: Value) -> Sequence[str] | None:
        if isinstance(value, Histogram) or not -INTEGER_BOUND < value < INTEGER_BOUND:
            return None
        return (f"{prefix}{int(value)}}}",)

    return write


def _growth(point: Point) -> Writer:
    prefix = _prefix(point, "IGAUGE")
    growth = _Growth()

    def write(value: Value) -> Sequence[str] | None:
        if isinstance(value, Histogram) or not 0 <= value < INTEGER_BOUND:
            return None
        return (f"{prefix}{growth.of(int(value))}}}",)

    return write


def _growth_per_bucket(point: Point) -> Writer:
    buckets: dict[float, tuple[str, _Growth]] = {}

    def metrics(histogram: Histogram) -> Iterator[str]:
        bounds = (*histogram.bounds, math.inf)
        for bound, count in zip(bounds, (*histogram.buckets, histogram.above), strict=True):
            if bound not in buckets:
                # A series for every bucket that was ever hit, and no other: most never are.
                if not count:
                    continue
                labels = {**point.labels, "bin": bin_text(bound)}
                prefix = _prefix(Point(point.name, point.kind, 0, labels), "IGAUGE")
                buckets[bound] = prefix, _Growth()
            prefix, growth = buckets[bound]
            yield f"{prefix}{growth.of(count)}}}"

    def write(value: Value) -> Sequence[str] | None:
        return tuple(metrics(value)) if isinstance(value, Histogram) else None

    return write


class _Growth:
    """How much a counter grew since it was looked at last; one that fell began anew at zero."""

    def __init__(self) -> None:
        self._before = 0

    def of(self, value: int) -> int:
        before, self._before = self._before, value
        return value - before if value >= before else value


def _prefix(point: Point, kind: str) -> str:
    name = as_json(safe_value(point.name))
    labels = as_json(safe_labels(point.labels))
    return f'{{"name":{name},"labels":{labels},"type":"{kind}","value":'


_WRITERS: Mapping[Kind, Callable[[Point], Writer]] = {
    Kind.GAUGE: _gauge,
    Kind.IGAUGE: _integer,
    Kind.RATE: _growth,
    Kind.HIST_RATE: _growth_per_bucket,
}

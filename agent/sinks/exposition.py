"""Points → families of metrics as the official library writes them for Prometheus. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from agent.metric_help import HELP
from common.solomon.points import Histogram, Kind, Point

_PRINTED_HELP = "Printed by a prober."
_TYPES = {
    Kind.GAUGE: "gauge",
    Kind.IGAUGE: "gauge",
    Kind.RATE: "counter",
    Kind.HIST_RATE: "histogram",
}
# What samples of a family may be called: its name and one of these.
_SUFFIXES: Mapping[str, Sequence[str]] = {
    "gauge": ("",),
    "counter": ("", "_total", "_created"),
    "histogram": ("", "_bucket", "_sum", "_count", "_created"),
}


def exposition(families: Sequence[Metric], accept: str) -> tuple[bytes, str]:
    """The whole text in the format that an `Accept` header asks for, and its content type."""
    encoder, content_type = choose_encoder(accept)
    return encoder(_Families(families)), content_type


def families_of(
    points: Iterable[Point], common_labels: Mapping[str, str]
) -> tuple[list[Metric], int]:
    """The families, and how many points clash: two of one name and labels, or a name with two types."""
    sorting = _Sorting(common_labels)
    for point in points:
        sorting.add(point)
    return list(sorting.families.values()), sorting.clashes


class _Families(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


class _Sorting:
    def __init__(self, common_labels: Mapping[str, str]) -> None:
        self.families: dict[str, Metric] = {}
        self.clashes = 0
        self._common_labels = common_labels
        self._owners: set[str] = set()  # every name that a sample of some family may have
        self._seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()

    def add(self, point: Point) -> None:
        kind = _TYPES[point.kind]
        name = point.name.removesuffix("_total") if kind == "counter" else point.name
        family = self.families.get(name) or self._new_family(name, kind)
        labels = {**point.labels, **self._common_labels}
        key = name, tuple(sorted(labels.items()))
        if family is None or family.type != kind or key in self._seen:
            self.clashes += 1
            return
        self._seen.add(key)
        for suffix, more_labels, value in _samples(point):
            family.add_sample(f"{name}{suffix}", {**labels, **more_labels}, value)

    def _new_family(self, name: str, kind: str) -> Metric | None:
        names = {name + suffix for suffix in _SUFFIXES[kind]}
        if not names.isdisjoint(self._owners):
            return None
        self._owners |= names
        family = self.families[name] = Metric(name, HELP.get(name, _PRINTED_HELP), kind)
        return family


def _samples(point: Point) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """Suffix of the name, labels and value of each."""
    value = point.value
    if not isinstance(value, Histogram):
        yield ("_total" if point.kind is Kind.RATE else ""), {}, value
        return
    count = 0
    for bound, bucket in zip(value.bounds, value.buckets, strict=True):
        count += bucket
        yield "_bucket", {"le": repr(float(bound))}, count
    count += value.above
    yield "_bucket", {"le": "+Inf"}, count
    yield "_count", {}, count
    yield "_sum", {}, value.total

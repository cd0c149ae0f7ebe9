"""Points → the text that Prometheus reads, in both of its formats. Pure.

`text/plain; version=0.0.4` and OpenMetrics 1.0.0 differ in the names of counters' families and in the last line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from agent.metric_help import HELP
from common.solomon.points import Histogram, Kind, Point

_UNESCAPED = re.compile(r'[\\"\n]')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
_PRINTED_HELP = "Printed by a prober."

Labels = tuple[tuple[str, str], ...]


class Format(Enum):
    """The formats by their content types."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class FamilyType(Enum):
    """The types by the words of the TYPE line."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


# What samples of a family may be called: its name and one of these.
_SUFFIXES: Mapping[FamilyType, Sequence[str]] = {
    FamilyType.GAUGE: ("",),
    FamilyType.COUNTER: ("", "_total", "_created"),
    FamilyType.HISTOGRAM: ("", "_bucket", "_sum", "_count", "_created"),
}
_TYPES = {
    Kind.GAUGE: FamilyType.GAUGE,
    Kind.IGAUGE: FamilyType.GAUGE,
    Kind.RATE: FamilyType.COUNTER,
    Kind.HIST_RATE: FamilyType.HISTOGRAM,
}


@dataclass
class Family:
    """All series of one name."""

    name: str
    type: FamilyType
    series: dict[Labels, float | Histogram] = field(default_factory=dict)


def format_for(accept: str) -> Format:
    """The format for an `Accept` header: OpenMetrics for who names it, the older one for everybody else."""
    return Format.OPEN_METRICS if "application/openmetrics-text" in accept else Format.TEXT


def families_of(
    points: Iterable[Point], common_labels: Mapping[str, str]
) -> tuple[list[Family], int]:
    """The families, and how many points clash: two of one name and labels, or a name with two types."""
    families: dict[str, Family] = {}
    owners: dict[str, str] = {}  # of each name that a sample may have
    clashes = 0
    for point in points:
        family_type = _TYPES[point.kind]
        name = point.name
        if family_type is FamilyType.COUNTER:
            name = name.removesuffix("_total")
        family = families.get(name)
        if family is None:
            names = [name + suffix for suffix in _SUFFIXES[family_type]]
            if any(taken in owners for taken in names):
                clashes += 1
                continue
            owners |= dict.fromkeys(names, name)
            family = families[name] = Family(name, family_type)
        labels = tuple(sorted({**point.labels, **common_labels}.items()))
        if family.type is not family_type or labels in family.series:
            clashes += 1
        else:
            family.series[labels] = point.value
    return list(families.values()), clashes


def exposition(families: Iterable[Family], form: Format) -> str:
    """The whole text."""
    lines = [line for family in families for line in _family_lines(family, form)]
    if form is Format.OPEN_METRICS:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines)


def _family_lines(family: Family, form: Format) -> Iterator[str]:
    name = family.name
    if family.type is FamilyType.COUNTER and form is Format.TEXT:
        name += "_total"
    yield f"# HELP {name} {HELP.get(family.name, _PRINTED_HELP)}"
    yield f"# TYPE {name} {family.type.value}"
    suffix = "_total" if family.type is FamilyType.COUNTER else ""
    for labels, value in family.series.items():
        if isinstance(value, Histogram):
            yield from _histogram_lines(family.name, labels, value)
        else:
            yield f"{family.name}{suffix}{_label_text(labels)} {_number(value)}"


def _histogram_lines(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    count = 0
    for bound, bucket in zip(histogram.bounds, histogram.buckets, strict=True):
        count += bucket
        yield f"{name}_bucket{_label_text((*labels, ('le', repr(float(bound)))))} {count}"
    count += histogram.above
    yield f"{name}_bucket{_label_text((*labels, ('le', '+Inf')))} {count}"
    yield f"{name}_count{_label_text(labels)} {count}"
    yield f"{name}_sum{_label_text(labels)} {_number(histogram.total)}"


def _label_text(labels: Labels) -> str:
    pairs = (f'{name}="{_UNESCAPED.sub(_escape, value)}"' for name, value in labels)
    return f"{{{','.join(pairs)}}}"


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES[match[0]]


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, int) else repr(value)

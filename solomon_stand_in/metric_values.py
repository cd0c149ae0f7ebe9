"""Types of metrics and their values: numbers, histograms, summaries, logarithmic histograms. Pure."""

import itertools
from collections.abc import Callable, Mapping
from enum import StrEnum

from solomon_stand_in.json_nodes import Node

MAX_UINT64 = 2**64 - 1
MAX_INT64 = 2**63 - 1
MAX_LOG_HISTOGRAM_BUCKETS = 100

# A number, or the fields of a histogram or summary; what the store writes as JSON.
Value = int | float | Mapping[str, object]


class MetricType(StrEnum):
    """The types by the names under which we keep them."""

    GAUGE = "GAUGE"
    COUNTER = "COUNTER"
    RATE = "RATE"
    IGAUGE = "IGAUGE"
    HIST = "HIST"
    HIST_RATE = "HIST_RATE"
    DSUMMARY = "DSUMMARY"
    LOGHIST = "LOGHIST"


_ALIASES = {"DGAUGE": MetricType.GAUGE}


def metric_type_of(node: Node) -> MetricType:
    """The type that a text names."""
    text = node.text(of="metric type")
    try:
        return _ALIASES.get(text) or MetricType(text)
    except ValueError as error:
        raise node.error("unknown metric type") from error


def value_key_of(metric_type: MetricType) -> str:
    """The key under which a point of this type carries its value."""
    return _VALUES[metric_type][0]


def value_of(node: Node, metric_type: MetricType) -> Value:
    """The value of a point of this type; BodyError if it does not fit the type."""
    return _VALUES[metric_type][1](node)


def _double(node: Node) -> Value:
    return node.number(of="value")


def _unsigned(node: Node) -> Value:
    return node.integer(of="value of a COUNTER or RATE", minimum=0, maximum=MAX_UINT64)


def _signed(node: Node) -> Value:
    return node.integer(of="value of an IGAUGE", minimum=-MAX_INT64 - 1, maximum=MAX_INT64)


def _histogram(node: Node) -> Value:
    fields = node.fields(("bounds", "buckets", "inf"), of="histogram")
    if "bounds" not in fields or "buckets" not in fields:
        raise node.error("a histogram needs bounds and buckets")
    bounds = [item.finite_number(of="bound") for item in fields["bounds"].items(of="bounds")]
    buckets = [_count(item) for item in fields["buckets"].items(of="buckets")]
    if len(bounds) != len(buckets):
        raise node.error(f"{len(bounds)} bounds but {len(buckets)} buckets")
    if any(low >= high for low, high in itertools.pairwise(bounds)):
        raise fields["bounds"].error("bounds must be ascending")
    return {
        "bounds": bounds,
        "buckets": buckets,
        "inf": _count(fields["inf"]) if "inf" in fields else 0,
    }


def _summary(node: Node) -> Value:
    doubles = ("sum", "min", "max", "last")
    fields = node.fields((*doubles, "count"), of="summary")
    if missing := {*doubles, "count"} - fields.keys():
        raise node.error(f"a summary needs {', '.join(sorted(missing))}")
    numbers: dict[str, object] = {key: fields[key].number(of=key) for key in doubles}
    return numbers | {"count": _count(fields["count"])}


def _log_histogram(node: Node) -> Value:
    fields = node.fields(("base", "zeros_count", "start_power", "buckets"), of="log_hist")
    if "buckets" not in fields:
        raise node.error("a log_hist needs buckets")
    buckets = [item.finite_number(of="bucket") for item in fields["buckets"].items(of="buckets")]
    if len(buckets) > MAX_LOG_HISTOGRAM_BUCKETS:
        raise fields["buckets"].error(f"more than {MAX_LOG_HISTOGRAM_BUCKETS} buckets")
    if any(bucket <= 0 for bucket in buckets):
        raise fields["buckets"].error("buckets of a log_hist must be positive")
    base = fields["base"].finite_number(of="base") if "base" in fields else 1.5
    if base <= 0:
        raise fields["base"].error("base must be positive")
    return {
        "base": base,
        "zeros_count": _count(fields["zeros_count"]) if "zeros_count" in fields else 0,
        "start_power": (
            fields["start_power"].integer(of="start_power", minimum=-(2**31), maximum=2**31 - 1)
            if "start_power" in fields
            else 0
        ),
        "buckets": buckets,
    }


def _count(node: Node) -> int:
    return node.integer(of="a count", minimum=0, maximum=MAX_UINT64)


_VALUES: dict[MetricType, tuple[str, Callable[[Node], Value]]] = {
    MetricType.GAUGE: ("value", _double),
    MetricType.COUNTER: ("value", _unsigned),
    MetricType.RATE: ("value", _unsigned),
    MetricType.IGAUGE: ("value", _signed),
    MetricType.HIST: ("hist", _histogram),
    MetricType.HIST_RATE: ("hist", _histogram),
    MetricType.DSUMMARY: ("summary", _summary),
    MetricType.LOGHIST: ("log_hist", _log_histogram),
}
VALUE_KEYS = ("value", "hist", "summary", "log_hist")

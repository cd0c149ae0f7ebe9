"""The cloud dialect's JSON body → metrics. Pure: every mistake is a BodyError, one fails the whole body."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from solomon_stand_in.errors import TooMuchError
from solomon_stand_in.json_nodes import Node, parsed
from solomon_stand_in.labels import problem_of_labels, problem_of_name, problem_of_value
from solomon_stand_in.metric_values import MetricType, Value, value_of
from solomon_stand_in.metrics import MAX_METRICS_IN_REQUEST, Metric, Point
from solomon_stand_in.timestamps import FUTURE_LIMIT, milliseconds_of, moment_of

Fields = Mapping[str, Node]

_TYPES = {
    "DGAUGE": MetricType.GAUGE,
    "IGAUGE": MetricType.IGAUGE,
    "COUNTER": MetricType.COUNTER,
    "RATE": MetricType.RATE,
    "GAUGE": MetricType.IGAUGE,  # an older page of the documentation calls the integer one so
}


@dataclass(frozen=True)
class _Common:
    """What the root says for all metrics; `latest` is the newest moment that a point may have."""

    labels: Mapping[str, str]
    milliseconds: int
    latest: int


def metrics_of(body: bytes, *, now: datetime) -> list[Metric]:
    """The metrics of a body in the order in which they come; BodyError, TooMuchError."""
    root = parsed(body)
    fields = root.fields(("ts", "labels", "metrics"), of="root object")
    if "metrics" not in fields:
        raise root.error("no metrics")
    items = fields["metrics"].items(of="metrics")
    if len(items) > MAX_METRICS_IN_REQUEST:
        raise TooMuchError(f"more than {MAX_METRICS_IN_REQUEST} metrics from one URL")
    latest = milliseconds_of(now + FUTURE_LIMIT)
    common = _Common(
        labels=_labels(fields["labels"]) if "labels" in fields else {},
        milliseconds=_milliseconds(fields["ts"], latest)
        if "ts" in fields
        else milliseconds_of(now),
        latest=latest,
    )
    return [_metric(item, common) for item in items]


def _metric(node: Node, common: _Common) -> Metric:
    known = ("name", "labels", "type", "ts", "value", "timeseries")
    fields = node.fields(known, of="metric")
    if "name" not in fields:
        raise node.error("a metric needs a name")
    own = _labels(fields["labels"]) if "labels" in fields else {}
    if twice := own.keys() & common.labels.keys():
        raise node.error(f"label '{min(twice)}' is a common label, too")
    labels = {**common.labels, **own, "name": _label_value(fields["name"])}
    if problem := problem_of_labels(labels):
        raise node.error(problem)
    metric_type = _metric_type(fields)
    return Metric(metric_type, tuple(sorted(labels.items())), _points(node, fields, metric_type, common))  # fmt: skip


def _metric_type(fields: Fields) -> MetricType:
    if "type" not in fields:
        return MetricType.GAUGE
    text = fields["type"].text(of="type")
    if text not in _TYPES:
        raise fields["type"].error(f"expected {', '.join(_TYPES)}; histograms are not taken here")
    return _TYPES[text]


def _labels(node: Node) -> dict[str, str]:
    labels = {}
    for name, value in node.entries(of="labels").items():
        problem = "label name 'name' is reserved" if name == "name" else problem_of_name(name)
        if problem:
            raise value.error(problem)
        labels[name] = _label_value(value)
    return labels


def _label_value(node: Node) -> str:
    value = node.text(of="label value")
    if problem := problem_of_value(value):
        raise node.error(problem)
    return value


def _points(
    node: Node, fields: Fields, metric_type: MetricType, common: _Common
) -> tuple[Point, ...]:
    if ("value" in fields) == ("timeseries" in fields):
        raise node.error("either value or timeseries is needed")
    if "value" in fields:
        own = "ts" in fields
        moment = _milliseconds(fields["ts"], common.latest) if own else common.milliseconds
        return (Point(moment, _value(fields["value"], metric_type)),)
    points = []
    for item in fields["timeseries"].items(of="timeseries"):
        of_point = item.fields(("ts", "value"), of="timeseries")
        if len(of_point) < 2:
            raise item.error("a point of a timeseries needs ts and value")
        moment = _milliseconds(of_point["ts"], common.latest)
        points.append(Point(moment, _value(of_point["value"], metric_type)))
    if not points:
        raise fields["timeseries"].error("timeseries is empty")
    return tuple(points)


def _value(node: Node, metric_type: MetricType) -> Value:
    # Texts like "nan" are the classic dialect's; here nobody says what becomes of them.
    if metric_type is MetricType.GAUGE:
        return node.finite_number(of="value")
    return value_of(node, metric_type)


def _milliseconds(node: Node, latest: int) -> int:
    try:
        milliseconds = milliseconds_of(moment_of(node.text(of="ts")))
    except ValueError as error:
        raise node.error(str(error)) from error
    if not 0 <= milliseconds <= latest:
        raise node.error("ts is before 1970 or more than a day in the future")
    return milliseconds

"""The classic dialect's JSON body → metrics. Pure: every mistake is a BodyError, one fails the whole body."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from solomon_stand_in.errors import TooMuchError
from solomon_stand_in.json_nodes import Node, parsed
from solomon_stand_in.labels import problem_of_labels, problem_of_name, problem_of_value
from solomon_stand_in.metric_values import (
    VALUE_KEYS,
    MetricType,
    Value,
    metric_type_of,
    value_key_of,
    value_of,
)
from solomon_stand_in.metrics import MAX_METRICS_IN_REQUEST, Metric, Point
from solomon_stand_in.timestamps import FUTURE_LIMIT, milliseconds_of, moment_of

Fields = Mapping[str, Node]

_ROOT_KEYS = ("ts", "commonLabels", "labels", "sensors", "metrics")
_METRIC_KEYS = (
    "labels",
    "name",
    "ts",
    "timeseries",
    "kind",
    "type",
    "mode",
    "memOnly",
    *VALUE_KEYS,
)
_POINT_KEYS = ("ts", *VALUE_KEYS)


@dataclass(frozen=True)
class _Common:
    """What the root says for all metrics; `latest` is the newest moment that a point may have."""

    labels: Mapping[str, str]
    milliseconds: int
    latest: int


def metrics_of(body: bytes, *, now: datetime) -> list[Metric]:
    """The metrics of a body in the order in which they come; BodyError, TooMuchError."""
    root = parsed(body)
    fields = root.fields(_ROOT_KEYS, of="root object")
    metrics = _one_of(root, fields, "sensors", "metrics")
    if metrics is None:
        raise root.error("neither sensors nor metrics")
    items = metrics.items(of="sensors")
    if len(items) > MAX_METRICS_IN_REQUEST:
        raise TooMuchError(f"more than {MAX_METRICS_IN_REQUEST} metrics from one URL")
    labels = _one_of(root, fields, "commonLabels", "labels")
    latest = milliseconds_of(now + FUTURE_LIMIT)
    common = _Common(
        labels=_labels(labels) if labels else {},
        milliseconds=_timestamp(fields, latest) or milliseconds_of(now),
        latest=latest,
    )
    return [_metric(item, common) for item in items]


def _metric(node: Node, common: _Common) -> Metric:
    fields = node.fields(_METRIC_KEYS, of="metric schema")
    metric_type = _metric_type(node, fields)
    return Metric(
        type=metric_type,
        labels=tuple(sorted(_all_labels(node, fields, common).items())),
        points=_points(node, fields, metric_type=metric_type, common=common),
    )


def _metric_type(node: Node, fields: Fields) -> MetricType:
    named = _one_of(node, fields, "kind", "type")
    if "mode" not in fields:
        if named is None:
            raise node.error("a metric needs kind or type")
        return metric_type_of(named)
    if fields["mode"].value != "deriv":
        raise fields["mode"].error("the only mode is deriv")
    if named is not None and metric_type_of(named) is not MetricType.RATE:
        raise node.error("mode deriv means RATE")
    return MetricType.RATE


def _all_labels(node: Node, fields: Fields, common: _Common) -> dict[str, str]:
    own = _labels(fields["labels"]) if "labels" in fields else {}
    if "name" in fields:
        if "name" in own:
            raise node.error("name is given twice, as key and as label")
        own["name"] = _label_value(fields["name"])
    if twice := own.keys() & common.labels.keys():
        raise node.error(f"label '{min(twice)}' is a common label, too")
    labels = {**common.labels, **own}
    if problem := problem_of_labels(labels):
        raise node.error(problem)
    return labels


def _labels(node: Node) -> dict[str, str]:
    labels = {}
    for name, value in node.entries(of="labels").items():
        if problem := problem_of_name(name):
            raise value.error(problem)
        labels[name] = _label_value(value)
    return labels


def _label_value(node: Node) -> str:
    value = node.text(of="label value")
    if problem := problem_of_value(value):
        raise node.error(problem)
    return value


def _points(
    node: Node, fields: Fields, *, metric_type: MetricType, common: _Common
) -> tuple[Point, ...]:
    if "timeseries" not in fields:
        milliseconds = _timestamp(fields, common.latest) or common.milliseconds
        return (Point(milliseconds, _value(node, fields, metric_type)),)
    if beside := fields.keys() & {"ts", *VALUE_KEYS}:
        raise node.error(f"{min(beside)} and timeseries in one metric")
    points = []
    for item in fields["timeseries"].items(of="timeseries"):
        of_point = item.fields(_POINT_KEYS, of="timeseries")
        milliseconds = _timestamp(of_point, common.latest)
        if not milliseconds:
            raise item.error("a point of a timeseries needs a ts that is not zero")
        points.append(Point(milliseconds, _value(item, of_point, metric_type)))
    if not points:
        raise fields["timeseries"].error("timeseries is empty")
    return tuple(points)


def _value(node: Node, fields: Fields, metric_type: MetricType) -> Value:
    expected = value_key_of(metric_type)
    if wrong := fields.keys() & {*VALUE_KEYS} - {expected}:
        raise node.error(f"{metric_type} carries {expected}, not {min(wrong)}")
    if expected not in fields:
        raise node.error(f"{metric_type} without {expected}")
    return value_of(fields[expected], metric_type)


def _timestamp(fields: Fields, latest: int) -> int:
    """Milliseconds since the epoch; 0 if there is none, since a zero means none on the wire as well."""
    node = fields.get("ts")
    if node is None:
        return 0
    milliseconds = _milliseconds(node)
    if milliseconds < 0:
        raise node.error("ts before 1970")
    if milliseconds > latest:
        raise node.error("ts is more than a day in the future; numbers are seconds")
    return milliseconds


def _milliseconds(node: Node) -> int:
    if not isinstance(node.value, str):
        return 1000 * node.integer(of="ts", minimum=0, maximum=2**63 - 1)
    try:
        return milliseconds_of(moment_of(node.value))
    except ValueError as error:
        raise node.error(str(error)) from error


def _one_of(node: Node, fields: Fields, *keys: str) -> Node | None:
    present = [fields[key] for key in keys if key in fields]
    if len(present) > 1:
        raise node.error(f"{' and '.join(keys)} together")
    return present[0] if present else None

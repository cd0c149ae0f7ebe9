"""The cloud dialect, against a body written by hand from the facts of the wire."""

import json
from datetime import UTC, datetime
from typing import Any

from common.solomon.cloud import CloudDialect
from common.solomon.encoder import PushEncoder
from common.solomon.points import Histogram, Kind, Point

AT = datetime(2025, 11, 22, 16, 0, tzinfo=UTC)


def encoder() -> PushEncoder:
    return PushEncoder(CloudDialect())


def metrics(made: PushEncoder, *points: Point) -> list[Any]:
    encoded = made.encode(points, at=AT, common_labels={})
    return [metric for push in encoded.pushes for metric in json.loads(push.body)["metrics"]]


def test_a_body_is_what_the_wire_wants() -> None:
    points = [
        Point("runs", Kind.RATE, 12, {"prober": "dns"}),
        Point("rtt", Kind.HIST_RATE, Histogram((0.5, 10.0), (3, 0), 2), {"prober": "dns"}),
        Point("state", Kind.IGAUGE, 1),
        Point("age_seconds", Kind.GAUGE, 1.5),
    ]
    [push] = encoder().encode(points, at=AT, common_labels={"host": "node-17"}).pushes
    assert json.loads(push.body) == json.loads(
        """
        {"ts": "2025-11-22T16:00:00Z", "labels": {"host": "node-17"},
         "metrics": [
          {"name": "runs", "labels": {"prober": "dns"}, "type": "IGAUGE", "value": 12},
          {"name": "rtt", "labels": {"prober": "dns", "bin": "0.5"}, "type": "IGAUGE", "value": 3},
          {"name": "rtt", "labels": {"prober": "dns", "bin": "inf"}, "type": "IGAUGE", "value": 2},
          {"name": "state", "labels": {}, "type": "IGAUGE", "value": 1},
          {"name": "age_seconds", "labels": {}, "type": "DGAUGE", "value": 1.5}]}
        """
    )
    assert push.metrics == 5


def test_a_growing_counter_becomes_its_growth_in_each_cell() -> None:
    made = encoder()
    grown = [metrics(made, Point("runs", Kind.RATE, v))[0]["value"] for v in (5, 12, 12, 2, 3)]
    assert grown == [5, 7, 0, 2, 1]


def test_each_bucket_grows_by_itself_and_stays_once_it_was_hit() -> None:
    made = encoder()
    cells = [((0, 0), 0), ((1, 0), 0), ((1, 4), 0), ((3, 4), 1)]
    seen = [
        {
            metric["labels"]["bin"]: metric["value"]
            for metric in metrics(
                made, Point("rtt", Kind.HIST_RATE, Histogram((0.001, 50.0), buckets, above))
            )
        }
        for buckets, above in cells
    ]
    assert seen == [{}, {"0.001": 1}, {"0.001": 0, "50": 4}, {"0.001": 2, "50": 0, "inf": 1}]


def test_a_series_that_comes_back_counts_from_zero() -> None:
    made = encoder()
    metrics(made, Point("runs", Kind.RATE, 100))
    metrics(made, Point("other", Kind.RATE, 1))
    assert metrics(made, Point("runs", Kind.RATE, 130))[0]["value"] == 130


def test_what_the_cloud_cannot_hold_is_dropped_and_counted() -> None:
    points = [
        Point("a", Kind.GAUGE, float("nan")),
        Point("b", Kind.RATE, -1),
        Point("c", Kind.IGAUGE, 1e30),
        Point("d", Kind.GAUGE, 1.0, {"folder": "x", "service": "y"}),
        Point("e", Kind.GAUGE, 1.0),
    ]
    encoded = encoder().encode(points, at=AT, common_labels={})
    assert (encoded.dropped, [push.metrics for push in encoded.pushes]) == (4, [1])

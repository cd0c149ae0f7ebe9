"""The classic dialect, against bodies written by hand from the facts of the wire."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.solomon.classic import ClassicDialect
from common.solomon.encoder import Encoded, PushEncoder
from common.solomon.labels import safe_value
from common.solomon.points import Histogram, Kind, Point

AT = datetime(2025, 11, 22, 16, 0, tzinfo=UTC)
# The rule for label values in Monium's data model.
ALLOWED = re.compile(r"^[ -!#-&(-)+->@-_a-{}-~]{1,200}$")


def encode(*points: Point, common_labels: Mapping[str, str] | None = None) -> Encoded:
    encoder = PushEncoder(ClassicDialect())
    return encoder.encode(points, at=AT, common_labels=common_labels or {})


def test_a_body_is_what_the_wire_wants() -> None:
    points = [
        Point("runs", Kind.RATE, 4711, {"prober": "dns"}),
        Point("rtt", Kind.HIST_RATE, Histogram((0.5, 10.0), (3, 40), 2), {"prober": "dns"}),
        Point("state", Kind.IGAUGE, 1),
        Point("age_seconds", Kind.GAUGE, 1.5),
    ]
    encoded = encode(*points, common_labels={"host": "node-17"})
    [push] = encoded.pushes
    assert json.loads(push.body) == json.loads(
        """
        {"commonLabels": {"host": "node-17"}, "ts": 1763827200,
         "sensors": [
          {"kind": "RATE", "labels": {"name": "runs", "prober": "dns"}, "value": 4711},
          {"kind": "HIST_RATE", "labels": {"name": "rtt", "prober": "dns"},
           "hist": {"bounds": [0.5, 10], "buckets": [3, 40], "inf": 2}},
          {"kind": "IGAUGE", "labels": {"name": "state"}, "value": 1},
          {"kind": "GAUGE", "labels": {"name": "age_seconds"}, "value": 1.5}]}
        """
    )
    assert (push.metrics, encoded.dropped) == (4, 0)


def test_integers_stay_integers() -> None:
    [push] = encode(Point("a", Kind.RATE, 3.0)).pushes
    assert b'"value":3}' in push.body


@pytest.mark.parametrize(
    "point",
    [
        Point("a", Kind.GAUGE, math.nan),
        Point("a", Kind.GAUGE, -math.inf),
        Point("a", Kind.RATE, -1),
        Point("a", Kind.RATE, 1e300),
        Point("a", Kind.IGAUGE, -1e19),
        Point("a", Kind.GAUGE, 1.0, {"service": "x"}),
        Point("a", Kind.GAUGE, 1.0, {"x-y": "x"}),
        Point("a", Kind.GAUGE, 1.0, {"host": "x"}),
        Point("a", Kind.GAUGE, 1.0, {f"label{n}": "x" for n in range(13)}),
    ],
)
def test_what_solomon_cannot_hold_is_dropped_and_counted(point: Point) -> None:
    encoded = encode(point, Point("b", Kind.GAUGE, 1.0), common_labels={"host": "node-17"})
    [push] = encoded.pushes
    assert (push.metrics, encoded.dropped) == (1, 1)
    assert [sensor["labels"]["name"] for sensor in json.loads(push.body)["sensors"]] == ["b"]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("https://a/b?c=d", "https://a/b%3Fc=d"),
        ("\"*|\\`'", "%22%2A%7C%5C%60%27"),
        ("100%", "100%25"),
        ("я", "%D1%8F"),
        ("line\n", "line%0A"),
        ("", "-"),
    ],
)
def test_label_values_are_made_safe(text: str, safe: str) -> None:
    assert safe_value(text) == safe


@given(st.text())
def test_every_text_becomes_a_value_that_solomon_takes(text: str) -> None:
    assert ALLOWED.fullmatch(safe_value(text))
    assert "\\" not in safe_value(text)


@given(st.lists(st.text(min_size=1, max_size=16), unique=True, max_size=20))
def test_different_texts_stay_different(texts: list[str]) -> None:
    texts = [text for text in texts if text.isprintable()]
    assert len({safe_value(text) for text in texts}) == len(texts)


def test_large_batches_are_split() -> None:
    pushes = encode(*(Point(f"name_{n}", Kind.IGAUGE, 1) for n in range(2500))).pushes
    assert [push.metrics for push in pushes] == [1000, 1000, 500]
    assert [len(json.loads(push.body)["sensors"]) for push in pushes] == [1000, 1000, 500]


def test_what_is_remembered_of_a_series_changes_with_nothing_but_its_value() -> None:
    encoder = PushEncoder(ClassicDialect())
    batches = [
        ({"host": "a"}, [Point("x", Kind.GAUGE, 1.0), Point("x", Kind.GAUGE, 2.0, {"host": "b"})]),
        ({"host": "a"}, [Point("x", Kind.IGAUGE, 3), Point("x", Kind.GAUGE, 4.0, {"zone": "b"})]),
        ({"zone": "a"}, [Point("x", Kind.IGAUGE, 3), Point("x", Kind.GAUGE, 4.0, {"zone": "b"})]),
    ]
    for common_labels, points in batches:
        afresh = encode(*points, common_labels=common_labels)
        assert encoder.encode(points, at=AT, common_labels=common_labels) == afresh


def test_series_that_end_are_forgotten() -> None:
    encoder = PushEncoder(ClassicDialect())
    for n in range(10):
        encoder.encode([Point(f"name_{n}", Kind.IGAUGE, 1)], at=AT, common_labels={})
    assert len(encoder._writers) == 1

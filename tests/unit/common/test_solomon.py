"""The classic push dialect, against bodies written by hand from the facts of the wire."""

import json
import math
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.solomon import (
    Histogram,
    Kind,
    Point,
    PushStatus,
    encode_push,
    push_result,
    safe_value,
)

AT = datetime(2025, 11, 22, 16, 0, tzinfo=UTC)
# The rule for label values in Monium's data model.
ALLOWED = re.compile(r"^[ -!#-&(-)+->@-_a-{}-~]{1,200}$")


def test_a_body_is_what_the_wire_wants() -> None:
    points = [
        Point("runs", Kind.RATE, 4711, {"prober": "dns"}),
        Point("rtt", Kind.HIST_RATE, Histogram((0.5, 10.0), (3, 40), 2), {"prober": "dns"}),
        Point("state", Kind.IGAUGE, 1),
        Point("age_seconds", Kind.GAUGE, 1.5),
    ]
    push = encode_push(points, at=AT, common_labels={"host": "node-17"})
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
    assert (push.points, push.dropped) == (4, 0)


def test_integers_stay_integers() -> None:
    body = encode_push([Point("a", Kind.RATE, 3.0)], at=AT, common_labels={}).body
    assert b'"value":3}' in body


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
    points = [point, Point("b", Kind.GAUGE, 1.0)]
    push = encode_push(points, at=AT, common_labels={"host": "node-17"})
    assert (push.points, push.dropped) == (1, 1)
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


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (200, PushStatus.OK),
        (202, PushStatus.OK),
        (302, PushStatus.REFUSED),
        (400, PushStatus.REFUSED),
        (401, PushStatus.UNAUTHORIZED),
        (403, PushStatus.UNAUTHORIZED),
        (404, PushStatus.REFUSED),
        (408, PushStatus.RETRY),
        (413, PushStatus.REFUSED),
        (429, PushStatus.SLOW_DOWN),
        (500, PushStatus.RETRY),
        (503, PushStatus.RETRY),
    ],
)
def test_answers_are_classified(code: int, status: PushStatus) -> None:
    assert push_result(code, b"").status is status


def test_reads_how_many_points_were_taken_and_ignores_unknown_keys() -> None:
    result = push_result(200, b'{"sensorsProcessed": 7, "status": "OK", "more": [1]}')
    assert (result.status, result.processed) == (PushStatus.OK, 7)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"sensorsProcessed": "many"}', b"\xff"])
def test_a_nonsense_body_does_no_harm(body: bytes) -> None:
    assert push_result(200, body).processed is None
    assert push_result(500, body).status is PushStatus.RETRY


def test_a_refusal_says_what_solomon_said() -> None:
    assert "HTTP 400: bad label" in push_result(400, b'{"errorMessage": "bad label"}').message
    assert "HTTP 413: too much" in push_result(413, b"too much").message

"""Bodies written by hand: the good ones are understood, each mistake is named, nothing else is ever raised."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solomon_stand_in.classic_body import metrics_of
from solomon_stand_in.errors import BodyError, StandInError, TooMuchError
from solomon_stand_in.metric_values import MetricType
from solomon_stand_in.metrics import Metric, Point

TESTDATA = Path(__file__).parent / "testdata"
REASONS = json.loads((TESTDATA / "bad_classic_reasons.json").read_text())
NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
NOW_MILLISECONDS = 1_795_363_200_000


def only_metric(**fields: object) -> Metric:
    metric = {"kind": "GAUGE", "labels": {"name": "up"}} | fields
    [parsed] = metrics_of(json.dumps({"sensors": [metric]}).encode(), now=NOW)
    return parsed


def test_understands_the_classic_example() -> None:
    assert metrics_of((TESTDATA / "good_classic.json").read_bytes(), now=NOW) == [
        Metric(
            type=MetricType.RATE,
            labels=(("host", "node-17"), ("name", "runs"), ("prober", "dns")),
            points=(Point(1_763_827_200_000, 4711),),
        ),
        Metric(
            type=MetricType.HIST_RATE,
            labels=(("host", "node-17"), ("name", "rtt_ms"), ("prober", "dns")),
            points=(
                Point(
                    1_763_827_200_000,
                    {"bounds": [1.0, 10.0, 100.0], "buckets": [3, 40, 2], "inf": 0},
                ),
            ),
        ),
    ]


def test_every_bad_file_has_its_reason() -> None:
    assert {path.stem for path in (TESTDATA / "bad_classic").iterdir()} == REASONS.keys()


@pytest.mark.parametrize("name", sorted(REASONS))
def test_names_the_mistake(name: str) -> None:
    body = (TESTDATA / "bad_classic" / f"{name}.json").read_bytes()

    with pytest.raises(BodyError) as caught:
        metrics_of(body, now=NOW)

    assert REASONS[name] in caught.value.reason
    assert str(caught.value).startswith("cannot parse JSON, error at: ")
    assert ", reason: " in str(caught.value)
    assert ", snippet: " in str(caught.value)


def test_says_where_the_mistake_is() -> None:
    body = json.dumps(
        {"sensors": [{"kind": "GAUGE", "labels": {"name": "up", "host": 1}, "value": 1}]}
    )
    with pytest.raises(BodyError) as caught:
        metrics_of(body.encode(), now=NOW)
    assert caught.value.where == "sensors[0].labels.host"


def test_one_bad_metric_fails_the_whole_body() -> None:
    metrics = [{"kind": "GAUGE", "labels": {"name": "up"}, "value": 1}, {"kind": "GAUGE"}]
    with pytest.raises(BodyError):
        metrics_of(json.dumps({"sensors": metrics}).encode(), now=NOW)


def test_takes_the_cloud_words_for_the_same_things() -> None:
    body = {
        "labels": {"host": "a"},
        "metrics": [{"type": "DGAUGE", "name": "up", "value": 1, "memOnly": False}],
    }
    [metric] = metrics_of(json.dumps(body).encode(), now=NOW)
    assert metric.type is MetricType.GAUGE
    assert metric.labels == (("host", "a"), ("name", "up"))


def test_mode_deriv_means_rate() -> None:
    assert only_metric(kind="RATE", mode="deriv", value=1).type is MetricType.RATE


@pytest.mark.parametrize(
    ("ts", "milliseconds"),
    [
        (1763827200, 1_763_827_200_000),
        ("2025-11-22T16:00:00Z", 1_763_827_200_000),
        ("2025-11-22T19:00:00.250+03:00", 1_763_827_200_250),
        (0, NOW_MILLISECONDS),
    ],
)
def test_reads_timestamps(ts: object, milliseconds: int) -> None:
    assert only_metric(ts=ts, value=1).points[0].milliseconds == milliseconds


def test_a_metric_without_ts_has_the_common_one_or_now() -> None:
    metrics = [{"kind": "GAUGE", "labels": {"name": "up"}, "value": 1}]
    [common] = metrics_of(json.dumps({"ts": 1763827200, "sensors": metrics}).encode(), now=NOW)
    assert common.points[0].milliseconds == 1_763_827_200_000
    assert only_metric(value=1).points[0].milliseconds == NOW_MILLISECONDS


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "Infinity", "-inf", "-Infinity"])
def test_a_gauge_may_be_one_of_the_texts(text: str) -> None:
    value = only_metric(value=text).points[0].value
    assert str(value) == str(float(text))


def test_takes_every_kind_of_value() -> None:
    summary = {"sum": 6, "min": 1, "max": 3, "last": 2, "count": 3}
    assert only_metric(kind="DSUMMARY", summary=summary).points[0].value == summary
    log_histogram = only_metric(kind="LOGHIST", log_hist={"buckets": [0.5]}).points[0].value
    assert log_histogram == {"base": 1.5, "zeros_count": 0, "start_power": 0, "buckets": [0.5]}
    assert only_metric(kind="COUNTER", value=2**64 - 1).points[0].value == 2**64 - 1
    assert only_metric(kind="IGAUGE", value=-(2**63)).points[0].value == -(2**63)
    points = only_metric(timeseries=[{"ts": 1, "value": 1}, {"ts": 2, "value": 2}]).points
    assert points == (Point(1000, 1.0), Point(2000, 2.0))


def test_sixteen_labels_with_those_of_the_shard_fit() -> None:
    labels = {"name": "up", **{f"label{number}": "x" for number in range(12)}}
    assert len(only_metric(labels=labels, value=1).labels) == 13


def test_refuses_more_than_ten_thousand_metrics() -> None:
    metric = {"kind": "GAUGE", "labels": {"name": "up"}, "value": 1}
    body = json.dumps({"sensors": [metric] * 10_001}).encode()
    with pytest.raises(TooMuchError, match="more than 10000 metrics from one URL"):
        metrics_of(body, now=NOW)


def test_deep_nesting_is_an_error_of_the_body() -> None:
    for depth in (300, 900, 100_000):
        with pytest.raises(BodyError):
            metrics_of(b'{"sensors": ' + b"[" * depth + b"]" * depth + b"}", now=NOW)


def test_a_number_with_thousands_of_digits_is_an_error_of_the_body() -> None:
    with pytest.raises(BodyError):
        metrics_of(b'{"ts": ' + b"9" * 5000 + b', "sensors": []}', now=NOW)


WORDS = st.sampled_from(
    ["sensors", "metrics", "labels", "commonLabels", "kind", "type", "ts", "value", "timeseries", "name",
     "hist", "summary", "log_hist", "bounds", "buckets", "inf", "GAUGE", "RATE", "HIST", "nan", "2026-11-22T16:00:00Z"]
)  # fmt: skip
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner),
    max_leaves=12,
)
METRICS = st.fixed_dictionaries(
    {"kind": st.sampled_from([*MetricType, "DGAUGE"]), "labels": st.just({"name": "up"})},
    optional=dict.fromkeys(("value", "hist", "summary", "log_hist", "ts", "timeseries"), JSON_VALUES),
)  # fmt: skip


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_metrics_or_an_error_of_ours(body: bytes) -> None:
    check_parses_or_refuses(body)


@given(JSON_VALUES | st.lists(METRICS, max_size=2).map(lambda metrics: {"sensors": metrics}))
def test_any_json_is_metrics_or_an_error_of_ours(value: object) -> None:
    check_parses_or_refuses(json.dumps(value).encode())


def check_parses_or_refuses(body: bytes) -> None:
    try:
        metrics = metrics_of(body, now=NOW)
    except StandInError as error:
        json.dumps({"message": str(error)}).encode()
    else:
        assert all(metric.points for metric in metrics)

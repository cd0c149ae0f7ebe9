"""The small lines on the page."""

import pytest

from solomon_stand_in.graphs import HEIGHT, WIDTH, curve_of, line_of
from solomon_stand_in.metric_values import MetricType, Value
from solomon_stand_in.metrics import Point


def points(*values: Value) -> list[Point]:
    return [Point(15_000 * index, value) for index, value in enumerate(values)]


def test_a_gauge_is_drawn_as_it_is_without_what_is_not_finite() -> None:
    drawn = curve_of(MetricType.GAUGE, points(1.0, float("nan"), 3.0))
    assert drawn == [(0, 1.0), (30_000, 3.0)]


def test_a_rate_is_drawn_as_its_growth_per_second_and_a_restart_is_left_out() -> None:
    assert curve_of(MetricType.RATE, points(0, 15, 3, 33)) == [(15_000, 1.0), (45_000, 2.0)]


@pytest.mark.parametrize(
    ("metric_type", "value", "number"),
    [
        (MetricType.HIST, {"bounds": [1.0], "buckets": [2], "inf": 3}, 5.0),
        (MetricType.DSUMMARY, {"sum": 6, "min": 1, "max": 3, "last": 2, "count": 3}, 2.0),
        (
            MetricType.LOGHIST,
            {"base": 1.5, "zeros_count": 1, "start_power": 0, "buckets": [0.5]},
            1.5,
        ),
    ],
)
def test_the_others_are_drawn_as_one_number(
    metric_type: MetricType, value: Value, number: float
) -> None:
    assert curve_of(metric_type, points(value)) == [(0, number)]


def test_a_line_fills_the_picture() -> None:
    assert line_of([(0, 0.0), (10, 5.0)]) == f"0.0,{HEIGHT - 2}.0 {WIDTH}.0,2.0"


def test_nothing_a_single_point_and_huge_numbers_can_be_drawn() -> None:
    assert line_of([]) == ""
    assert line_of([(5, 1.0)]) == f"{WIDTH / 2},{HEIGHT / 2}"
    assert "nan" not in line_of([(0, -1.7e308), (1, 1.7e308)])

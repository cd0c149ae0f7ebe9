"""Counters and cells."""

from dataclasses import replace

import pytest

from agent.metrics import BOUNDS, MetricBook, cell_end, closing_cell
from agent.outputs.printed import Printed, Sample, SampleKind
from agent.results import RunResult
from common.contracts.states import STATE_OF_OUTCOME, Outcome, SkipReason, State
from common.solomon.points import Histogram, Kind, Point
from tests.unit.agent.factories import SECOND_NS, host_plan, planned, run_key, run_result

NOW_NS = 100 * SECOND_NS


def record(book: MetricBook, result: RunResult) -> None:
    book.record(result, STATE_OF_OUTCOME[result.verdict.outcome])


def book(*probers: int) -> MetricBook:
    made = MetricBook()
    made.apply(host_plan(*map(planned, probers or (1,))), 0)
    return made


def values(points: list[Point], name: str, label: str = "") -> dict[str, object]:
    return {point.labels.get(label, ""): point.value for point in points if point.name == name}


def test_counters_grow_over_cells() -> None:
    metrics = book()
    for outcome in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.FAILURE):
        record(metrics, run_result(outcome))
    first = metrics.close_cell(NOW_NS)
    expected = {"success": 1, "failure": 2, "timeout": 0, "broken": 0}
    assert values(first, "mr_prober_runs", "outcome") == expected
    record(metrics, run_result(Outcome.TIMEOUT))
    second = metrics.close_cell(NOW_NS)
    assert values(second, "mr_prober_runs", "outcome") == expected | {"timeout": 1}
    assert all(p.kind is Kind.RATE for p in second if p.name == "mr_prober_runs")


def test_skipped_runs_are_counted_by_reason() -> None:
    metrics = book()
    metrics.skip(run_key(), SkipReason.SUSPENDED, 4)
    skipped = values(metrics.close_cell(NOW_NS), "mr_prober_skipped_runs", "reason")
    assert skipped == {"overlap": 0, "suspended": 4, "agent_restart": 0}


def test_runs_during_an_apply_are_counted_from_its_beginning() -> None:
    metrics = book()
    metrics.record(run_result(), State.SUCCESS)
    assert "during_apply" not in values(
        metrics.close_cell(NOW_NS), "mr_prober_flagged_runs", "flag"
    )
    metrics.apply(host_plan(planned(1), applying_until=1000.0), NOW_NS)
    first = values(metrics.close_cell(NOW_NS), "mr_prober_flagged_runs", "flag")
    metrics.record(run_result()._replace(during_apply=True), State.SUCCESS)
    metrics.record(run_result(), State.SUCCESS)  # it ended after the deadline
    metrics.apply(host_plan(planned(1)), NOW_NS)
    second = values(metrics.close_cell(NOW_NS), "mr_prober_flagged_runs", "flag")
    assert (first, second) == (
        {"starved": 0, "during_apply": 0},
        {"starved": 0, "during_apply": 1},
    )


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (50.0, 14), (50.1, 15)]
)
def test_a_run_falls_into_the_bucket_whose_bound_it_does_not_pass(
    seconds: float, bucket: int
) -> None:
    metrics = book()
    record(metrics, run_result(seconds=seconds))
    histogram = values(metrics.close_cell(NOW_NS), "mr_prober_run_seconds")[""]
    assert isinstance(histogram, Histogram)
    assert [*histogram.buckets, histogram.above].index(1) == bucket
    assert len(BOUNDS) == 15


def test_the_state_is_that_of_the_last_run_and_not_run_yet_before_the_first() -> None:
    metrics = book()
    assert values(metrics.close_cell(NOW_NS), "mr_prober_state") == {"": 4}
    record(metrics, run_result(Outcome.FAILURE))
    record(metrics, run_result(Outcome.SUCCESS))
    assert values(metrics.close_cell(NOW_NS), "mr_prober_state") == {"": 0}


def test_the_time_since_the_last_success_grows_until_the_next_one() -> None:
    metrics = book()
    assert values(metrics.close_cell(NOW_NS), "mr_prober_seconds_since_success") == {"": 100.0}
    record(metrics, run_result(Outcome.SUCCESS, ended_ns=90 * SECOND_NS))
    record(metrics, run_result(Outcome.FAILURE, ended_ns=95 * SECOND_NS))
    assert values(metrics.close_cell(NOW_NS), "mr_prober_seconds_since_success") == {"": 10.0}


def test_costs_are_of_the_runs_of_one_cell() -> None:
    metrics = book()
    record(metrics, run_result())
    record(metrics, run_result())
    points = metrics.close_cell(NOW_NS)
    assert values(points, "mr_prober_cpu_seconds", "mode") == {"user": 1.0, "system": 0.5}
    assert values(points, "mr_prober_peak_rss_bytes") == {"": 1000}
    assert values(points, "mr_prober_start_lag_seconds") == {"": 0.25}
    assert values(metrics.close_cell(NOW_NS), "mr_prober_cpu_seconds", "mode") == {}


def test_series_of_a_removed_prober_end_with_state_6_once() -> None:
    metrics = book(1, 2)
    metrics.apply(host_plan(planned(2)), 0)
    gone = [p for p in metrics.close_cell(NOW_NS) if p.labels["prober_slug"] == "prober-1"]
    assert [(point.name, point.value) for point in gone] == [("mr_prober_state", 6)]
    assert not [p for p in metrics.close_cell(NOW_NS) if p.labels["prober_slug"] == "prober-1"]


def test_a_series_that_lives_on_under_another_key_does_not_end() -> None:
    labels = ({"port": "80"},)
    metrics = MetricBook()
    metrics.apply(host_plan(planned(1, '{"port":80}', labels=labels)), 0)
    metrics.apply(host_plan(planned(1, '{"port":"80"}', labels=labels)), 0)
    states = [p.value for p in metrics.close_cell(NOW_NS) if p.name == "mr_prober_state"]
    assert states == [State.NOT_RUN_YET]


def test_a_changed_prober_keeps_its_counters() -> None:
    metrics = book()
    record(metrics, run_result())
    metrics.apply(host_plan(planned(1)), 0)
    assert values(metrics.close_cell(NOW_NS), "mr_prober_runs", "outcome")["success"] == 1


def test_a_prober_that_cannot_run_is_broken() -> None:
    metrics = MetricBook()
    metrics.apply(host_plan(planned(1, problem="no such mode")), 0)
    assert values(metrics.close_cell(NOW_NS), "mr_prober_state") == {"": 3}


def test_printed_gauges_show_the_last_value_of_the_cell_and_counters_add_up() -> None:
    metrics = book()
    for value in (1.0, 2.0):
        samples = (Sample("rtt", (), value), Sample("sent", (), value, "counter"))
        record(metrics, run_result(printed=Printed(samples)))
    points = metrics.close_cell(NOW_NS)
    assert values(points, "rtt") == {"": 2.0}
    assert values(points, "sent") == {"": 3.0}
    later = metrics.close_cell(NOW_NS)
    assert values(later, "rtt") == {}
    assert values(later, "sent") == {"": 3.0}


@pytest.mark.parametrize(
    ("aggregate", "shown"), [("last", 2.0), ("min", 1.0), ("max", 6.0), ("avg", 3.0), ("sum", 9.0)]
)
def test_a_cell_shows_the_aggregate_of_a_gauge(aggregate: str, shown: float) -> None:
    metrics = MetricBook()
    metrics.apply(host_plan(replace(planned(1), aggregate=aggregate)), 0)
    for value in (6.0, 1.0, 2.0):
        record(metrics, run_result(printed=Printed((Sample("rtt", (), value),))))
    assert values(metrics.close_cell(NOW_NS), "rtt") == {"": shown}
    record(metrics, run_result(printed=Printed((Sample("rtt", (), 4.0),))))
    assert values(metrics.close_cell(NOW_NS), "rtt") == {"": 4.0}


def test_a_printed_counter_never_becomes_a_gauge() -> None:
    metrics = book()
    kinds: tuple[SampleKind, ...] = ("gauge", "counter", "gauge")
    for kind in kinds:
        record(metrics, run_result(printed=Printed((Sample("sent", (), 2.0, kind),))))
    points = [point for point in metrics.close_cell(NOW_NS) if point.name == "sent"]
    assert [(point.kind, point.value) for point in points] == [(Kind.RATE, 2.0)]
    assert metrics.bad_lines == 1


def test_a_result_of_a_removed_prober_is_nobodys() -> None:
    metrics = book()
    record(metrics, run_result(key=run_key(5)))
    assert values(metrics.close_cell(NOW_NS), "mr_prober_runs", "outcome")["success"] == 0


def test_a_cell_ends_at_the_next_multiple_of_15_seconds() -> None:
    assert cell_end(30.0) == 45
    assert cell_end(44.999) == 45
    assert closing_cell(45, 44.9) == (None, 45)
    assert closing_cell(45, 45.0) == (45, 60)


def test_a_clock_that_leaps_closes_at_most_one_cell() -> None:
    assert closing_cell(45, 3600.0) == (3600, 3615)
    assert closing_cell(3615, 31.0) == (None, 45)

"""The text that Prometheus reads, against what the official parsers make of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parsed_open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families as parsed_text

from agent.metric_help import HELP
from agent.metrics import MetricBook
from agent.own_figures import AgentFigures, agent_points
from agent.sinks.exposition import exposition, families_of
from agent.sinks.port import Batch, SinkFigures
from agent.sinks.scrape import GONE_SHOWN_FOR, NewestCell
from common.contracts.states import Outcome, SkipReason, State
from common.solomon.points import Histogram, Kind, Point
from tests.unit.agent.factories import SECOND_NS, host_plan, planned, run_key, run_result

AT = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
TEXT = "text/plain;version=0.0.4"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
PARSERS: dict[str, Any] = {TEXT: parsed_text, OPEN_METRICS: parsed_open_metrics}
both_formats = pytest.mark.parametrize("form", [TEXT, OPEN_METRICS])


def text(points: list[Point], form: str) -> str:
    return exposition(families_of(points, {"host": "h1"})[0], form)[0].decode()


def read(points: list[Point], form: str) -> dict[tuple[str, frozenset[Any]], float]:
    families = PARSERS[form](text(points, form))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def labels(**more: str) -> frozenset[tuple[str, str]]:
    return frozenset({"host": "h1", **more}.items())


@both_formats
def test_official_parsers_read_every_kind(form: str) -> None:
    points = [
        Point("runs", Kind.RATE, 4711, {"prober": "dns"}),
        Point("rtt", Kind.HIST_RATE, Histogram((0.5, 10.0), (3, 40), 2, 99.5)),
        Point("state", Kind.IGAUGE, State.FAILURE),
        Point("age_seconds", Kind.GAUGE, 1.5),
    ]
    assert read(points, form) == {
        ("runs_total", labels(prober="dns")): 4711,
        ("rtt_bucket", labels(le="0.5")): 3,
        ("rtt_bucket", labels(le="10.0")): 43,
        ("rtt_bucket", labels(le="+Inf")): 45,
        ("rtt_count", labels()): 45,
        ("rtt_sum", labels()): 99.5,
        ("state", labels()): 1,
        ("age_seconds", labels()): 1.5,
    }


@both_formats
@given(value=st.text(max_size=20).filter(lambda text: "\r" not in text))
def test_label_values_come_back_as_they_were(form: str, value: str) -> None:
    [(_, found)] = read([Point("a", Kind.GAUGE, 1.0, {"target": value})], form)
    # The parser of the older format takes a backslash and an n for a line's end wherever they meet.
    if not (form is TEXT and "\\n" in value):
        assert dict(found)["target"] == value


def test_a_whole_agent_is_read_by_the_official_parser_and_every_metric_has_help() -> None:
    book = MetricBook()
    book.apply(host_plan(planned(1), planned(2)), 0)
    for outcome in Outcome:
        book.record(run_result(outcome), State.SUCCESS)
    book.skip(run_key(), SkipReason.OVERLAP, 1)
    book.apply(host_plan(planned(1)), 0)
    figures = AgentFigures(1.0, 2, 3, {"bug": 0}, 1.0, 1000, SinkFigures())
    points = book.close_cell(100 * SECOND_NS) + agent_points(figures)
    families = {family.name: family for family in PARSERS[OPEN_METRICS](text(points, OPEN_METRICS))}  # fmt: skip
    assert {point.name for point in points} == set(families)
    assert {name: family.documentation for name, family in families.items()} == {
        name: HELP.get(name) for name in families
    }
    assert families["mr_prober_runs"].type == "counter"
    assert families["mr_prober_run_seconds"].type == "histogram"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Point("a", Kind.GAUGE, 1.0), Point("a", Kind.RATE, 1)),
        (Point("a", Kind.RATE, 1), Point("a_total", Kind.GAUGE, 1.0)),
        (Point("a_total", Kind.GAUGE, 1.0), Point("a", Kind.RATE, 1)),
        (Point("a", Kind.RATE, 1), Point("a_total", Kind.RATE, 1)),
        (Point("a", Kind.HIST_RATE, Histogram((), (), 1)), Point("a_sum", Kind.GAUGE, 1.0)),
        (Point("a", Kind.GAUGE, 1.0), Point("a", Kind.GAUGE, 2.0, {"host": "h1"})),
    ],
)
def test_what_would_make_the_text_wrong_is_left_out_and_counted(
    first: Point, second: Point
) -> None:
    families, clashes = families_of([first, second, Point("b", Kind.GAUGE, 1.0)], {"host": "h1"})
    assert clashes == 1
    assert len([sample for family in families for sample in family.samples]) >= 2
    list(PARSERS[OPEN_METRICS](exposition(families, OPEN_METRICS)[0].decode()))


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (OPEN_METRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (TEXT, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_who_asks_for_open_metrics_gets_it(accept: str, content_type: str) -> None:
    assert exposition([], accept)[1].startswith(content_type)


def state(value: int, slug: str = "dns") -> Point:
    return Point("mr_prober_state", Kind.IGAUGE, value, {"prober_slug": slug})


def states_in(cell: NewestCell) -> dict[str, float]:
    samples = [sample for family in cell.families() for sample in family.samples]
    return {sample.labels["prober_slug"]: sample.value for sample in samples}


def test_a_series_ends_with_state_6_for_five_minutes_and_is_absent_then() -> None:
    cell = NewestCell()
    cell.put(Batch(AT, [state(0), state(1, "tcp")], {}))
    cell.put(Batch(AT + timedelta(seconds=15), [state(6), state(1, "tcp")], {}))
    assert states_in(cell) == {"dns": 6, "tcp": 1}
    cell.put(Batch(AT + GONE_SHOWN_FOR, [state(1, "tcp")], {}))
    assert states_in(cell) == {"dns": 6, "tcp": 1}
    cell.put(Batch(AT + GONE_SHOWN_FOR + timedelta(seconds=15), [state(1, "tcp")], {}))
    assert states_in(cell) == {"tcp": 1}


def test_a_series_that_comes_back_is_shown_once() -> None:
    cell = NewestCell()
    cell.put(Batch(AT, [state(6)], {}))
    cell.put(Batch(AT + timedelta(seconds=15), [state(0)], {}))
    assert states_in(cell) == {"dns": 0}


def test_before_the_first_cell_there_is_nothing_to_read() -> None:
    assert exposition(NewestCell().families(), TEXT)[0] == b""
    assert exposition(NewestCell().families(), OPEN_METRICS)[0] == b"# EOF\n"


def test_a_clash_is_counted_once_a_cell_however_often_it_is_looked_at() -> None:
    cell = NewestCell()
    cell.put(Batch(AT, [Point("a", Kind.GAUGE, 1.0), Point("a", Kind.RATE, 1)], {}))
    for _ in range(3):
        assert len(cell.families()) == 1
    assert cell.clashes == 1

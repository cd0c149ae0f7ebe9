"""A round with both sides as fakes: what it came to, what was written, what people, programs, Prometheus and Solomon read of it."""

import io
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from common.errors import ApiUnreachableError
from common.solomon.answers import PushResult, PushStatus
from common.solomon.classic import ClassicDialect
from common.solomon.encoder import PushEncoder
from common.solomon.points import Kind
from solomon_stand_in.classic_body import metrics_of
from tests.fakes.api import refusal
from tests.unit.tools.meeseeks.node_cases import known, listed, listing_of
from tools.console import console_of
from tools.exit_codes import ExitCode
from tools.meeseeks.errors import (
    ComputeAdminError,
    MetricsError,
    OutdatedPlanError,
    StoppedError,
    UnknownOutcomeError,
)
from tools.meeseeks.metrics import Metrics
from tools.meeseeks.nodes import Listing, NodeState, Selection, value_of
from tools.meeseeks.plan import MANAGER, Current, Rules
from tools.meeseeks.report import log_round, print_round, round_as_json
from tools.meeseeks.rounds import EXIT_CODES, Outcome, Round, round_of
from tools.meeseeks.solomon import RoundPush

OURS = Current(value_of([known(1), known(2)]), '"1"', MANAGER)
NOON = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)


class FakeSides:
    """Both sides; an error instead of a value is raised."""

    def __init__(
        self,
        current: Current | Exception = OURS,
        listing: Listing | Exception | None = None,
        refuses: Exception | None = None,
    ) -> None:
        self.current_value = current
        self.listed = listing or listing_of(listed(1), listed(2), listed(3))
        self.refuses = refuses
        self.written: list[tuple[JsonValue, Current]] = []
        self.filters: list[str] = []

    def current(self) -> Current:
        if isinstance(self.current_value, Exception):
            raise self.current_value
        return self.current_value

    def listing(self, *, filter_text: str = "") -> Listing:
        self.filters.append(filter_text)
        if isinstance(self.listed, Exception):
            raise self.listed
        return self.listed

    def write(self, value: JsonValue, seen: Current) -> None:
        if self.refuses:
            raise self.refuses
        self.written.append((value, seen))

    def round(self, *, apply: bool = True, rules: Rules | None = None) -> Round:
        return round_of(self, self, rules or Rules(), apply=apply, clock=iter([1.0, 3.5]).__next__)


def test_apply_writes_what_is_wanted_for_what_was_seen() -> None:
    sides = FakeSides()
    done = sides.round()
    assert (done.outcome, done.seconds) == (Outcome.APPLIED, 2.5)
    assert sides.written == [(value_of([known(1), known(2), known(3)]), OURS)]


def test_plan_writes_nothing() -> None:
    sides = FakeSides()
    assert sides.round(apply=False).outcome is Outcome.PLANNED
    assert sides.written == []


def test_no_change_and_no_consent_write_nothing() -> None:
    sides = FakeSides(listing=listing_of(listed(2), listed(1)))
    assert sides.round().outcome is Outcome.UNCHANGED
    refused = FakeSides(listing=replace(listing_of(listed(1), listed(3)), total=5))
    assert refused.round().outcome is Outcome.REFUSED
    assert refused.round(apply=False).outcome is Outcome.REFUSED
    assert sides.written + refused.written == []
    assert refused.round(rules=Rules(force=True)).outcome is Outcome.APPLIED


def test_the_service_is_asked_only_for_what_is_chosen() -> None:
    sides = FakeSides()
    sides.round(rules=Rules(Selection(states=frozenset({NodeState.UP}))))
    assert sides.filters == ['status IN ("UP")']


@pytest.mark.parametrize(
    ("sides", "outcome", "code"),
    [
        (FakeSides(ApiUnreachableError("u", "r")), Outcome.FAILED, ExitCode.ERROR),
        (FakeSides(listing=ComputeAdminError("e", "r")), Outcome.FAILED, ExitCode.ERROR),
        (FakeSides(refuses=refusal(422, "no list")), Outcome.FAILED, ExitCode.ERROR),
        (FakeSides(refuses=OutdatedPlanError("v")), Outcome.OUTDATED, ExitCode.PARTLY),
        (FakeSides(refuses=UnknownOutcomeError("v", "r")), Outcome.UNKNOWN, ExitCode.PARTLY),
    ],
)
def test_mishaps_are_outcomes_with_a_reason(
    sides: FakeSides, outcome: Outcome, code: ExitCode
) -> None:
    done = sides.round()
    assert done.outcome is outcome
    assert done.error
    assert EXIT_CODES[done.outcome] is code


def test_told_to_end_is_no_outcome_and_neither_is_a_bug() -> None:
    with pytest.raises(StoppedError):
        FakeSides(listing=StoppedError()).round()
    with pytest.raises(KeyError):
        FakeSides(KeyError("bug")).round()


def text_of(done: Round) -> str:
    file = io.StringIO()
    print_round(console_of(file, width=1000), done)
    return file.getvalue()


MIXED = listing_of(listed(1, address="10.9.9.9"), listed(3, "zone-b"), listed(4))


def test_people_read_a_table_in_the_order_of_the_variable_and_a_line_that_counts() -> None:
    lines = text_of(FakeSides(listing=MIXED).round(apply=False)).splitlines()
    rows = [line.split() for line in lines if line[:1] in "+-~" and line.strip()]
    assert rows == [
        ["~", "node-0001", "zone-a", "10.0.0.1", "→", "10.9.9.9", "id1"],
        ["-", "node-0002", "zone-a", "10.0.0.2", "id2"],
        ["+", "node-0004", "zone-a", "10.0.0.4", "id4"],
        ["+", "node-0003", "zone-b", "10.0.0.3", "id3"],
    ]
    assert lines[-1] == "Nodes: 3 listed, 3 wanted, 2 known: 2 to add, 1 to remove, 1 to change."


def test_people_read_why_it_is_refused_and_what_they_may_say() -> None:
    text = text_of(FakeSides(listing=replace(MIXED, total=9)).round())
    assert "! the Compute Admin API counts 9 nodes, but its list has 3\n" in text
    assert text.endswith("--force applies it.\nRefused: nothing was changed.\n")
    other = FakeSides(replace(OURS, managed_by="synchronize")).round()
    assert "--adopt" in text_of(other)
    assert "--force" not in text_of(other)


def test_nothing_that_the_services_say_steers_a_terminal() -> None:
    strange = Current(value_of([known(9, "\x1b[2Jz")]), '"1"', MANAGER)
    assert "\x1b" not in text_of(FakeSides(strange).round(apply=False))
    assert "\x1b" not in text_of(Round(Outcome.FAILED, error="said \x1b[2J"))


def test_programs_read_the_same_as_json() -> None:
    value = json.loads(round_as_json(FakeSides(listing=MIXED).round(apply=False)))
    assert value["outcome"] == "planned"
    assert [node["name"] for node in value["added"]] == ["node-0004", "node-0003"]
    assert value["changed"][0]["before"]["address"] == "10.0.0.1"
    assert value["summary"] == {
        "listed": 3, "wanted": 3, "known": 2, "added": 2, "removed": 1, "changed": 1,
    }  # fmt: skip
    failed = json.loads(round_as_json(Round(Outcome.FAILED, error="why"), indent=None))
    assert failed == {"outcome": "failed", "error": "why"}


def test_a_watcher_logs_a_line_for_the_round_and_one_for_each_node(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    log_round(FakeSides(listing=replace(MIXED, total=9)).round())
    log_round(Round(Outcome.FAILED, error="why\nso"))
    text = caplog.text
    assert "doubt: the Compute Admin API counts 9 nodes" in text
    assert "node kind=removed name=node-0002 zone=zone-a id=id2" in text
    assert "round outcome=refused listed=3 wanted=3 added=2 removed=1 changed=1" in text
    assert "round outcome=failed seconds=0.000: why so" in text


class RecordingClient:
    """Says the same to every push."""

    def __init__(self, status: PushStatus, message: str = "") -> None:
        self.bodies: list[dict[str, Any]] = []
        self._result = PushResult(status, message=message)

    def push(self, body: bytes, *, time_limit: timedelta) -> PushResult:
        assert time_limit
        self.bodies.append(json.loads(body))
        return self._result


def test_metrics_count_rounds_and_show_the_last_one(tmp_path: Path) -> None:
    moments = iter([NOON])  # who asks for a second one has taken a failure for a success
    metrics = Metrics(lambda: next(moments))
    metrics.record(FakeSides(listing=MIXED).round(), repeated=2)
    metrics.record(FakeSides(listing=ComputeAdminError("e", "r")).round())
    text = metrics.text().decode()
    for line in (
        'mr_prober_meeseeks_rounds_total{outcome="applied"} 1.0',
        'mr_prober_meeseeks_rounds_total{outcome="failed"} 1.0',
        'mr_prober_meeseeks_rounds_total{outcome="refused"} 0.0',
        "mr_prober_meeseeks_listed_nodes 3.0",
        'mr_prober_meeseeks_differences{kind="added"} 2.0',
        "mr_prober_meeseeks_last_success_timestamp_seconds 1.767268807e+09",
    ):  # fmt: skip
        assert line in text, line
    metrics.write(tmp_path / "meeseeks.prom")
    assert (tmp_path / "meeseeks.prom").read_bytes() == metrics.text()
    assert (tmp_path / "meeseeks.prom").stat().st_mode & 0o777 == 0o644
    with pytest.raises(MetricsError, match=r"nowhere"):
        metrics.write(tmp_path / "nowhere" / "meeseeks.prom")


def test_solomon_gets_counters_as_rates_at_the_last_point_of_the_grid() -> None:
    metrics = Metrics(lambda: NOON)
    metrics.record(FakeSides().round())
    points = {(point.name, *point.labels.values()): point for point in metrics.points()}
    assert points["mr_prober_meeseeks_rounds", "applied"].kind is Kind.RATE
    assert points["mr_prober_meeseeks_listed_nodes",].value == 3

    client = RecordingClient(PushStatus.OK)
    RoundPush(client, PushEncoder(ClassicDialect()), {"host": "h"}).push(metrics.points(), NOON)
    assert client.bodies[0]["ts"] == NOON.timestamp() // 15 * 15
    assert client.bodies[0]["commonLabels"]["host"] == "h"
    taken = metrics_of(json.dumps(client.bodies[0]).encode(), now=NOON)
    assert len(taken) == len([*metrics.points()])


def test_a_push_that_fails_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    push = RoundPush(RecordingClient(PushStatus.RETRY, "away"), PushEncoder(ClassicDialect()), {})
    for _ in range(3):
        push.push(Metrics(lambda: NOON).points(), NOON)
    assert caplog.text.count("push to Solomon: retry away") == 1

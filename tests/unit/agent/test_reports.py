"""What reports say and when they go out."""

from datetime import UTC, datetime
from uuid import UUID

from agent.board import Board
from agent.identity import Identity
from agent.reports import Circumstances, ReportTimer, agent_report
from common.contracts.states import Outcome
from tests.unit.agent.factories import SECOND_NS, host_plan, planned, run_key, run_result

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
ABOUT = Circumstances(
    Identity(UUID(int=7), 3), "h1", 12, "its revision is older", "canaries: none of them could run"
)


def board() -> Board:
    made = Board()
    made.apply(
        host_plan(planned(1, '{"a":1}', '{"a":2}', '{"a":3}'), planned(2, problem="no such mode"))
    )
    return made


def test_states_are_characters_in_the_order_of_resolve() -> None:
    shown = board()
    shown.record(run_result(Outcome.SUCCESS, key=run_key(1, '{"a":3}')), NOW)
    shown.record(run_result(Outcome.TIMEOUT, key=run_key(1, '{"a":1}'), reason="late"), NOW)
    report = agent_report(shown, ABOUT, NOW)
    assert [prober["states"] for prober in report.probers] == ["240", "3"]
    assert [prober.get("last_run_at") for prober in report.probers] == [NOW, None]
    assert report.probers[0]["revision"] == 3


def test_reasons_stand_beside_what_is_not_green() -> None:
    shown = board()
    shown.record(run_result(Outcome.TIMEOUT, key=run_key(1, '{"a":2}'), reason="late"), NOW)
    reasons = agent_report(shown, ABOUT, NOW).reasons
    assert [(reason["combination"], reason["text"]) for reason in reasons] == [
        (1, "late"),
        (0, "no such mode"),
    ]


def test_there_are_at_most_200_reasons() -> None:
    shown = Board()
    shown.apply(host_plan(planned(1, *map(str, range(300)), problem="x" * 500)))
    reasons = agent_report(shown, ABOUT, NOW).reasons
    assert len(reasons) == 200
    assert len(reasons[0]["text"]) == 200


def test_says_who_speaks_and_what_is_wrong_with_the_configuration() -> None:
    report = agent_report(Board(), ABOUT, NOW)
    assert (report.instance, report.boot, report.host) == (UUID(int=7), 3, "h1")
    assert (report.document_revision, report.clock) == (12, NOW)
    assert report.configuration_problem == "its revision is older"
    assert report.canary_problem == "canaries: none of them could run"


def test_a_result_of_nobody_in_the_plan_changes_nothing() -> None:
    shown = board()
    assert shown.record(run_result(Outcome.FAILURE, key=run_key(9)), NOW) is None
    assert shown.state(run_key(9)) is None


def test_a_new_plan_keeps_what_is_known_until_the_next_run() -> None:
    shown = board()
    shown.record(run_result(Outcome.FAILURE, key=run_key(1, '{"a":1}'), reason="down"), NOW)
    shown.apply(host_plan(planned(1, '{"a":0}', '{"a":1}')))
    assert [prober["states"] for prober in shown.prober_reports()] == ["41"]


def timer() -> ReportTimer:
    made = ReportTimer(now_ns=0, jitter=lambda: 0.5)
    made.sent(0)
    return made


def test_reports_every_30_seconds_when_nothing_happens() -> None:
    assert timer().due_at_ns == 30 * SECOND_NS
    early = ReportTimer(now_ns=0, jitter=lambda: 0.0)
    late = ReportTimer(now_ns=0, jitter=lambda: 1.0)
    early.sent(0)
    late.sent(0)
    assert (early.due_at_ns, late.due_at_ns) == (24 * SECOND_NS, 36 * SECOND_NS)


def test_a_change_is_reported_within_2_seconds_and_never_sooner_than_2_after_the_last() -> None:
    soon = timer()
    soon.changed(SECOND_NS // 10)
    assert soon.due_at_ns == 2 * SECOND_NS
    quiet = timer()
    quiet.changed(10 * SECOND_NS)
    assert quiet.due_at_ns < 11 * SECOND_NS
    first_ns = quiet.due_at_ns
    quiet.changed(10 * SECOND_NS + 1)
    assert quiet.due_at_ns == first_ns

"""When: maximum age, spread, silent hosts, pauses after failures."""

from dataclasses import replace
from datetime import datetime, timedelta
from statistics import mean
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.clusters import DeploymentState
from common.contracts.identifiers import new_id
from creator.planner import Action, retry_at, spread_of
from creator.situations import Attempt, Silence
from tests.unit.creator.cluster_cases import (
    CHANGED,
    FAILED,
    NOW,
    OTHER,
    PACE,
    SUCCEEDED,
    UNKNOWN,
    UP_TO_DATE,
    WANTED,
    attempt,
    decision_about,
)


@pytest.mark.parametrize(
    ("planned_at", "action"),
    [
        (NOW - timedelta(minutes=9, seconds=59), Action.SKIP),
        (NOW - timedelta(minutes=10), Action.CHECK),
        (None, Action.CHECK),
    ],
)
def test_an_unchanged_cluster_is_checked_at_the_maximum_age(
    planned_at: datetime | None, action: Action
) -> None:
    cluster = replace(UP_TO_DATE, attempts=[SUCCEEDED], last_planned_at=planned_at)

    assert decision_about(cluster).action is action


@pytest.mark.parametrize(("failures", "seconds"), [(1, 15), (2, 30), (3, 60), (8, 1920), (9, 3600)])
def test_the_pause_doubles_with_each_failure_up_to_an_hour(failures: int, seconds: int) -> None:
    attempts = [FAILED] * failures + [SUCCEEDED, FAILED]

    until = retry_at(attempts, WANTED, pace=PACE)

    assert until == NOW - timedelta(seconds=1) + timedelta(seconds=seconds)
    # Of unknown ends one is tried again at once.
    unknown = [UNKNOWN] * (failures + 1)
    assert retry_at(unknown, WANTED, pace=PACE) == until


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [
        ([UNKNOWN], None),
        ([UNKNOWN, SUCCEEDED, FAILED], None),
        ([UNKNOWN, FAILED], 15),
        ([FAILED, UNKNOWN], 15),
        ([FAILED, UNKNOWN, FAILED], 30),
        ([UNKNOWN, FAILED, UNKNOWN, FAILED], 60),
        ([FAILED, UNKNOWN, FAILED, UNKNOWN, FAILED, UNKNOWN], 240),
        ([FAILED, attempt(DeploymentState.UNKNOWN, OTHER), FAILED], 15),
    ],
)
def test_failures_of_different_kinds_count_together(
    attempts: list[Attempt], seconds: int | None
) -> None:
    until = retry_at(attempts, WANTED, pace=PACE)

    assert until == (NOW + timedelta(seconds=seconds - 1) if seconds else None)


@given(
    row=st.lists(st.sampled_from([FAILED, UNKNOWN]), min_size=1, max_size=12),
    newest=st.sampled_from([FAILED, UNKNOWN]),
)
def test_one_failure_more_never_makes_the_pause_shorter(
    row: list[Attempt], newest: Attempt
) -> None:
    before, after = (retry_at(one, WANTED, pace=PACE) for one in (row, [newest, *row]))
    assert after is not None
    assert before is None or before <= after


@given(
    states=st.lists(st.sampled_from(DeploymentState)),
    fingerprints=st.data(),
    delay=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=365)),
)
def test_no_pause_is_longer_than_an_hour(
    states: list[DeploymentState], fingerprints: st.DataObject, delay: timedelta
) -> None:
    attempts = [
        attempt(state, fingerprints.draw(st.sampled_from([WANTED, OTHER]))) for state in states
    ]

    until = retry_at(attempts, WANTED, pace=replace(PACE, retry_delay=delay))

    assert until is None or until - NOW <= timedelta(hours=1)


AGE = PACE.maximum_plan_age
REST = replace(UP_TO_DATE, attempts=[SUCCEEDED], last_planned_at=NOW)


def test_clusters_of_one_age_are_checked_within_a_fifth_around_the_maximum_age() -> None:
    soon, late = replace(REST, spread=0.0), replace(REST, spread=1.0)
    assert decision_about(soon).again_at == NOW + 0.8 * AGE
    assert decision_about(late).again_at == NOW + 1.2 * AGE
    assert decision_about(soon, NOW + 0.8 * AGE).action is Action.CHECK


def test_the_spread_of_a_cluster_is_its_own_for_ever() -> None:
    spreads = [spread_of(new_id()) for _ in range(1000)]
    assert all(0 <= spread < 1 for spread in spreads)
    assert 0.4 < mean(spreads) < 0.6
    assert spread_of(UUID(int=7)) == spread_of(UUID(int=7))


def test_what_was_overdue_at_the_start_does_not_come_all_at_once() -> None:
    started = replace(PACE, started_at=NOW)
    overdue = replace(REST, last_planned_at=NOW - 3 * AGE)
    due = [decision_about(replace(overdue, spread=n / 10), pace=started).again_at for n in (2, 4)]
    assert due == [NOW + 0.1 * AGE, NOW + 0.2 * AGE]
    assert decision_about(overdue, NOW + AGE, pace=started).action is Action.CHECK
    # What people changed does not wait.
    changed = replace(CHANGED, last_planned_at=NOW - 3 * AGE)
    assert decision_about(changed, pace=started).action is Action.DEPLOY


def test_a_host_that_falls_silent_has_its_cluster_planned_once_before_its_time() -> None:
    silent = replace(REST, silence=Silence(("a", "b"), since=NOW + 0.5 * AGE))
    assert decision_about(silent).again_at == NOW + 0.5 * AGE
    decision = decision_about(silent, NOW + 0.5 * AGE)
    assert (decision.action, decision.reason) == (Action.CHECK, "no report from a, b")
    planned = replace(silent, last_planned_at=NOW + 0.5 * AGE)
    assert decision_about(planned, NOW + 0.51 * AGE).action is Action.SKIP
    assert decision_about(planned).again_at == NOW + 1.5 * AGE


def test_an_agent_that_comes_and_goes_does_not_cause_a_plan_each_time() -> None:
    flapping = replace(REST, silence=Silence(("a",), since=NOW + 0.01 * AGE))
    assert decision_about(flapping, NOW + 0.02 * AGE).action is Action.SKIP
    assert decision_about(flapping, NOW + 0.25 * AGE).action is Action.CHECK

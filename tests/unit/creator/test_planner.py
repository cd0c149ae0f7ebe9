"""The table of Creator's decisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy, PlanSummary
from creator.planner import (
    Action,
    Attempt,
    ClusterSituation,
    Pace,
    Ruling,
    Switches,
    decide,
    may_apply_as_approved,
    reason_not_to_apply,
    retry_at,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PACE = Pace(maximum_plan_age=timedelta(minutes=10), retry_delay=timedelta(seconds=15))
WANTED = "wanted"
OTHER = "other"

UP_TO_DATE = ClusterSituation(
    state=ClusterState.ACTIVE,
    deploy_policy=DeployPolicy.AUTOMATIC,
    deployed_fingerprint=WANTED,
    last_planned_at=NOW - timedelta(minutes=1),
    attempts=(),
    was_applied=True,
)


def attempt(state: DeploymentState, fingerprint: str = WANTED, seconds_ago: float = 1) -> Attempt:
    return Attempt(state, fingerprint, NOW - timedelta(seconds=seconds_ago))


SUCCEEDED = attempt(DeploymentState.SUCCEEDED)
FAILED = attempt(DeploymentState.FAILED)
FAILED_LONG_AGO = attempt(DeploymentState.FAILED, seconds_ago=3600)
UNKNOWN = attempt(DeploymentState.UNKNOWN)
WAITING = attempt(DeploymentState.WAITING_FOR_APPROVAL)
OTHER_SUCCEEDED = attempt(DeploymentState.SUCCEEDED, OTHER)
OTHER_FAILED = attempt(DeploymentState.FAILED, OTHER)
OTHER_UNKNOWN = attempt(DeploymentState.UNKNOWN, OTHER)
OTHER_WAITING = attempt(DeploymentState.WAITING_FOR_APPROVAL, OTHER)


@pytest.mark.parametrize(
    ("attempts", "deployed", "policy", "action", "reason"),
    [
        ([], "", "automatic", "deploy", "new cluster"),
        ([SUCCEEDED], WANTED, "automatic", "skip", "nothing has changed"),
        ([OTHER_SUCCEEDED], OTHER, "automatic", "deploy", "the recipe or a value has changed"),
        ([OTHER_FAILED], OTHER, "automatic", "deploy", "the recipe or a value has changed"),
        ([OTHER_FAILED], WANTED, "automatic", "deploy", "the description was set back"),
        ([OTHER_FAILED, SUCCEEDED], "", "automatic", "deploy", "the recipe or a value has changed"),
        ([FAILED_LONG_AGO], OTHER, "automatic", "deploy", "the last deployment failed"),
        ([FAILED_LONG_AGO], WANTED, "automatic", "deploy", "the last deployment failed"),
        ([FAILED], OTHER, "automatic", "wait", "the last attempt failed, next one at 12:00:14 UTC"),
        ([UNKNOWN], WANTED, "automatic", "deploy", "how the last deployment ended is not known"),
        (
            [UNKNOWN, FAILED],
            "",
            "automatic",
            "deploy",
            "how the last deployment ended is not known",
        ),
        (
            [UNKNOWN, UNKNOWN],
            "",
            "automatic",
            "wait",
            "the last attempt failed, next one at 12:00:14 UTC",
        ),
        (
            [UNKNOWN, OTHER_UNKNOWN],
            "",
            "automatic",
            "deploy",
            "how the last deployment ended is not known",
        ),
        # Policies that only plan, plan once.
        ([SUCCEEDED], OTHER, "plan_only", "skip", "nothing has changed"),
        ([WAITING], OTHER, "approve", "skip", "nothing has changed"),
        ([OTHER_SUCCEEDED], WANTED, "plan_only", "skip", "nothing has changed"),
        ([OTHER_WAITING], WANTED, "approve", "deploy", "the description was set back"),
        ([OTHER_SUCCEEDED], "", "plan_only", "deploy", "the recipe or a value has changed"),
        ([WAITING], OTHER, "plan_only", "deploy", "the deploy policy has changed"),
        ([SUCCEEDED], OTHER, "approve", "deploy", "the deploy policy has changed"),
        ([SUCCEEDED], OTHER, "automatic", "deploy", "planned changes may be applied now"),
        ([WAITING], WANTED, "automatic", "deploy", "planned changes may be applied now"),
        ([WAITING], WANTED, "approve", "skip", "nothing has changed"),
    ],
)
def test_an_active_cluster(
    attempts: list[Attempt], deployed: str, policy: str, action: str, reason: str
) -> None:
    cluster = replace(
        UP_TO_DATE,
        attempts=attempts,
        deployed_fingerprint=deployed,
        deploy_policy=DeployPolicy(policy),
    )

    decision = decide(cluster, WANTED, NOW, pace=PACE)

    assert (decision.action.value, decision.reason) == (action, reason)


@pytest.mark.parametrize(
    ("state", "attempts", "was_applied", "action"),
    [
        (ClusterState.DELETING, [], False, Action.FINISH_DESTROY),
        (ClusterState.DELETING, [FAILED], False, Action.FINISH_DESTROY),
        (ClusterState.DELETING, [OTHER_SUCCEEDED], True, Action.DESTROY),
        (ClusterState.DELETING, [FAILED], True, Action.WAIT),
        (ClusterState.DELETING, [FAILED_LONG_AGO], True, Action.DESTROY),
        (ClusterState.DELETING, [OTHER_FAILED], True, Action.DESTROY),
        (ClusterState.DELETING, [UNKNOWN], True, Action.DESTROY),
        (ClusterState.DELETING, [SUCCEEDED], True, Action.DESTROY),
        (ClusterState.DESTROYED, [SUCCEEDED], True, Action.SKIP),
    ],
)
def test_a_cluster_that_goes(
    state: ClusterState, attempts: list[Attempt], was_applied: bool, action: Action
) -> None:
    cluster = replace(UP_TO_DATE, state=state, attempts=attempts, was_applied=was_applied)

    assert decide(cluster, WANTED, NOW, pace=PACE).action is action


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

    assert decide(cluster, WANTED, NOW, pace=PACE).action is action


@pytest.mark.parametrize(("failures", "seconds"), [(1, 15), (2, 30), (3, 60), (8, 1920), (9, 3600)])
def test_the_pause_doubles_with_each_failure_up_to_an_hour(failures: int, seconds: int) -> None:
    attempts = [FAILED] * failures + [SUCCEEDED, FAILED]

    until = retry_at(attempts, WANTED, pace=PACE)

    assert until == NOW - timedelta(seconds=1) + timedelta(seconds=seconds)
    # Of unknown ends the first one is tried again at once.
    unknown = [UNKNOWN] * (failures + 1)
    assert retry_at(unknown, WANTED, pace=PACE) == until


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


def test_nothing_is_deployed_from_an_invalid_recipe_whoever_asks() -> None:
    cluster = replace(UP_TO_DATE, deployed_fingerprint="", recipe_problem="main.tf:3: no")

    decision = decide(cluster, WANTED, NOW, pace=PACE)

    assert decision.action is Action.SKIP
    assert "main.tf:3: no" in decision.reason
    gone = replace(cluster, state=ClusterState.DELETING)
    assert decide(gone, WANTED, NOW, pace=PACE).action is Action.DESTROY


def test_a_deployment_waits_for_the_verdict_but_not_for_ever() -> None:
    cluster = replace(
        UP_TO_DATE, deployed_fingerprint="", verdict_expected_until=NOW + timedelta(seconds=1)
    )

    assert decide(cluster, WANTED, NOW, pace=PACE).action is Action.WAIT
    later = NOW + timedelta(seconds=1)
    assert decide(cluster, WANTED, later, pace=PACE).action is Action.DEPLOY


# What people decided

CHANGED = replace(UP_TO_DATE, attempts=[OTHER_SUCCEEDED], deployed_fingerprint=OTHER)
GONE = replace(UP_TO_DATE, state=ClusterState.DELETING)
YES = Ruling(approved=True, by="ann", at=NOW)
NO = Ruling(approved=False, by="ann", at=NOW)
PAUSED = Switches(is_paused=True, paused_by="bob")
STOPPED = Switches(applies_stopped=True, applies_stopped_by="bob")
ASKED = Switches(deploy_requested_at=NOW, deploy_requested_by="bob")


def decided(cluster: ClusterSituation, switches: Switches) -> tuple[str, str]:
    decision = decide(replace(cluster, switches=switches), WANTED, NOW, pace=PACE)
    return decision.action.value, decision.reason


@pytest.mark.parametrize("cluster", [CHANGED, GONE, replace(GONE, was_applied=False)])
@pytest.mark.parametrize(
    ("switches", "reason"),
    [
        (PAUSED, "the cluster is paused by bob"),
        (
            replace(PAUSED, paused_until=NOW + timedelta(hours=1)),
            "the cluster is paused by bob until 2026-11-22 13:00:00 UTC",
        ),
        (STOPPED, "all applies are stopped by bob"),
        (replace(PAUSED, deploy_requested_at=NOW), "the cluster is paused by bob"),
    ],
)
def test_nothing_is_done_while_people_hold_it(
    cluster: ClusterSituation, switches: Switches, reason: str
) -> None:
    assert decided(cluster, switches) == ("wait", reason)


def test_a_pause_ends_by_itself() -> None:
    assert decided(CHANGED, replace(PAUSED, paused_until=NOW))[0] == "deploy"


def test_who_asks_for_a_deployment_waits_for_no_delay() -> None:
    assert decided(replace(UP_TO_DATE, attempts=[SUCCEEDED]), ASKED) == (
        "deploy",
        "asked for by bob",
    )
    failed = replace(UP_TO_DATE, attempts=[FAILED], deployed_fingerprint="")
    assert decided(failed, Switches())[0] == "wait"
    assert decided(failed, ASKED) == ("deploy", "asked for by bob")


@pytest.mark.parametrize(
    ("attempt", "action", "reason"),
    [
        (replace(WAITING, ruling=YES), "deploy", "approved by ann"),
        (replace(WAITING, ruling=None), "skip", "nothing has changed"),
        (replace(attempt(DeploymentState.SUPERSEDED), ruling=NO), "skip", "nothing has changed"),
        (replace(OTHER_WAITING, ruling=YES), "deploy", "the recipe or a value has changed"),
        (
            replace(attempt(DeploymentState.SUPERSEDED, OTHER), ruling=NO),
            "deploy",
            "the recipe or a value has changed",
        ),
    ],
)
def test_a_ruling_is_about_one_plan(attempt: Attempt, action: str, reason: str) -> None:
    policy = DeployPolicy.APPROVE
    cluster = replace(
        UP_TO_DATE, attempts=[attempt], deployed_fingerprint="before", deploy_policy=policy
    )
    assert decided(cluster, Switches()) == (action, reason)


def test_only_the_plan_that_was_approved_is_applied() -> None:
    summary = PlanSummary(create=1)
    approved = replace(WAITING, ruling=YES, summary=summary)
    assert may_apply_as_approved(approved, WANTED, summary)
    assert not may_apply_as_approved(approved, OTHER, summary)
    assert not may_apply_as_approved(approved, WANTED, PlanSummary(destroy=1))
    assert not may_apply_as_approved(replace(approved, ruling=NO), WANTED, summary)
    assert not may_apply_as_approved(replace(approved, ruling=None), WANTED, summary)
    assert not may_apply_as_approved(replace(SUCCEEDED, ruling=YES), WANTED, summary)
    assert not may_apply_as_approved(None, WANTED, summary)


def test_it_is_asked_again_before_a_plan_is_applied() -> None:
    active, deleting = ClusterState.ACTIVE, ClusterState.DELETING
    assert reason_not_to_apply(Switches(), active, NOW, destroys=False) == ""
    assert reason_not_to_apply(Switches(), deleting, NOW, destroys=True) == ""
    assert "is active" in reason_not_to_apply(Switches(), active, NOW, destroys=True)
    assert "is deleting" in reason_not_to_apply(Switches(), deleting, NOW, destroys=False)
    assert "paused" in reason_not_to_apply(PAUSED, active, NOW, destroys=False)
    assert "stopped" in reason_not_to_apply(STOPPED, deleting, NOW, destroys=True)

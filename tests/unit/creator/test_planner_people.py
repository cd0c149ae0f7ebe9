"""What people decided beside the description: pauses, the switch, requests, approvals; and that it is asked again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from common.contracts.deployments import Gates
from creator.planner import Action, reason_not_to_apply, reason_to_judge_again
from creator.situations import Attempt, ClusterSituation, Restraints, Switches
from tests.unit.creator.cluster_cases import (
    ASKED,
    CHANGED,
    FAILED,
    GONE,
    NO,
    NOW,
    OTHER,
    OTHER_WAITING,
    PAUSED,
    STOPPED,
    SUCCEEDED,
    UP_TO_DATE,
    WAITING,
    YES,
    attempt,
    decided,
    decision_about,
)


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
    assert decided(failed, Switches())[0] == "back_off"
    assert decided(failed, ASKED) == ("deploy", "asked for by bob")


@pytest.mark.parametrize(
    ("attempt", "action", "reason"),
    [
        (replace(WAITING, ruling=YES), "deploy", "approved by ann"),
        (replace(WAITING, ruling=None), "wait_for_approval", "a plan waits for approval"),
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


def test_it_is_asked_again_before_a_plan_is_applied() -> None:
    active, deleting = ClusterState.ACTIVE, ClusterState.DELETING
    assert reason_not_to_apply(Switches(), active, NOW, destroys=False) == ""
    assert reason_not_to_apply(Switches(), deleting, NOW, destroys=True) == ""
    assert "is active" in reason_not_to_apply(Switches(), active, NOW, destroys=True)
    assert "is deleting" in reason_not_to_apply(Switches(), deleting, NOW, destroys=False)
    assert "paused" in reason_not_to_apply(PAUSED, active, NOW, destroys=False)
    assert "stopped" in reason_not_to_apply(STOPPED, deleting, NOW, destroys=True)


@pytest.mark.parametrize("destroys", [False, True])
def test_a_plan_is_judged_again_by_what_people_decided_since(destroys: bool) -> None:
    planned = Restraints(DeployPolicy.AUTOMATIC, Gates(), is_protected=False)
    assert reason_to_judge_again(planned, planned, destroys=destroys) == ""
    gated = replace(planned, gates=Gates(destroyed_count=0))
    assert "gates" in reason_to_judge_again(planned, gated, destroys=destroys)
    held = replace(planned, deploy_policy=DeployPolicy.PLAN_ONLY)
    assert bool(reason_to_judge_again(planned, held, destroys=destroys)) is not destroys
    protected = replace(planned, is_protected=True)
    assert bool(reason_to_judge_again(planned, protected, destroys=destroys)) is destroys


KEPT = replace(WAITING, ruling=YES, plan_expires_at=NOW + timedelta(hours=1))
WAITS = replace(CHANGED, attempts=[KEPT], deploy_policy=DeployPolicy.APPROVE)


def test_a_kept_plan_is_applied_as_it_was_approved() -> None:
    assert decided(WAITS, Switches()) == ("apply", "approved by ann")
    by_gate = replace(WAITS, deploy_policy=DeployPolicy.AUTOMATIC)
    assert decided(by_gate, Switches()) == ("apply", "approved by ann")
    # Who approves it and asks for a deployment means this one.
    assert decided(WAITS, ASKED)[0] == "apply"


def test_a_plan_that_was_kept_for_too_long_is_made_again() -> None:
    after = NOW + timedelta(hours=1)
    assert decision_about(WAITS, after).action is Action.DEPLOY
    waiting = replace(WAITS, attempts=[replace(KEPT, ruling=None)], last_planned_at=after)
    assert decision_about(waiting).action is Action.WAIT_FOR_APPROVAL
    again = decision_about(waiting, after)
    assert (again.action, again.reason) == (
        Action.DEPLOY,
        "the plan that waited for approval has expired",
    )


def test_nothing_is_applied_where_only_plans_are_made_whoever_approved_it() -> None:
    only_planned = replace(WAITS, deploy_policy=DeployPolicy.PLAN_ONLY)
    assert decided(only_planned, Switches())[0] == "deploy"
    assert decided(WAITS, PAUSED)[0] == "wait"

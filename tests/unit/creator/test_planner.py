"""The table of Creator's decisions: what is done about a cluster by its state, its description and its last attempts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from creator.lanes import Lane, lane_of
from creator.planner import Action, decide
from creator.situations import Attempt
from tests.unit.creator.cluster_cases import (
    ASKED,
    BEFORE_UPGRADE,
    FAILED,
    FAILED_LONG_AGO,
    GONE,
    NO,
    NOW,
    OTHER,
    OTHER_FAILED,
    OTHER_SUCCEEDED,
    OTHER_UNKNOWN,
    OTHER_WAITING,
    PACE,
    QUARANTINED,
    STOPPED_BY_GATE,
    SUCCEEDED,
    UNKNOWN,
    UP_TO_DATE,
    WAITING,
    WANTED,
    YES,
    decided,
    decision_about,
)

KEPT = replace(WAITING, plan_expires_at=NOW + timedelta(hours=1))
REJECTED_AT_GATE = replace(STOPPED_BY_GATE, state=DeploymentState.SUPERSEDED, ruling=NO)


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
        (
            [FAILED],
            OTHER,
            "automatic",
            "back_off",
            "the last attempt failed, next one at 12:00:14 UTC",
        ),
        ([UNKNOWN], WANTED, "automatic", "deploy", "how the last deployment ended is not known"),
        (
            [UNKNOWN, FAILED],
            "",
            "automatic",
            "back_off",
            "the last attempt failed, next one at 12:00:14 UTC",
        ),
        (
            [UNKNOWN, UNKNOWN],
            "",
            "automatic",
            "back_off",
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
        ([WAITING], OTHER, "approve", "wait_for_approval", "a plan waits for approval"),
        ([OTHER_SUCCEEDED], WANTED, "plan_only", "skip", "nothing has changed"),
        ([OTHER_WAITING], WANTED, "approve", "deploy", "the description was set back"),
        ([OTHER_SUCCEEDED], "", "plan_only", "deploy", "the recipe or a value has changed"),
        ([WAITING], OTHER, "plan_only", "deploy", "the deploy policy has changed"),
        ([SUCCEEDED], OTHER, "approve", "deploy", "the deploy policy has changed"),
        ([SUCCEEDED], OTHER, "automatic", "deploy", "planned changes may be applied now"),
        ([WAITING], WANTED, "automatic", "deploy", "planned changes may be applied now"),
        ([WAITING], WANTED, "approve", "wait_for_approval", "a plan waits for approval"),
        # What a gate stopped waits for a person under every policy.
        ([STOPPED_BY_GATE], OTHER, "automatic", "wait_for_approval", STOPPED_BY_GATE.gate),
        ([STOPPED_BY_GATE], OTHER, "approve", "wait_for_approval", STOPPED_BY_GATE.gate),
        ([REJECTED_AT_GATE], OTHER, "automatic", "skip", "nothing has changed"),
        ([REJECTED_AT_GATE], OTHER, "approve", "skip", "nothing has changed"),
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

    decision = decision_about(cluster)

    assert (decision.action.value, decision.reason) == (action, reason)


@pytest.mark.parametrize(
    ("newest", "deployed", "policy", "action"),
    [
        (SUCCEEDED, BEFORE_UPGRADE, "automatic", "skip"),
        (SUCCEEDED, BEFORE_UPGRADE, "approve", "skip"),
        (SUCCEEDED, BEFORE_UPGRADE, "plan_only", "skip"),
        (SUCCEEDED, OTHER, "plan_only", "skip"),
        (WAITING, OTHER, "approve", "wait_for_approval"),
        (STOPPED_BY_GATE, OTHER, "automatic", "wait_for_approval"),
        (REJECTED_AT_GATE, OTHER, "automatic", "skip"),
        (FAILED, "", "automatic", "back_off"),
        # What would be done anyway is done.
        (FAILED_LONG_AGO, "", "automatic", "deploy"),
        (UNKNOWN, "", "automatic", "deploy"),
        (OTHER_SUCCEEDED, OTHER, "automatic", "deploy"),
        (replace(WAITING, ruling=YES), OTHER, "approve", "deploy"),
        (replace(KEPT, ruling=YES), OTHER, "approve", "deploy"),
    ],
)
def test_another_terraform_alone_makes_nobodys_turn_before_the_next_check(
    newest: Attempt, deployed: str, policy: str, action: str
) -> None:
    cluster = replace(
        UP_TO_DATE,
        attempts=[replace(newest, fingerprint=newest.fingerprint.replace("new", "old"))],
        deployed_fingerprint=deployed,
        deploy_policy=DeployPolicy(policy),
    )

    assert decision_about(cluster).action == action


def test_the_first_check_after_an_upgrade_comes_at_its_time_in_the_lane_of_checks() -> None:
    before = replace(SUCCEEDED, fingerprint=BEFORE_UPGRADE)
    clusters = [
        replace(
            UP_TO_DATE,
            attempts=[before],
            deployed_fingerprint=BEFORE_UPGRADE,
            last_planned_at=NOW,
            spread=number / 4,
        )
        for number in range(4)
    ]
    due = [decision_about(cluster).again_at for cluster in clusters]
    assert len(set(due)) == 4, "not all at once"
    late = NOW + 1.2 * PACE.maximum_plan_age
    for cluster in clusters:
        decision = decision_about(cluster, late)
        assert decision.reason == "terraform has another version since"
        assert lane_of(decision) is Lane.DRIFT


@pytest.mark.parametrize(
    ("state", "attempts", "was_applied", "action"),
    [
        (ClusterState.DELETING, [], False, Action.FINISH_DESTROY),
        (ClusterState.DELETING, [FAILED], False, Action.FINISH_DESTROY),
        (ClusterState.DELETING, [OTHER_SUCCEEDED], True, Action.DESTROY),
        (ClusterState.DELETING, [FAILED], True, Action.BACK_OFF),
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

    assert decision_about(cluster).action is action


def test_nothing_is_deployed_from_an_invalid_recipe_whoever_asks() -> None:
    cluster = replace(UP_TO_DATE, deployed_fingerprint="", recipe_problem="main.tf:3: no")

    decision = decision_about(cluster)

    assert decision.action is Action.SKIP
    assert "main.tf:3: no" in decision.reason
    gone = replace(cluster, state=ClusterState.DELETING)
    assert decision_about(gone).action is Action.DESTROY


def test_a_deployment_waits_for_the_verdict_but_not_for_ever() -> None:
    cluster = replace(
        UP_TO_DATE, deployed_fingerprint="", verdict_expected_until=NOW + timedelta(seconds=1)
    )

    assert decision_about(cluster).action is Action.WAIT
    later = NOW + timedelta(seconds=1)
    assert decision_about(cluster, later).action is Action.DEPLOY


def test_a_protected_cluster_is_never_destroyed() -> None:
    for was_applied in (True, False):
        going = replace(GONE, is_protected=True, was_applied=was_applied)
        assert decision_about(going).action is Action.SKIP


def test_what_differs_after_each_apply_is_left_alone_until_the_description_changes() -> None:
    decision = decision_about(QUARANTINED)
    assert decision.action is Action.QUARANTINE
    assert decision.reason == "thing.a differed again after each of 3 applies"
    # Its plan was only shown.
    shown = replace(QUARANTINED, deployed_fingerprint="before")
    assert decision_about(shown).action is Action.QUARANTINE
    later = NOW + PACE.maximum_plan_age
    assert decision_about(QUARANTINED, later).action is Action.CHECK
    assert decide(QUARANTINED, OTHER, NOW, pace=PACE).action is Action.DEPLOY


def test_a_check_of_it_that_went_wrong_is_no_reason_to_apply() -> None:
    for went_wrong in (FAILED_LONG_AGO, UNKNOWN):
        check = replace(went_wrong, is_check=True)
        checked = replace(QUARANTINED, attempts=[check])
        assert decision_about(checked).action is Action.QUARANTINE
        # What a person asked for is tried again, and so is what had begun to apply.
        assert decision_about(replace(checked, attempts=[went_wrong])).action is Action.DEPLOY
        assert decision_about(replace(checked, deployed_fingerprint="")).action is Action.DEPLOY
        assert decision_about(replace(checked, quarantine=None)).action is Action.DEPLOY


def test_a_person_may_ask_for_what_is_in_quarantine() -> None:
    assert decided(QUARANTINED, ASKED) == ("deploy", "asked for by bob")


def test_without_a_revision_there_is_nothing_to_deploy() -> None:
    assert decide(UP_TO_DATE, "", NOW, pace=PACE).action is Action.SKIP

"""The table of Creator's decisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from creator.planner import Action, Attempt, ClusterSituation, Pace, decide, retry_at

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

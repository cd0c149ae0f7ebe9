"""What holds for every decision, whatever the situation."""

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from common.contracts.deployments import Quarantine
from creator.planner import Action, Pace, decide, reason_to_wait
from creator.situations import Attempt, ClusterSituation, Ruling, Silence, Switches
from tests.unit.creator.cluster_cases import BEFORE_UPGRADE, NOW, OTHER, WANTED

MOMENTS = st.integers(-7200, 7200).map(lambda seconds: NOW + timedelta(seconds=seconds))
FINGERPRINTS = st.sampled_from([WANTED, BEFORE_UPGRADE, OTHER, ""])
OFTEN_FALSE = st.sampled_from([False, False, False, True])
ATTEMPTS = st.builds(
    Attempt,
    state=st.sampled_from(DeploymentState),
    fingerprint=FINGERPRINTS,
    finished_at=st.none() | MOMENTS,
    ruling=st.none() | st.builds(Ruling, approved=st.booleans(), by=st.just("ann"), at=MOMENTS),
    gate=st.sampled_from(["", "too much"]),
    plan_expires_at=st.none() | MOMENTS,
)
SITUATIONS = st.builds(
    ClusterSituation,
    state=st.sampled_from(ClusterState),
    deploy_policy=st.sampled_from(DeployPolicy),
    deployed_fingerprint=FINGERPRINTS,
    last_planned_at=st.none() | MOMENTS,
    attempts=st.lists(ATTEMPTS, max_size=3),
    was_applied=st.booleans(),
    recipe_problem=st.sampled_from(["", "", "no"]),
    verdict_expected_until=st.none() | MOMENTS,
    switches=st.builds(
        Switches,
        is_paused=OFTEN_FALSE,
        paused_by=st.just("bob"),
        paused_until=st.none() | MOMENTS,
        deploy_requested_at=st.none() | st.none() | MOMENTS,
        deploy_requested_by=st.just("bob"),
        applies_stopped=OFTEN_FALSE,
    ),
    is_protected=st.booleans(),
    quarantine=st.none()
    | st.builds(
        Quarantine,
        addresses=st.just(["thing.a"]),
        since=MOMENTS,
        applies=st.just(3),
        fingerprint=FINGERPRINTS,
    ),
    silence=st.none() | st.builds(Silence, hosts=st.just(("a",)), since=MOMENTS),
    spread=st.floats(0, 1),
)
PACES = st.builds(
    Pace,
    maximum_plan_age=st.just(timedelta(minutes=10)),
    retry_delay=st.just(timedelta(seconds=15)),
    started_at=st.none() | MOMENTS,
)


@settings(max_examples=500)
@given(cluster=SITUATIONS, pace=PACES, share=st.floats(0, 1, exclude_max=True))
def test_what_holds_for_every_decision(cluster: ClusterSituation, pace: Pace, share: float) -> None:
    decision = decide(cluster, WANTED, NOW, pace=pace)

    assert decision.reason
    if decision.is_idle:
        _holds_until_it_says(decision.again_at, cluster, pace, share)
        return
    assert decision.again_at is None
    assert not reason_to_wait(cluster.switches, NOW), "people hold it"
    if decision.action in (Action.DESTROY, Action.FINISH_DESTROY):
        assert cluster.state is ClusterState.DELETING
        assert not cluster.is_protected
        return
    assert cluster.state is ClusterState.ACTIVE
    assert not cluster.recipe_problem
    if decision.action is Action.APPLY:
        newest = cluster.attempts[0]
        assert newest.is_approved
        assert newest.fingerprint == WANTED
        assert newest.plan_expires_at is not None
        assert newest.plan_expires_at > NOW
        assert cluster.deploy_policy is not DeployPolicy.PLAN_ONLY


def _holds_until_it_says(
    again_at: datetime | None, cluster: ClusterSituation, pace: Pace, share: float
) -> None:
    assert again_at is None or again_at > NOW, "it would be asked again and again"
    until = again_at or NOW + timedelta(days=365)
    between = NOW + share * (until - NOW)
    first, then = (decide(cluster, WANTED, at, pace=pace) for at in (NOW, between))
    assert (first.action, first.reason, first.again_at) == (
        then.action,
        then.reason,
        then.again_at,
    )

"""Situations of clusters that the tests of Creator's decisions begin with."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from common.contracts.deployments import Quarantine
from creator.planner import Decision, Pace, decide
from creator.situations import Attempt, ClusterSituation, Ruling, Switches

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PACE = Pace(maximum_plan_age=timedelta(minutes=10), retry_delay=timedelta(seconds=15))
WANTED = "wanted.new"
OTHER = "other.new"
BEFORE_UPGRADE = "wanted.old"  # the same description, with the terraform of before

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

CHANGED = replace(UP_TO_DATE, attempts=[OTHER_SUCCEEDED], deployed_fingerprint=OTHER)
GONE = replace(UP_TO_DATE, state=ClusterState.DELETING)
YES = Ruling(approved=True, by="ann", at=NOW)
NO = Ruling(approved=False, by="ann", at=NOW)
PAUSED = Switches(is_paused=True, paused_by="bob")
STOPPED = Switches(applies_stopped=True, applies_stopped_by="bob")
ASKED = Switches(deploy_requested_at=NOW, deploy_requested_by="bob")
QUARANTINED = replace(
    UP_TO_DATE,
    attempts=[SUCCEEDED],
    quarantine=Quarantine(addresses=["thing.a"], since=NOW, applies=3, fingerprint=WANTED),
)
# A plan that a gate stopped although the policy is automatic.
STOPPED_BY_GATE = replace(WAITING, gate="5 resources would be destroyed")


def decision_about(cluster: ClusterSituation, at: datetime = NOW, pace: Pace = PACE) -> Decision:
    return decide(cluster, WANTED, at, pace=pace)


def decided(cluster: ClusterSituation, switches: Switches) -> tuple[str, str]:
    decision = decision_about(replace(cluster, switches=switches))
    return decision.action.value, decision.reason

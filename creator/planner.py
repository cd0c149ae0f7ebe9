"""Decide: what to do about one cluster now, and why. Pure; everything that Creator does can be read from here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy, PlanSummary

MAXIMUM_RETRY_DELAY = timedelta(hours=1)
# More failures than that change nothing: the delay has reached its maximum.
ATTEMPTS_LOOKED_AT = 20


_REASONS_TO_TRY_AGAIN = {
    DeploymentState.FAILED: "the last deployment failed",
    DeploymentState.UNKNOWN: "how the last deployment ended is not known",
}
_STATE_WHEN_PLANNED = {
    DeployPolicy.APPROVE: DeploymentState.WAITING_FOR_APPROVAL,
    DeployPolicy.PLAN_ONLY: DeploymentState.SUCCEEDED,
}


class Action(StrEnum):
    """What to do about a cluster."""

    SKIP = "skip"
    WAIT = "wait"  # something to do, but not yet
    CHECK = "check"  # nothing new, but the last plan is old: plan, and deploy if reality differs
    DEPLOY = "deploy"
    DESTROY = "destroy"
    FINISH_DESTROY = "finish_destroy"  # nothing was ever made


@dataclass(frozen=True)
class Decision:
    """An action and its reason; the reason of an action becomes the deployment's cause."""

    action: Action
    reason: str


@dataclass(frozen=True)
class Attempt:
    """A deployment that is no longer under way."""

    state: DeploymentState
    fingerprint: str
    finished_at: datetime | None
    summary: PlanSummary | None = None
    ruling: "Ruling | None" = None

    @property
    def is_approved(self) -> bool:
        """A person said yes, and Creator has not acted on it yet."""
        waits = self.state is DeploymentState.WAITING_FOR_APPROVAL
        return waits and self.ruling is not None and self.ruling.approved

    @property
    def is_rejected(self) -> bool:
        """A person said no to this very plan."""
        return self.ruling is not None and not self.ruling.approved


@dataclass(frozen=True)
class Ruling:
    """What a person ruled about a plan."""

    approved: bool
    by: str
    at: datetime


@dataclass(frozen=True)
class Switches:
    """What people decided about a cluster, or about all of them, beside its description."""

    paused_by: str = ""
    paused_until: datetime | None = None  # None: until somebody ends it
    is_paused: bool = False
    deploy_requested_at: datetime | None = None
    deploy_requested_by: str = ""
    applies_stopped: bool = False
    applies_stopped_by: str = ""


@dataclass(frozen=True)
class ClusterSituation:
    """What the planner must know of a cluster; attempts are newest first."""

    state: ClusterState
    deploy_policy: DeployPolicy
    deployed_fingerprint: str
    last_planned_at: datetime | None
    attempts: Sequence[Attempt]
    was_applied: bool  # an apply was started at least once
    recipe_problem: str = ""  # why terraform calls the recipe's revision invalid
    # A new revision is judged first; until then, at most.
    verdict_expected_until: datetime | None = None
    switches: Switches = Switches()


@dataclass(frozen=True)
class Pace:
    """How often things are done."""

    maximum_plan_age: timedelta
    retry_delay: timedelta


def decide(
    cluster: ClusterSituation, desired_fingerprint: str, now: datetime, *, pace: Pace
) -> Decision:
    """What to do about the cluster; `desired_fingerprint` stands for its recipe, values and tools of now."""
    wanted = _wanted(cluster, desired_fingerprint, now, pace=pace)
    if wanted.action in (Action.SKIP, Action.WAIT):
        return wanted
    if reason := reason_to_wait(cluster.switches, now):
        return Decision(Action.WAIT, reason)
    if wanted.action is Action.FINISH_DESTROY or cluster.switches.deploy_requested_at:
        return wanted  # who asks for it now does not want to hear of delays
    until = retry_at(cluster.attempts, desired_fingerprint, pace=pace)
    if until is not None and now < until:
        return Decision(Action.WAIT, f"the last attempt failed, next one at {until:%H:%M:%S} UTC")
    return wanted


def reason_to_wait(switches: Switches, now: datetime) -> str:
    """Why nothing may be done about the cluster now; empty if it may. A pause ends by itself."""
    if switches.applies_stopped:
        return f"all applies are stopped by {switches.applies_stopped_by}"
    until = switches.paused_until
    if switches.is_paused and (until is None or now < until):
        end = f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
        return f"the cluster is paused by {switches.paused_by}{end}"
    return ""


def reason_not_to_apply(
    switches: Switches, state: ClusterState, now: datetime, *, destroys: bool
) -> str:
    """Asked once more between plan and apply, which may be an hour apart; empty if the plan may be applied."""
    if reason := reason_to_wait(switches, now):
        return reason
    planned_for = ClusterState.DELETING if destroys else ClusterState.ACTIVE
    return "" if state is planned_for else f"the cluster is {state} meanwhile"


def may_apply_as_approved(newest: Attempt | None, fingerprint: str, summary: PlanSummary) -> bool:
    """Whether a new plan is the one that a person approved, as far as can be told: for the same thing, with the same figures."""
    return (
        newest is not None
        and newest.is_approved
        and newest.fingerprint == fingerprint
        and newest.summary == summary
    )


def retry_at(attempts: Sequence[Attempt], fingerprint: str, *, pace: Pace) -> datetime | None:
    """When the same thing may be tried again; None = at once, since the last attempt was another thing or did not fail."""
    newest = attempts[0] if attempts else None
    if newest is None or newest.state not in _REASONS_TO_TRY_AGAIN or newest.finished_at is None:
        return None
    failures = _consecutive(newest.state, attempts, fingerprint)
    if newest.state is DeploymentState.UNKNOWN:
        failures -= 1  # the first one is tried again at once: somebody killed Creator or terraform
    if failures <= 0:
        return None
    # The exponent is bounded, so that no timedelta overflows.
    doubled = pace.retry_delay * (1 << min(failures - 1, ATTEMPTS_LOOKED_AT))
    return newest.finished_at + min(doubled, MAXIMUM_RETRY_DELAY)


def _wanted(
    cluster: ClusterSituation, desired_fingerprint: str, now: datetime, *, pace: Pace
) -> Decision:
    if cluster.state is ClusterState.DESTROYED:
        return Decision(Action.SKIP, "the cluster is destroyed")
    if cluster.state is ClusterState.DELETING:
        return _destruction(cluster)
    return _by_verdict(cluster, now) or _of_active(cluster, desired_fingerprint, now, pace=pace)


def _of_active(
    cluster: ClusterSituation, desired_fingerprint: str, now: datetime, *, pace: Pace
) -> Decision:
    if reason := _request(cluster.switches) or _reason_to_deploy(cluster, desired_fingerprint):
        return Decision(Action.DEPLOY, reason)
    age = now - cluster.last_planned_at if cluster.last_planned_at else timedelta.max
    if age >= pace.maximum_plan_age:
        return Decision(Action.CHECK, "the last plan is too old")
    return Decision(Action.SKIP, "nothing has changed")


def _by_verdict(cluster: ClusterSituation, now: datetime) -> Decision | None:
    """What terraform's verdict on the recipe's revision forbids."""
    if cluster.recipe_problem:
        return Decision(
            Action.SKIP, f"the revision of the recipe is invalid: {cluster.recipe_problem}"
        )
    if cluster.verdict_expected_until is not None and now < cluster.verdict_expected_until:
        return Decision(Action.WAIT, "terraform judges the new revision of the recipe first")
    return None


def _destruction(cluster: ClusterSituation) -> Decision:
    if cluster.was_applied:
        return Decision(Action.DESTROY, "the cluster is being deleted")
    return Decision(Action.FINISH_DESTROY, "nothing was ever applied")


def _request(switches: Switches) -> str:
    return f"asked for by {switches.deploy_requested_by}" if switches.deploy_requested_at else ""


def _reason_to_deploy(cluster: ClusterSituation, desired_fingerprint: str) -> str:
    if not cluster.attempts:
        return "new cluster"
    newest = cluster.attempts[0]
    deployed = cluster.deployed_fingerprint == desired_fingerprint
    if newest.fingerprint != desired_fingerprint:
        if not deployed:
            return "the recipe or a value has changed"
        # What was tried in between may have come far before it failed.
        return "" if newest.state is DeploymentState.SUCCEEDED else "the description was set back"
    if newest.state in _REASONS_TO_TRY_AGAIN:
        return _REASONS_TO_TRY_AGAIN[newest.state]
    return _reason_in_policy(cluster.deploy_policy, newest, deployed=deployed)


def _reason_in_policy(policy: DeployPolicy, newest: Attempt, *, deployed: bool) -> str:
    if policy is DeployPolicy.AUTOMATIC:
        done = deployed and newest.state is not DeploymentState.WAITING_FOR_APPROVAL
        return "" if done else "planned changes may be applied now"
    if policy is DeployPolicy.APPROVE and newest.is_approved and newest.ruling:
        return f"approved by {newest.ruling.by}"
    # Otherwise a plan is all that may be made, and one was made.
    planned = newest.state is _STATE_WHEN_PLANNED[policy] or newest.is_rejected
    return "" if deployed or planned else "the deploy policy has changed"


def _consecutive(state: DeploymentState, attempts: Sequence[Attempt], fingerprint: str) -> int:
    """How many of the newest attempts ended like this, with the same description."""
    ended_so = (a.state is state and a.fingerprint == fingerprint for a in attempts)
    return sum(1 for _ in takewhile(bool, ended_so))

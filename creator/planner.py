"""Decide: what to do about one cluster now, and why. Pure; everything that Creator does can be read from here.

`tests/unit/creator/test_planner.py` and its neighbours are the table of its decisions.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from uuid import UUID

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from creator.situations import (
    Attempt,
    ClusterSituation,
    Restraints,
    Switches,
    described_by,
)

MAXIMUM_RETRY_DELAY = timedelta(hours=1)
# By which share of the maximum age clusters of the same age differ, so that they do not come all at once.
_JITTER = 0.2
# A silent host has its cluster planned early, but never more often than at this share of the maximum age.
_EARLIEST_SHARE = 0.25
_NAMES_SHOWN = 3
# More failures than that change nothing: the delay has reached its maximum.
ATTEMPTS_LOOKED_AT = 20


REASONS_TO_TRY_AGAIN = {
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
    WAIT = "wait"  # something to do, but people or the recipe's check hold it
    BACK_OFF = "back_off"  # something to do, but it failed a moment ago
    WAIT_FOR_APPROVAL = "wait_for_approval"
    QUARANTINE = "quarantine"  # the same resources differ after each apply: they are left alone
    CHECK = "check"  # nothing new, but the last plan is old: plan, and deploy if reality differs
    DEPLOY = "deploy"  # plan, and apply what the policy permits
    APPLY = "apply"  # the kept plan that a person approved
    DESTROY = "destroy"
    FINISH_DESTROY = "finish_destroy"  # nothing was ever made


IDLE = frozenset(
    {Action.SKIP, Action.WAIT, Action.BACK_OFF, Action.WAIT_FOR_APPROVAL, Action.QUARANTINE}
)


@dataclass(frozen=True)
class Decision:
    """An action and its reason; the reason of an action becomes the deployment's cause.

    An idle one holds until `again_at` (None: for ever), as long as nothing of the situation changes.
    """

    action: Action
    reason: str
    again_at: datetime | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be done now."""
        return self.action in IDLE


@dataclass(frozen=True)
class Pace:
    """How often things are done."""

    maximum_plan_age: timedelta
    retry_delay: timedelta
    # When this Creator started: what was overdue by then is spread. None: it is done at once.
    started_at: datetime | None = None


def decide(
    cluster: ClusterSituation, desired_fingerprint: str, now: datetime, *, pace: Pace
) -> Decision:
    """What to do about the cluster; `desired_fingerprint` stands for its recipe, values and tools of now.

    It is empty if the cluster's recipe has no such revision (yet).
    """
    wanted = _wanted(cluster, desired_fingerprint, now, pace=pace)
    if wanted.is_idle:
        return wanted
    if reason := reason_to_wait(cluster.switches, now):
        until = None if cluster.switches.applies_stopped else cluster.switches.paused_until
        return Decision(Action.WAIT, reason, until)
    if wanted.action is Action.FINISH_DESTROY or cluster.switches.deploy_requested_at:
        return wanted  # who asks for it now does not want to hear of delays
    until = retry_at(cluster.attempts, desired_fingerprint, pace=pace)
    if until is not None and now < until:
        reason = f"the last attempt failed, next one at {until:%H:%M:%S} UTC"
        return Decision(Action.BACK_OFF, reason, until)
    return wanted


def spread_of(cluster_id: UUID) -> float:
    """A number from 0 to 1 that belongs to the cluster."""
    # Its last bytes are random; the first ones are the time of its birth.
    return int.from_bytes(hashlib.sha256(cluster_id.bytes).digest()[:4]) / 2**32


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


def reason_to_judge_again(planned: Restraints, now: Restraints, *, destroys: bool) -> str:
    """Why the judgement of a plan holds no more; empty if it does. To destroy a cluster no policy is asked."""
    if destroys and now.is_protected:
        return "the cluster is protected meanwhile"
    if not destroys and now.deploy_policy is not planned.deploy_policy:
        return f"the deploy policy is {now.deploy_policy} meanwhile"
    return "" if now.gates == planned.gates else "the gates have changed meanwhile"


def retry_at(attempts: Sequence[Attempt], fingerprint: str, *, pace: Pace) -> datetime | None:
    """When the same thing may be tried again; None = at once, since the last attempt was another thing or did not fail."""
    newest = attempts[0] if attempts else None
    if newest is None or newest.state not in REASONS_TO_TRY_AGAIN or newest.finished_at is None:
        return None
    row = _failures_in_a_row(attempts, fingerprint)
    failures = len(row)
    if DeploymentState.UNKNOWN in row:
        failures -= 1  # one is tried again at once: somebody killed Creator or terraform
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
    if not desired_fingerprint:
        return Decision(Action.SKIP, "the recipe has no such revision")
    if approved := _approved_plan(cluster, desired_fingerprint, now):
        return approved
    if reason := _request(cluster.switches) or _reason_to_deploy(cluster, desired_fingerprint, now):
        return Decision(Action.DEPLOY, reason)
    check_at, reason = _next_check(cluster, pace)
    if now >= check_at:
        return Decision(Action.CHECK, _reason_by_engine(cluster, desired_fingerprint) or reason)
    return _rest(cluster, desired_fingerprint, check_at)


def _approved_plan(cluster: ClusterSituation, fingerprint: str, now: datetime) -> Decision | None:
    """What to do about a plan that a person approved; planned again if it was not kept, or for too long."""
    newest = cluster.attempts[0] if cluster.attempts else None
    if newest is None or newest.ruling is None or not newest.is_approved:
        return None
    if cluster.deploy_policy is DeployPolicy.PLAN_ONLY or not _is_same(newest, fingerprint):
        return None
    is_kept = newest.plan_expires_at is not None and now < newest.plan_expires_at
    # Another terraform does not apply it.
    is_usable = is_kept and newest.fingerprint == fingerprint
    action = Action.APPLY if is_usable else Action.DEPLOY
    return Decision(action, f"approved by {newest.ruling.by}")


def _next_check(cluster: ClusterSituation, pace: Pace) -> tuple[datetime, str]:
    """When the cluster is planned again although nothing has changed, and why."""
    planned_at = cluster.last_planned_at
    if planned_at is None:
        return datetime.min.replace(tzinfo=UTC), "the cluster was never planned"
    age = pace.maximum_plan_age
    by_age = planned_at + age * (1 - _JITTER + 2 * _JITTER * cluster.spread)
    if pace.started_at is not None and by_age < pace.started_at:
        by_age = pace.started_at + age / 2 * cluster.spread
    silence = cluster.silence
    # One plan per silence: it shows whether the machine is there. Its agent may be dead for a reason of its own.
    if silence is not None and planned_at < silence.since:
        early = max(silence.since, planned_at + age * _EARLIEST_SHARE)
        if early < by_age:
            return early, f"no report from {_named(silence.hosts)}"
    return by_age, "the last plan is too old"


def _reason_by_engine(cluster: ClusterSituation, fingerprint: str) -> str:
    deployed = cluster.deployed_fingerprint
    is_other_engine = deployed != fingerprint and described_by(deployed) == described_by(
        fingerprint
    )
    return "terraform has another version since" if is_other_engine else ""


def _rest(cluster: ClusterSituation, fingerprint: str, check_at: datetime) -> Decision:
    """Why nothing is to be done before the next check."""
    newest = cluster.attempts[0] if cluster.attempts else None
    if newest and newest.state is DeploymentState.WAITING_FOR_APPROVAL:
        expires_at = newest.plan_expires_at
        again_at = min(check_at, expires_at) if expires_at else check_at
        reason = newest.gate or "a plan waits for approval"
        return Decision(Action.WAIT_FOR_APPROVAL, reason, again_at)
    if _is_quarantined(cluster, fingerprint) and cluster.quarantine:
        addresses = _named(cluster.quarantine.addresses)
        reason = f"{addresses} differed again after each of {cluster.quarantine.applies} applies"
        return Decision(Action.QUARANTINE, reason, check_at)
    return Decision(Action.SKIP, "nothing has changed", check_at)


def _is_quarantined(cluster: ClusterSituation, fingerprint: str) -> bool:
    """Another description ends it, and another terraform."""
    return cluster.quarantine is not None and cluster.quarantine.fingerprint == fingerprint


def _by_verdict(cluster: ClusterSituation, now: datetime) -> Decision | None:
    """What terraform's verdict on the recipe's revision forbids."""
    if cluster.recipe_problem:
        return Decision(
            Action.SKIP, f"the revision of the recipe is invalid: {cluster.recipe_problem}"
        )
    if cluster.verdict_expected_until is not None and now < cluster.verdict_expected_until:
        reason = "terraform judges the new revision of the recipe first"
        return Decision(Action.WAIT, reason, cluster.verdict_expected_until)
    return None


def _destruction(cluster: ClusterSituation) -> Decision:
    if cluster.is_protected:
        return Decision(Action.SKIP, "the cluster is protected: it is not destroyed")
    if cluster.was_applied:
        return Decision(Action.DESTROY, "the cluster is being deleted")
    return Decision(Action.FINISH_DESTROY, "nothing was ever applied")


def _request(switches: Switches) -> str:
    return f"asked for by {switches.deploy_requested_by}" if switches.deploy_requested_at else ""


def _reason_to_deploy(cluster: ClusterSituation, desired_fingerprint: str, now: datetime) -> str:
    if not cluster.attempts:
        return "new cluster"
    newest = cluster.attempts[0]
    # Another terraform alone is no reason: it would make everybody's turn at once. The next check brings it.
    deployed = described_by(cluster.deployed_fingerprint) == described_by(desired_fingerprint)
    if not _is_same(newest, desired_fingerprint):
        return _reason_for_another(newest, deployed=deployed)
    is_left_alone = _is_quarantined(cluster, desired_fingerprint)
    if newest.state in REASONS_TO_TRY_AGAIN:
        # A check that went wrong before it applied anything is no reason to apply what does not help.
        only_looked = newest.is_check and deployed
        return "" if only_looked and is_left_alone else REASONS_TO_TRY_AGAIN[newest.state]
    if newest.state is DeploymentState.WAITING_FOR_APPROVAL and _is_over(newest, now):
        return "the plan that waited for approval has expired"
    return "" if is_left_alone else _reason_in_policy(cluster, newest, deployed=deployed)


def _reason_for_another(newest: Attempt, *, deployed: bool) -> str:
    """The newest attempt was about another description."""
    if not deployed:
        return "the recipe or a value has changed"
    # What was tried in between may have come far before it failed.
    return "" if newest.state is DeploymentState.SUCCEEDED else "the description was set back"


def _is_over(attempt: Attempt, now: datetime) -> bool:
    return attempt.plan_expires_at is not None and attempt.plan_expires_at <= now


def _reason_in_policy(cluster: ClusterSituation, newest: Attempt, *, deployed: bool) -> str:
    policy = cluster.deploy_policy
    waits = newest.state is DeploymentState.WAITING_FOR_APPROVAL
    if policy is DeployPolicy.AUTOMATIC:
        # A person has the last word on what a gate has stopped.
        stopped = newest.gate and (waits or newest.is_rejected)
        done = stopped or (deployed and not waits)
        return "" if done else "planned changes may be applied now"
    # Otherwise a plan is all that may be made, and one was made.
    planned = newest.state is _STATE_WHEN_PLANNED[policy] or newest.is_rejected
    return "" if deployed or planned else "the deploy policy has changed"


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def _is_same(attempt: Attempt, fingerprint: str) -> bool:
    """Whether the attempt was about this description, with whichever terraform."""
    return described_by(attempt.fingerprint) == described_by(fingerprint)


def _failures_in_a_row(attempts: Sequence[Attempt], fingerprint: str) -> list[DeploymentState]:
    """How the newest attempts at this description ended since the last one that went well: of any kind, newest first."""
    failed = takewhile(
        lambda one: one.state in REASONS_TO_TRY_AGAIN and _is_same(one, fingerprint), attempts
    )
    return [one.state for one in failed]

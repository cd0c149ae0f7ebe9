"""What the planner must know of a cluster: plain values, made by whoever reads the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy, PlanSummary
from common.contracts.deployments import Gates, Quarantine

# Between what a fingerprint says of the description and what it says of terraform.
ENGINE_MARK = "."


def described_by(fingerprint: str) -> str:
    """What a fingerprint says of the description alone: the same with another terraform."""
    return fingerprint.partition(ENGINE_MARK)[0]


class Purpose(StrEnum):
    """What a deployment is for, as its `inputs` remember it."""

    DEPLOY = "deploy"
    CHECK = "check"  # nobody asked for it
    DESTROY = "destroy"


@dataclass(frozen=True)
class Ruling:
    """What a person ruled about a plan."""

    approved: bool
    by: str
    at: datetime


@dataclass(frozen=True)
class Attempt:
    """A deployment that is no longer under way."""

    state: DeploymentState
    fingerprint: str
    finished_at: datetime | None
    summary: PlanSummary | None = None
    ruling: Ruling | None = None
    gate: str = ""  # which rule stopped an automatic apply
    id: UUID | None = None
    plan_expires_at: datetime | None = None  # None: the plan was not kept
    is_check: bool = False  # nobody asked for it

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
class Restraints:
    """What people decided about what may be applied to a cluster."""

    deploy_policy: DeployPolicy
    gates: Gates
    is_protected: bool


@dataclass(frozen=True)
class Silence:
    """Expected hosts that have not reported for too long; `since` = when the last of them became overdue."""

    hosts: tuple[str, ...]
    since: datetime


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
    is_protected: bool = False
    quarantine: Quarantine | None = None
    silence: Silence | None = None
    # From 0 to 1, the same for ever for one cluster: spreads what would come all at once.
    spread: float = 0.5

"""Clusters: a recipe, the values of its variables and a deploy policy; and what was done about them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field, JsonValue

from common.contracts.deployments import Difference, Gates, Quarantine, ShownGates, StateLock
from common.contracts.identifiers import ClusterVariableName, HostName, ManagerName, Slug
from common.contracts.values import Input, Moment, Wire

MAX_HOST_LABELS = 16


class DeployPolicy(StrEnum):
    """Who starts an apply: Creator, a person who approves the plan, or nobody."""

    AUTOMATIC = "automatic"
    APPROVE = "approve"
    PLAN_ONLY = "plan_only"


class ClusterState(StrEnum):
    """Life of a cluster; a destroyed one stays as a tombstone, addressed by id."""

    ACTIVE = "active"
    DELETING = "deleting"
    DESTROYED = "destroyed"


class DeploymentState(StrEnum):
    """Life of a deployment."""

    PLANNING = "planning"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    APPLYING = "applying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPERSEDED = "superseded"


class HostDescription(Wire):
    """A host that the recipe's output `mr_prober_hosts` names."""

    address: str = ""
    labels: dict[str, str] = Field(default={}, max_length=MAX_HOST_LABELS)


class ClusterCreate(Input):
    """A new cluster; without `recipe_revision` it always follows the newest one."""

    slug: Slug
    recipe: Slug
    recipe_revision: int | None = Field(default=None, ge=1, le=2**31 - 1)
    deploy_policy: DeployPolicy = DeployPolicy.AUTOMATIC
    gates: Gates = Gates()
    variables: dict[ClusterVariableName, JsonValue] = {}
    protected: bool = False  # it cannot be deleted
    managed_by: ManagerName = ""


class Pause(Wire):
    """Creator leaves the cluster alone, until a moment or until somebody ends it."""

    by: str
    at: datetime
    reason: str
    until: datetime | None


class PauseRequest(Input):
    """Why, and until when; without `until` somebody has to end it."""

    reason: str = Field(min_length=1, max_length=1000)
    until: Moment | None = None


class Rejection(Input):
    """Why a plan is refused."""

    reason: str = Field(default="", max_length=1000)


class TokenRotation(Input):
    """`force`: also if agents still use the version before, which are locked out then."""

    force: bool = False


class ClusterUpdate(Input):
    """A change of a cluster's own fields; absent fields stay, `recipe_revision: null` follows the newest.

    `gates` are replaced as a whole.
    """

    recipe_revision: int | None = Field(default=None, ge=1, le=2**31 - 1)
    deploy_policy: DeployPolicy = DeployPolicy.AUTOMATIC
    gates: Gates = Gates()
    protected: bool = False
    managed_by: ManagerName = ""


class VariablePut(Input):
    """The new value of a variable; as sensitive as it is, and whose it is, stays where it is unsaid."""

    value: JsonValue = Field(repr=False)
    sensitive: bool = False
    managed_by: ManagerName = ""


class Variable(Wire):
    """A named JSON value of a cluster."""

    name: ClusterVariableName
    etag: str = ""  # sent back as If-Match with a change
    # Of a sensitive one it is null: what was written is never read again.
    value: JsonValue
    sensitive: bool = False
    value_version: int = 1  # raised with every new value
    managed_by: str
    updated_at: datetime


class VariableOfCluster(Variable):
    """A variable in the listing of all clusters."""

    cluster: Slug


class PlanSummary(Wire):
    """How many resources a plan creates, changes and destroys (a replacement counts in both)."""

    create: int = 0
    change: int = 0
    destroy: int = 0


class Step(Wire):
    """One terraform command of a deployment."""

    kind: str
    arguments: list[str]
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None = None  # that it took
    exit_code: int | None


class Deployment(Wire):
    """What Creator did about one cluster that had something to do."""

    id: UUID
    cluster: Slug
    cause: str
    state: DeploymentState
    recipe_revision: int
    summary: PlanSummary | None
    # Cause: what of the description differs from what was applied last. The effect: GET …/changes.
    differences: list[Difference] = []
    # Which rule stopped the plan, with figures and addresses.
    gate: str = ""
    # Somebody else's lock on the state, which Creator does not break.
    lock: StateLock | None = None
    plan_expires_at: datetime | None = None  # of a plan that is kept until somebody decides
    error: str
    steps: list[Step]
    # What a person ruled about the plan, if somebody did.
    approved: bool | None = None
    decided_by: str = ""
    decided_at: datetime | None = None
    # When people made the newest change that it brings, and how long it took until that was applied.
    changed_at: datetime | None = None
    convergence_seconds: float | None = None
    started_at: datetime
    finished_at: datetime | None


class Cluster(Wire):
    """A cluster as it is described and as it was last seen; its ETag is that of its own fields.

    A variable has an ETag of its own; what Creator and agents do changes none.
    """

    id: UUID
    slug: Slug
    etag: str = ""  # sent back as If-Match with a change
    recipe: Slug
    recipe_revision: int | None
    deploy_policy: DeployPolicy
    gates: ShownGates = ShownGates()
    state: ClusterState
    variables: dict[str, JsonValue]
    hosts: dict[HostName, HostDescription]
    managed_by: str
    paused: Pause | None = None
    protected: bool = False  # it cannot be deleted
    deploy_requested_by: str = ""  # somebody asked for a deployment now, and Creator has not begun
    agent_token_version: int = 1
    previous_agent_token_version: int | None = None  # still valid, too
    last_deployment: Deployment | None
    last_planned_at: datetime | None
    # Deadline of the apply under way.
    applying_until: datetime | None = None
    # What differs again after each apply; Creator has stopped applying it.
    quarantine: Quarantine | None = None
    # Resources that the next deployment makes anew, asked for on Creator's host.
    replace_addresses: list[str] = []
    # In words: undeclared variables, why its recipe is not deployed.
    notices: list[str] = []
    created_at: datetime
    updated_at: datetime

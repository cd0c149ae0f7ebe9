"""One deployment under way, as the modules that carry it out pass it on."""

from dataclasses import dataclass, field
from uuid import UUID

from pydantic import JsonValue

from common.contracts.clusters import DeploymentState
from creator.deployment.deployment_records import Ending
from creator.deployment.descriptions import Description
from creator.deployment.events import Events
from creator.deployment.leased import Lease
from creator.deployment.logs import DeploymentLog
from creator.deployment.plans import KeptPlan
from creator.deployment.procedure import Progress, StepResult
from creator.deployment.records import ClusterRecord
from creator.deployment.snapshots import NO_MATERIAL, Material
from creator.deployment.workspaces import Workspace


@dataclass
class Attempt:
    """A deployment, how far it is, and what it is made of; one thread works on it."""

    id: UUID
    description: Description
    lease: Lease
    fingerprint: str
    workspace: Workspace
    log: DeploymentLog
    cause: str = ""
    # Known as soon as the workspace is to be prepared.
    material: Material = NO_MATERIAL
    backend: dict[str, JsonValue] = field(default_factory=dict)
    is_destroy: bool = False
    is_check: bool = False  # nobody asked for it: it leaves a row only if it has something to say
    approved_plan: KeptPlan | None = None
    # What the approved plan destroys or replaces: the row may show fewer, and not all of a name.
    approved_destroys: tuple[str, ...] = ()
    approved_miscount: str = ""  # why these may not be all
    events: Events = field(default_factory=Events)
    steps: list[StepResult] = field(default_factory=list)
    init_is_due: bool = True
    # Whether a terraform of it may be running that nobody has seen the end of.
    is_running: bool = False
    # What the newest command that failed said, for people.
    complaint: str = ""

    @property
    def cluster(self) -> ClusterRecord:
        """What is deployed."""
        return self.description.cluster

    @property
    def progress(self) -> Progress:
        """What decides about the next step."""
        return Progress(
            steps=self.steps,
            init_is_due=self.init_is_due,
            has_plan=self.workspace.saved_plan.exists(),
            is_approved=self.approved_plan is not None,
        )


@dataclass(frozen=True)
class Outcome:
    """How a deployment ended; without an ending it leaves no row, since it found nothing to say."""

    ending: Ending | None = None

    @property
    def state(self) -> DeploymentState | None:
        """The deployment's last state."""
        return self.ending.state if self.ending else None


NOTHING_TO_SAY = Outcome()


def outcome(state: DeploymentState, error: str = "") -> Outcome:
    """An end with nothing more to it."""
    return Outcome(Ending(state, error))

"""Decide: what the audit log says of Creator's own writes: states and counts, never a plan's text or a value."""

from dataclasses import dataclass
from uuid import UUID

from pydantic import BaseModel

from common.contracts.clusters import ClusterState, DeploymentState, PlanSummary
from common.contracts.recipes import Validity
from database.audit_log import Author, Subject, Written

CREATOR = Author(name="creator", role="creator")


class DeploymentNote(BaseModel):
    """A deployment in the audit log."""

    state: DeploymentState
    summary: PlanSummary | None = None


class ClusterNote(BaseModel):
    """A cluster in the audit log, when Creator has done with it."""

    state: ClusterState


class VerdictNote(BaseModel):
    """A recipe's revision in the audit log; `problems`: how many."""

    validity: Validity
    problems: int = 0


@dataclass(frozen=True)
class DeploymentBefore:
    """A deployment as it was before Creator's write."""

    id: UUID
    cluster_id: UUID
    cluster: str  # slug
    note: DeploymentNote


def moved(before: DeploymentBefore, state: DeploymentState) -> Written[DeploymentNote]:
    """A deployment has come to this state."""
    slug = f"{before.cluster}/{before.id}"
    subject = Subject("deployment", before.id, slug, cluster_id=before.cluster_id)
    after = before.note.model_copy(update={"state": state})
    return Written(subject, before.note, after, action=state.value)


def destroyed(cluster_id: UUID, slug: str) -> Written[ClusterNote]:
    """Nothing of a cluster is left."""
    subject = Subject("cluster", cluster_id, slug, cluster_id=cluster_id)
    before, after = (
        ClusterNote(state=ClusterState.DELETING),
        ClusterNote(state=ClusterState.DESTROYED),
    )
    return Written(subject, before, after, action=ClusterState.DESTROYED.value)


def judged(
    revision_id: UUID, slug: str, before: VerdictNote, after: VerdictNote
) -> Written[VerdictNote]:
    """Terraform has said what it thinks of a recipe's revision; `slug` is `recipe/number`."""
    subject = Subject("recipe_revision", revision_id, slug)
    if after.validity is before.validity:
        after = before  # nothing was decided: it is looked at again
    return Written(subject, before, after, action=after.validity.value)

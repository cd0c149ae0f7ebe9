"""The long texts of deployments, which Creator has freed of secrets: what terraform says, what its plan looks like."""

from uuid import UUID

from sqlalchemy import literal, select, union_all
from sqlalchemy.orm import Session

from api.services.errors import NotFoundError
from database.models import Deployment, DeploymentLogChunk

_BEFORE_ALL_CHUNKS = -1


def deployment_log(session: Session, cluster_id: UUID, deployment_id: UUID) -> str:
    """What terraform has said until now."""
    chosen = (Deployment.id == deployment_id, Deployment.cluster_id == cluster_id)
    whole = select(literal(_BEFORE_ALL_CHUNKS).label("number"), Deployment.log.label("text"))
    chunks = select(DeploymentLogChunk.number, DeploymentLogChunk.text).join(
        Deployment, Deployment.id == DeploymentLogChunk.deployment_id
    )
    # One statement: between two of them the whole could take the place of the chunks.
    parts = session.execute(
        union_all(whole.where(*chosen), chunks.where(*chosen)).order_by("number")
    ).all()
    if not parts:
        raise NotFoundError("deployment", deployment_id)
    return "".join(part.text for part in parts)


def plan_text(session: Session, cluster_id: UUID, deployment_id: UUID) -> str:
    """The plan as terraform shows it to people; empty if it was not kept, since nobody had to look at it."""
    text = session.scalar(
        select(Deployment.plan_text).where(
            Deployment.id == deployment_id, Deployment.cluster_id == cluster_id
        )
    )
    if text is None:
        raise NotFoundError("deployment", deployment_id)
    return text

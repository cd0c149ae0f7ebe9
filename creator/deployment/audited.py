"""Read: deployments before they are changed, as the audit log tells of them."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from creator import audit
from database.models import Cluster, Deployment

_BEFORE = (
    select(
        Deployment.id,
        Deployment.cluster_id,
        Deployment.state,
        Deployment.summary,
        Cluster.slug.label("slug"),
    )
    .join(Cluster, Cluster.id == Deployment.cluster_id)
    .order_by(Deployment.id)
    .with_for_update(of=Deployment)
)


def deployments_before(
    session: Session, chosen: ColumnElement[bool]
) -> list[audit.DeploymentBefore]:
    """Locked, as the audit log knows them."""
    return [
        audit.DeploymentBefore(
            id=row.id,
            cluster_id=row.cluster_id,
            cluster=row.slug,
            note=audit.DeploymentNote(state=row.state, summary=row.summary),
        )
        for row in session.execute(_BEFORE.where(chosen))
    ]

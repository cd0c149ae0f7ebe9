"""Read: what came of the newest deployment of a cluster, for Creator's own metrics."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, select

from common.contracts.clusters import DeploymentState
from database.models import Deployment, DeploymentStep
from database.session import Database

_NEWEST = (
    select(Deployment.id, Deployment.state, Deployment.changed_at, Deployment.finished_at)
    .where(Deployment.cluster_id == bindparam("cluster"))
    .order_by(Deployment.id.desc())
    .limit(1)
)


@dataclass(frozen=True)
class Outcome:
    """`converged_seconds`: from the newest change by people to its successful end; `failed_at`: the step that failed, or `unknown`."""

    converged_seconds: float | None = None
    failed_at: str = ""


def newest_outcome(database: Database, cluster_id: UUID) -> Outcome:
    """Of the newest deployment that is over, as far as metrics go."""
    with database.reading() as session:
        row = session.execute(_NEWEST, {"cluster": cluster_id}).one_or_none()
        if row is None or row.finished_at is None:
            return Outcome()
        if row.state is DeploymentState.SUCCEEDED and row.changed_at is not None:
            seconds = (row.finished_at - row.changed_at).total_seconds()
            return Outcome(converged_seconds=max(0.0, seconds))
        if row.state is DeploymentState.UNKNOWN:
            return Outcome(failed_at=row.state.value)
        if row.state is not DeploymentState.FAILED:
            return Outcome()
        last = (
            select(DeploymentStep.kind)
            .where(DeploymentStep.deployment_id == row.id)
            .order_by(DeploymentStep.id.desc())
            .limit(1)
        )
        return Outcome(failed_at=session.scalar(last) or "preparation")

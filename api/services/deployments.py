"""Deployments as people see them; Creator writes them."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from api.services.errors import NotFoundError
from api.services.paging import Paging, Sorting, page_of
from common.contracts.clusters import (
    Deployment,
    DeploymentState,
    PlannedChanges,
    PlanSummary,
    Step,
)
from common.contracts.values import Page
from database import models

SORTING = Sorting({"started_at": (models.Deployment.id,)}, default="-started_at")  # ids sort by age
_SHOWN = (
    joinedload(models.Deployment.recipe_revision),
    joinedload(models.Deployment.cluster),
    selectinload(models.Deployment.steps),
)


def page_of_deployments(
    session: Session, cluster_id: UUID, paging: Paging, *, state: DeploymentState | None = None
) -> Page[Deployment]:
    """Deployments of a cluster."""
    statement = (
        select(models.Deployment).where(models.Deployment.cluster_id == cluster_id).options(*_SHOWN)
    )
    if state is not None:
        statement = statement.where(models.Deployment.state == state)
    rows, token = page_of(session, statement, SORTING, paging)
    return Page(items=[_described(row) for row in rows], next_page_token=token)


def deployment(session: Session, cluster_id: UUID, deployment_id: UUID) -> Deployment:
    """One deployment of a cluster."""
    statement = (
        select(models.Deployment)
        .where(models.Deployment.id == deployment_id, models.Deployment.cluster_id == cluster_id)
        .options(*_SHOWN)
    )
    row = session.scalars(statement).one_or_none()
    if row is None:
        raise NotFoundError("deployment", deployment_id)
    return _described(row)


def deployment_log(session: Session, cluster_id: UUID, deployment_id: UUID) -> str:
    """What terraform said."""
    log = session.scalar(
        select(models.Deployment.log).where(
            models.Deployment.id == deployment_id, models.Deployment.cluster_id == cluster_id
        )
    )
    if log is None:
        raise NotFoundError("deployment", deployment_id)
    return log


def planned_changes(session: Session, cluster_id: UUID, deployment_id: UUID) -> PlannedChanges:
    """What the deployment's plan does to each resource; nothing as long as there is no plan."""
    found = session.execute(
        select(models.Deployment.changes).where(
            models.Deployment.id == deployment_id, models.Deployment.cluster_id == cluster_id
        )
    ).one_or_none()
    if found is None:
        raise NotFoundError("deployment", deployment_id)
    return PlannedChanges.model_validate(found.changes or {})


def last_deployments(session: Session, cluster_ids: Iterable[UUID]) -> dict[UUID, Deployment]:
    """The newest deployment of each cluster that has one: a constant number of statements."""
    one = aliased(models.Deployment)
    newest = (
        select(one.id)
        .where(one.cluster_id == models.Cluster.id)
        .order_by(one.id.desc())
        .limit(1)
        .correlate(models.Cluster)
        .scalar_subquery()
    )
    ids = select(newest).where(models.Cluster.id.in_(list(cluster_ids)))
    statement = select(models.Deployment).where(models.Deployment.id.in_(ids)).options(*_SHOWN)
    return {row.cluster_id: _described(row) for row in session.scalars(statement)}


def _described(row: models.Deployment) -> Deployment:
    return Deployment(
        id=row.id,
        cluster=row.cluster.slug,
        cause=row.cause,
        state=row.state,
        recipe_revision=row.recipe_revision.number,
        summary=PlanSummary.model_validate(row.summary) if row.summary is not None else None,
        error=row.error,
        approved=row.approved,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        steps=[Step.model_validate(step, from_attributes=True) for step in row.steps],
        started_at=row.started_at,
        finished_at=row.finished_at,
    )

"""Deployments as people see them; Creator writes them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from api.services.errors import NotFoundError
from api.services.paging import Paging, Sorting, page_of
from common.contracts.clusters import (
    Deployment,
    DeploymentState,
    PlanSummary,
    Step,
)
from common.contracts.deployments import (
    DESTROYING,
    MAX_CHANGES_SHOWN,
    Difference,
    Gates,
    PlannedChanges,
    ResourceChange,
    StateLock,
)
from common.contracts.protection import protection
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


def planned_changes(session: Session, cluster_id: UUID, deployment_id: UUID) -> PlannedChanges:
    """What the deployment's plan does to each resource; nothing as long as there is no plan."""
    found = session.execute(
        select(models.Deployment.changes).where(
            models.Deployment.id == deployment_id, models.Deployment.cluster_id == cluster_id
        )
    ).one_or_none()
    if found is None:
        raise NotFoundError("deployment", deployment_id)
    resources = [ResourceChange.model_validate(one) for one in found.changes]
    return PlannedChanges(resources=resources, is_cut=len(resources) >= MAX_CHANGES_SHOWN)


def reason_not_to_approve(
    shown: Deployment, changes: PlannedChanges, gates: Gates, *, now: datetime
) -> str:
    """Why Creator would not apply the plan that waits, whoever approves it; empty if it would. Pure."""
    expires_at = shown.plan_expires_at
    if expires_at is not None and now >= expires_at:
        return (
            f"the plan has expired at {expires_at:%Y-%m-%d %H:%M:%S} UTC:"
            f" ask for a deployment of cluster {shown.cluster} and approve its plan"
        )
    destroyed = sorted(one.address for one in changes.resources if one.action in DESTROYING)
    return protection(destroyed, gates)


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
        differences=[Difference.model_validate(one) for one in row.differences],
        gate=row.gate,
        lock=StateLock.model_validate(row.lock) if row.lock else None,
        plan_expires_at=_plan_expires_at(row.plan) if _waits(row) else None,
        error=row.error,
        approved=row.approved,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        steps=[_step(step) for step in row.steps],
        changed_at=row.changed_at,
        convergence_seconds=_convergence_seconds(row),
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _plan_expires_at(plan: dict[str, Any] | None) -> datetime | None:
    """Until when Creator applies the plan that it keeps; None if it keeps none."""
    return datetime.fromisoformat(plan["expires_at"]) if plan and "expires_at" in plan else None


def _waits(row: models.Deployment) -> bool:
    return row.state is DeploymentState.WAITING_FOR_APPROVAL


def _step(row: models.DeploymentStep) -> Step:
    return Step(
        kind=row.kind,
        arguments=row.arguments,
        started_at=row.started_at,
        finished_at=row.finished_at,
        seconds=_seconds_between(row.started_at, row.finished_at),
        exit_code=row.exit_code,
    )


def _convergence_seconds(row: models.Deployment) -> float | None:
    is_applied = row.state is DeploymentState.SUCCEEDED
    return _seconds_between(row.changed_at, row.finished_at) if is_applied else None


def _seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds())

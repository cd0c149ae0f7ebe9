"""Read: what was done about each cluster last, as the planner must know it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, func, literal, select
from sqlalchemy.orm import Session, aliased

from common.contracts.clusters import DeploymentState, PlanSummary
from creator.deployment.choice import Choice, chosen
from creator.planner import ATTEMPTS_LOOKED_AT, REASONS_TO_TRY_AGAIN
from creator.situations import Attempt, Purpose, Ruling
from database.models import Cluster, Deployment

_UNDER_WAY = (DeploymentState.PLANNING, DeploymentState.APPLYING)
# Made once: it costs more than the query.
_OLDER = aliased(Deployment)
_ATTEMPT_COLUMNS = (
    Deployment.cluster_id,
    Deployment.id,
    Deployment.state,
    Deployment.fingerprint,
    Deployment.finished_at,
    Deployment.summary,
    Deployment.approved,
    Deployment.decided_by,
    Deployment.decided_at,
    Deployment.gate,
    Deployment.plan,
    Deployment.inputs["purpose"].as_string().label("purpose"),
)


def attempts_of(
    session: Session, only: Collection[UUID] | None = None
) -> dict[UUID, list[Attempt]]:
    """By cluster: its newest deployment that is not under way, with those before it if it failed; newest first."""
    rows = _newest(session, only, 1)
    attempts = {row.cluster_id: [_attempt(row)] for row in rows}
    failing = [key for key, (newest,) in attempts.items() if newest.state in REASONS_TO_TRY_AGAIN]
    if failing:
        attempts |= {key: [] for key in failing}
        for row in _newest(session, failing, ATTEMPTS_LOOKED_AT):
            attempts[row.cluster_id].append(_attempt(row))
    return attempts


def _newest(
    session: Session, only: Collection[UUID] | None, count: int
) -> Sequence[Row[*tuple[Any, ...]]]:
    choice, parameters = chosen(only)
    return session.execute(_newest_of(choice, count), parameters).all()


@cache
def _newest_of(choice: Choice, count: int) -> Select[*tuple[Any, ...]]:
    """The newest deployments of each cluster that are not under way; older ones are not even looked at."""
    oldest = (
        select(_OLDER.id)
        .where(_OLDER.cluster_id == Cluster.id, _OLDER.state.not_in(_UNDER_WAY))
        .order_by(_OLDER.id.desc())
        .offset(count - 1)
        .limit(1)
        .correlate(Cluster)
        .scalar_subquery()
    )
    nothing_is_older = literal(UUID(int=0), Deployment.id.type)
    # Materialized: planned as one, the database would ask for the limit once per deployment.
    limits = (
        select(Cluster.id, func.coalesce(oldest, nothing_is_older).label("oldest"))
        .where(choice.condition)
        .cte("limits")
        .prefix_with("MATERIALIZED")
    )
    return (
        select(*_ATTEMPT_COLUMNS)
        .join(limits, and_(Deployment.cluster_id == limits.c.id, Deployment.id >= limits.c.oldest))
        .where(Deployment.state.not_in(_UNDER_WAY))
        .order_by(Deployment.id.desc())
    )


def _attempt(row: Row[Any]) -> Attempt:
    expires_at = (row.plan or {}).get("expires_at")
    return Attempt(
        id=row.id,
        state=row.state,
        fingerprint=row.fingerprint,
        finished_at=row.finished_at,
        summary=PlanSummary.model_validate(row.summary) if row.summary else None,
        ruling=_ruling(row),
        gate=row.gate,
        plan_expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
        is_check=row.purpose == Purpose.CHECK,
    )


def _ruling(row: Row[Any]) -> Ruling | None:
    if row.approved is None or row.decided_at is None:
        return None
    return Ruling(approved=row.approved, by=row.decided_by, at=row.decided_at)

"""Read: what a deployment is compared with: the last apply, what people wrote since, what earlier applies changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import joinedload, selectinload, undefer

from common.contracts.clusters import DeploymentState
from common.contracts.deployments import ResourceChange
from creator.deployment.differences import Write
from creator.deployment.perpetual import APPLIES_IN_VAIN, Applied
from creator.deployment.records import ClusterRecord
from creator.deployment.revision_records import RecipeRevisionRecord
from creator.deployment.terraform import Kind
from creator.situations import Purpose
from creator.steps.orders import StepRecord
from creator.steps.records import step_record
from database.models import AuditEntry, Deployment, DeploymentStep
from database.session import Database

_WRITES_LOOKED_AT = 1000
_LAST_APPLY = (
    select(Deployment.inputs, Deployment.started_at)
    .join(DeploymentStep, DeploymentStep.deployment_id == Deployment.id)
    .where(Deployment.cluster_id == bindparam("cluster"), DeploymentStep.kind == Kind.APPLY.value)
    .order_by(Deployment.id.desc())
    .limit(1)
)
_DESCRIBING_KINDS = ("cluster", "variable", "recipe")


@dataclass(frozen=True)
class LastApply:
    """The newest deployment that began to apply, and from what it was made."""

    inputs: Mapping[str, Any] | None
    planned_at: datetime


@dataclass(frozen=True)
class Shown:
    """The plan that the newest deployment shows."""

    id: UUID
    state: DeploymentState
    changes: Sequence[ResourceChange]
    gate: str
    plan: Mapping[str, Any] | None
    approved: bool | None
    cause: str
    fingerprint: str


@dataclass(frozen=True)
class LeftStep:
    """A step of a deployment that another Creator began."""

    record: StepRecord
    has_ended: bool
    exit_code: int | None


@dataclass(frozen=True)
class LeftDeployment:
    """A deployment that another Creator began."""

    cluster_id: UUID
    cause: str
    fingerprint: str
    revision: RecipeRevisionRecord
    purpose: Purpose
    approved: bool
    plan: Mapping[str, Any] | None
    changes: Sequence[ResourceChange]
    steps: Sequence[LeftStep]  # oldest first


class EvidenceRecords:
    """Reads only; may be used by several threads, and may raise SQLAlchemy's errors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last_apply(self, cluster_id: UUID) -> LastApply | None:
        """What was applied last; None if nothing was."""
        with self._database.reading() as session:
            row = session.execute(_LAST_APPLY, {"cluster": cluster_id}).first()
        return LastApply(inputs=row[0], planned_at=row[1]) if row else None

    def writes(self, cluster: ClusterRecord, since: datetime | None) -> list[Write]:
        """What people wrote about the cluster, its variables and its recipe, newest first."""
        entry = AuditEntry
        mine = or_(entry.cluster_id == cluster.id, entry.object_id == cluster.recipe_id)
        columns = (entry.kind, entry.slug, entry.actor, entry.at)
        query = select(*columns).where(mine, entry.kind.in_(_DESCRIBING_KINDS))
        if since is not None:
            query = query.where(entry.at >= since)
        query = query.order_by(entry.at.desc()).limit(_WRITES_LOOKED_AT)
        with self._database.reading() as session:
            return [
                Write(kind=row.kind, name=_name(row.kind, row.slug), by=row.actor, at=row.at)
                for row in session.execute(query)
            ]

    def applies(self, cluster_id: UUID) -> list[Applied]:
        """The last successful applies, newest first, until one that is known to have helped."""
        query = (
            select(Deployment.fingerprint, Deployment.changes, Deployment.inputs)
            .join(DeploymentStep, DeploymentStep.deployment_id == Deployment.id)
            .where(
                Deployment.cluster_id == cluster_id,
                Deployment.state == DeploymentState.SUCCEEDED,
                DeploymentStep.kind == Kind.APPLY.value,
            )
            .order_by(Deployment.id.desc())
            .limit(APPLIES_IN_VAIN)
        )
        with self._database.reading() as session:
            rows = session.execute(query).all()
        return [
            Applied(row[0], frozenset(change["address"] for change in row[1]))
            for row in takewhile(lambda row: not (row[2] or {}).get("helped"), rows)
        ]

    def shown(self, cluster_id: UUID, *, but: UUID | None = None) -> Shown | None:
        """The newest deployment of the cluster, except `but`."""
        query = select(Deployment).options(undefer(Deployment.changes))
        query = query.where(Deployment.cluster_id == cluster_id)
        if but is not None:
            query = query.where(Deployment.id != but)
        with self._database.reading() as session:
            row = session.scalars(query.order_by(Deployment.id.desc()).limit(1)).first()
            if row is None:
                return None
            return Shown(
                id=row.id,
                state=row.state,
                changes=[ResourceChange.model_validate(one) for one in row.changes],
                gate=row.gate,
                plan=row.plan,
                approved=row.approved,
                cause=row.cause,
                fingerprint=row.fingerprint,
            )

    def left(self, deployment_id: UUID) -> LeftDeployment:
        """What is known of a deployment under way."""
        with self._database.reading() as session:
            options = [
                selectinload(Deployment.steps),
                undefer(Deployment.changes),
                joinedload(Deployment.recipe_revision),
            ]
            row = session.get_one(Deployment, deployment_id, options=options)
            return LeftDeployment(
                cluster_id=row.cluster_id,
                cause=row.cause,
                fingerprint=row.fingerprint,
                revision=RecipeRevisionRecord(
                    row.recipe_revision_id, row.recipe_revision.content_hash
                ),
                purpose=Purpose((row.inputs or {}).get("purpose", Purpose.DEPLOY)),
                approved=bool(row.approved),
                plan=row.plan,
                changes=[ResourceChange.model_validate(one) for one in row.changes],
                steps=[
                    LeftStep(step_record(step), step.finished_at is not None, step.exit_code)
                    for step in row.steps
                ],
            )


def _name(kind: str, slug: str) -> str:
    """Of a variable; its slug is `demo/hosts`."""
    return slug.partition("/")[2] if kind == "variable" else ""

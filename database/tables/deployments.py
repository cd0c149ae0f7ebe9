"""What Creator did."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from common.contracts.clusters import DeploymentState
from common.contracts.identifiers import new_id
from database.tables.base import Model, now, words
from database.tables.clusters import Cluster
from database.tables.recipes import RecipeRevision


class Deployment(Model):
    """What Creator did about one cluster that had something to do."""

    __tablename__ = "deployments"
    __table_args__ = (
        Index("ix_deployments_cluster_id_id", "cluster_id", "id"),
        Index("ix_deployments_finished_at", "finished_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    cluster_id: Mapped[UUID] = mapped_column(ForeignKey("clusters.id"))
    cause: Mapped[str] = mapped_column(Text)
    state: Mapped[DeploymentState] = mapped_column(
        words(DeploymentState, length=24), default=DeploymentState.PLANNING
    )
    fingerprint: Mapped[str] = mapped_column(String(64))
    recipe_revision_id: Mapped[UUID] = mapped_column(ForeignKey("recipe_revisions.id"), index=True)
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # common.contracts.clusters.PlannedChanges
    changes: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    error: Mapped[str] = mapped_column(Text, default="")
    log: Mapped[str] = mapped_column(Text, default="", deferred=True)
    decided_at: Mapped[datetime | None]  # a person approved or rejected the plan
    decided_by: Mapped[str] = mapped_column(String(100), default="")
    approved: Mapped[bool | None]
    started_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]

    cluster: Mapped[Cluster] = relationship(lazy="raise")
    recipe_revision: Mapped[RecipeRevision] = relationship(lazy="raise")
    steps: Mapped[list["DeploymentStep"]] = relationship(lazy="raise", order_by="DeploymentStep.id")


class DeploymentStep(Model):
    """One terraform command; committed before it starts."""

    __tablename__ = "deployment_steps"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    deployment_id: Mapped[UUID] = mapped_column(ForeignKey("deployments.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    arguments: Mapped[list[str]]
    # With the start time in clock ticks since boot a pid names one process and no other.
    pid: Mapped[int | None]
    process_start_ticks: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    exit_code: Mapped[int | None]

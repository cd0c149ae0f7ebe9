"""What Creator did."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from common.contracts.clusters import DeploymentState
from common.contracts.identifiers import new_id
from database.tables.base import Model, now, words
from database.tables.clusters import Cluster
from database.tables.recipes import RecipeRevision

# Conditions of partial indices: a query that is to use them says the same in the same words.
UNDER_WAY = text("state IN ('planning', 'applying')")
WAITING = text("state = 'waiting_for_approval'")


class Deployment(Model):
    """What Creator did about one cluster that had something to do."""

    __tablename__ = "deployments"
    __table_args__ = (
        Index("ix_deployments_cluster_id_id", "cluster_id", "id"),
        Index("ix_deployments_finished_at", "finished_at"),
        # Each Creator asks several times a second who is under way, and what waits; nearly no row.
        Index(
            "ix_deployments_under_way",
            "cluster_id",
            sqlite_where=UNDER_WAY,
            postgresql_where=UNDER_WAY,
        ),
        Index(
            "ix_deployments_waiting",
            "decided_at",
            sqlite_where=WAITING,
            postgresql_where=WAITING,
        ),
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
    error: Mapped[str] = mapped_column(Text, default="")
    log: Mapped[str] = mapped_column(Text, default="", deferred=True)
    decided_at: Mapped[datetime | None]  # a person approved or rejected the plan
    decided_by: Mapped[str] = mapped_column(String(100), default="")
    approved: Mapped[bool | None]
    # Which Creator works on it, with the fencing number of its lease on the cluster.
    holder: Mapped[str] = mapped_column(String(200), default="", server_default="")
    fencing: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # When people made the newest change that it brings.
    changed_at: Mapped[datetime | None]
    # What it is made from, by part, as hashes: common.contracts.deployments has the shapes.
    inputs: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    differences: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    changes: Mapped[list[Any]] = mapped_column(default=list, server_default="[]", deferred=True)
    gate: Mapped[str] = mapped_column(Text, default="", server_default="")
    plan: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    plan_text: Mapped[str] = mapped_column(Text, default="", server_default="", deferred=True)
    # Of a lock on the state that is not ours: who holds it.
    lock: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
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
    # Where it runs: pids mean nothing on another machine, after a boot, or in another namespace.
    host: Mapped[str] = mapped_column(String(253), default="", server_default="")
    boot_id: Mapped[str] = mapped_column(String(64), default="", server_default="")
    pid_namespace: Mapped[str] = mapped_column(String(64), default="", server_default="")
    workspace: Mapped[str] = mapped_column(Text, default="", server_default="")  # its own folder
    deadline: Mapped[datetime | None]  # the wrapper ends terraform then
    # Of the lock on the state that it was proven to hold.
    lock_id: Mapped[str] = mapped_column(String(64), default="", server_default="")
    # With the start time in clock ticks since boot a pid names one process and no other.
    pid: Mapped[int | None]
    process_start_ticks: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    exit_code: Mapped[int | None]


class DeploymentLogChunk(Model):
    """A piece of the log of a deployment under way, without secrets; the whole replaces them at its end."""

    __tablename__ = "deployment_log_chunks"

    deployment_id: Mapped[UUID] = mapped_column(ForeignKey("deployments.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Text)


class Creator(Model):
    """A Creator that works, or worked until `seen_at`."""

    __tablename__ = "creators"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    host: Mapped[str] = mapped_column(String(253))
    machine: Mapped[str] = mapped_column(String(64))  # /etc/machine-id
    version: Mapped[str] = mapped_column(String(64))
    state_store: Mapped[str] = mapped_column(
        Text
    )  # `file:/…` on that machine, or `s3://bucket/prefix`
    started_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now)

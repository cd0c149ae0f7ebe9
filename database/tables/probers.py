"""Probers, their revisions, and where they run."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from common.contracts.identifiers import new_id
from database.tables.base import Model, living, living_slug, now


class Prober(Model):
    """A small program that checks something."""

    __tablename__ = "probers"
    __table_args__ = (
        living_slug("probers"),
        living("probers", "created_at"),
        living("probers", "updated_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(String(63))
    description: Mapped[str] = mapped_column(Text, default="")
    owner: Mapped[str] = mapped_column(String(200), default="")
    runbook_url: Mapped[str] = mapped_column(Text, default="")
    severity: Mapped[str] = mapped_column(String(16), default="")
    # A stopped prober is in no document.
    stopped_at: Mapped[datetime | None]
    stopped_by: Mapped[str] = mapped_column(String(100), default="")
    stopped_reason: Mapped[str] = mapped_column(Text, default="")
    command: Mapped[list[str]]
    defaults: Mapped[dict[str, Any]] = mapped_column(default=dict)
    managed_by: Mapped[str] = mapped_column(String(100), default="")
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # for its ETag
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    deleted_at: Mapped[datetime | None]

    revisions: Mapped[list["ProberRevision"]] = relationship(
        back_populates="prober", lazy="raise", order_by="ProberRevision.number"
    )
    configs: Mapped[list["ProberConfig"]] = relationship(
        lazy="raise", order_by="ProberConfig.slug", cascade="all, delete-orphan"
    )


class ProberRevision(Model):
    """An immutable set of a prober's files; the newest has the highest number."""

    __tablename__ = "prober_revisions"
    __table_args__ = (UniqueConstraint("prober_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    prober_id: Mapped[UUID] = mapped_column(ForeignKey("probers.id"))
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=now)
    # A stopped revision runs nowhere: the newest one that is not stopped runs instead.
    stopped_at: Mapped[datetime | None]
    stopped_by: Mapped[str] = mapped_column(String(100), default="")
    stopped_reason: Mapped[str] = mapped_column(Text, default="")

    prober: Mapped[Prober] = relationship(back_populates="revisions", lazy="raise")
    files: Mapped[list["ProberFile"]] = relationship(
        lazy="raise", order_by="ProberFile.path", cascade="all, delete-orphan"
    )


class ProberFile(Model):
    """One file of a prober's revision; its content is in object storage under its hash."""

    __tablename__ = "prober_files"

    revision_id: Mapped[UUID] = mapped_column(ForeignKey("prober_revisions.id"), primary_key=True)
    path: Mapped[str] = mapped_column(String(512), primary_key=True)
    mode: Mapped[str] = mapped_column(String(4))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]


class ProberConfig(Model):
    """Where a prober runs and with which settings."""

    __tablename__ = "prober_configs"
    __table_args__ = (UniqueConstraint("prober_id", "slug"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    prober_id: Mapped[UUID] = mapped_column(ForeignKey("probers.id"))
    slug: Mapped[str] = mapped_column(String(63))
    order: Mapped[int] = mapped_column(default=0)
    clusters: Mapped[list[str]]
    hosts: Mapped[list[str]] = mapped_column(default=list)
    except_hosts: Mapped[list[str]] = mapped_column(default=list)
    host_labels: Mapped[dict[str, Any]] = mapped_column(default=dict)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    managed_by: Mapped[str] = mapped_column(String(100), default="")
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # for its ETag
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

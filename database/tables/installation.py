"""What belongs to the whole installation: its switches, leases and audit log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from common.contracts.identifiers import new_id
from database.tables.base import Model


class InstallationSwitches(Model):
    """The switches of the whole installation: one row, made when somebody first turns one."""

    __tablename__ = "installation_switches"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # always 1
    applies_stopped: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(Text, default="")
    changed_by: Mapped[str] = mapped_column(String(100), default="")
    changed_at: Mapped[datetime | None]


class Lease(Model):
    """Who of several processes may do a job just now, by the database's clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    # Raised with every new holder: a write with a lower one comes too late.
    fencing: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]


class AuditEntry(Model):
    """Who changed what, and how: only ever added to."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_at", "at", "id"),
        Index("ix_audit_log_kind_slug", "kind", "slug", "at", "id"),
        Index("ix_audit_log_kind", "kind", "at", "id"),
        Index("ix_audit_log_slug", "slug", "at", "id"),
        Index("ix_audit_log_actor", "actor", "at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime]
    # Of what may be gone by now, so no foreign keys.
    key_id: Mapped[UUID | None]
    actor: Mapped[str] = mapped_column(String(100))  # the key's name
    role: Mapped[str] = mapped_column(String(16))  # a key's role, or agent, or creator
    action: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[UUID]
    slug: Mapped[str] = mapped_column(String(200))  # `demo`; of what it owns: `demo/hosts`
    cluster_id: Mapped[UUID | None]
    # What callers of the API could read of it: never a secret.
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    request_id: Mapped[str] = mapped_column(String(64), default="")

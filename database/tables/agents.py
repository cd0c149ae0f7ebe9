"""What agents report."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from database.tables.base import Model, now


class Agent(Model):
    """The newest report of one agent; history is Solomon's."""

    __tablename__ = "agents"
    # For the fleet's pages in each order, and for the other agents of a host.
    __table_args__ = (
        Index("ix_agents_instance", "instance", "cluster_id"),
        Index("ix_agents_host", "host", "instance", "cluster_id"),
        Index("ix_agents_reported_at", "reported_at", "instance", "cluster_id"),
        Index("ix_agents_version", "version", "instance", "cluster_id"),
        Index("ix_agents_clock_skew_seconds", "clock_skew_seconds", "instance", "cluster_id"),
        Index("ix_agents_cluster_id_host", "cluster_id", "host"),
    )

    cluster_id: Mapped[UUID] = mapped_column(ForeignKey("clusters.id"), primary_key=True)
    instance: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(String(253))
    boot: Mapped[int]
    version: Mapped[str] = mapped_column(String(64))
    report: Mapped[dict[str, Any]]  # common.contracts.reports.AgentReport
    clock_skew_seconds: Mapped[float]
    token_version: Mapped[int | None]  # with which the newest report came
    first_seen_at: Mapped[datetime] = mapped_column(default=now)
    reported_at: Mapped[datetime] = mapped_column(default=now)

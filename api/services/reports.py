"""Reports of agents: one row per agent, the newest report only."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from common.contracts.reports import AgentReport
from database.models import Agent

_TABLE: Table = Agent.__table__  # type: ignore[assignment]  # a mapped class' table is a Table
_KEPT = {"cluster_id", "instance", "first_seen_at"}


def store_report(session: Session, cluster_id: UUID, report: AgentReport, *, now: datetime) -> None:
    """Keep the report, unless a later boot of the same agent has already spoken."""
    values: dict[str, Any] = {
        "cluster_id": cluster_id,
        "instance": report.instance,
        "host": report.host,
        "boot": report.boot,
        "version": report.version,
        "report": report.model_dump(mode="json"),
        "clock_skew_seconds": (report.clock - now).total_seconds(),
        "first_seen_at": now,
        "reported_at": now,
    }
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    statement = (postgresql if is_postgresql else sqlite).insert(_TABLE).values(values)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[_TABLE.c.cluster_id, _TABLE.c.instance],
            set_={name: statement.excluded[name] for name in values if name not in _KEPT},
            where=_TABLE.c.boot <= statement.excluded.boot,
        )
    )

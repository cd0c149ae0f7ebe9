"""Reports of agents: one row per agent, the newest report only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Text, bindparam, cast
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from common.contracts.reports import AgentReport
from database.models import Agent, table_of

_TABLE = table_of(Agent)
_KEPT = {"cluster_id", "instance", "first_seen_at"}


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """A report as it is stored, from which cluster, when by our clock, with which version of the token.

    As text: thousands of waiting reports, taken apart, would take much memory, and much of the garbage collector's time.
    """

    cluster_id: UUID
    instance: UUID
    boot: int
    host: str
    version: str
    text: str
    clock_skew_seconds: float
    at: datetime
    token_version: int | None
    # During a rotation, with the new token: the older one may have become needless.
    may_retire_token: bool = False

    @classmethod
    def of(
        cls,
        report: AgentReport,
        cluster_id: UUID,
        at: datetime,
        *,
        token_version: int | None,
        may_retire_token: bool = False,
    ) -> "ReceivedReport":
        """A report that came just now."""
        return cls(
            cluster_id=cluster_id,
            instance=report.instance,
            boot=report.boot,
            host=report.host,
            version=report.version,
            text=report.model_dump_json(),
            clock_skew_seconds=(report.clock - at).total_seconds(),
            at=at,
            token_version=token_version,
            may_retire_token=may_retire_token,
        )

    @property
    def key(self) -> tuple[UUID, UUID]:
        """Whose report it is."""
        return self.cluster_id, self.instance

    @property
    def size(self) -> int:
        """Characters of its text."""
        return len(self.text)


def store_reports(session: Session, received: Sequence[ReceivedReport]) -> None:
    """Keep the reports, except where a later boot of the same agent has already spoken; one per agent.

    In the order of `key`, so that two processes never wait for each other.
    """
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    # The text as it is: reading it only to write it again would cost more than the rest.
    text: Any = bindparam("report", type_=Text)
    report = cast(text, JSON) if is_postgresql else text
    rows = [_row(one) for one in received]
    statement = (postgresql if is_postgresql else sqlite).insert(_TABLE).values(report=report)
    statement = statement.on_conflict_do_update(
        index_elements=[_TABLE.c.cluster_id, _TABLE.c.instance],
        set_={name: statement.excluded[name] for name in rows[0] if name not in _KEPT},
        where=_TABLE.c.boot <= statement.excluded.boot,
    )
    session.execute(statement, rows)


def _row(received: ReceivedReport) -> dict[str, Any]:
    return {
        "cluster_id": received.cluster_id,
        "instance": received.instance,
        "host": received.host,
        "boot": received.boot,
        "version": received.version,
        "report": received.text,
        "clock_skew_seconds": received.clock_skew_seconds,
        "first_seen_at": received.at,
        "reported_at": received.at,
        "token_version": received.token_version,
    }

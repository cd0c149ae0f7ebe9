"""One cheap look at all clusters: which ones there are, and whether anything about them changed since the last look."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from database.models import Cluster


@dataclass(frozen=True, slots=True)
class KnownCluster:
    """What decides over an agent's request: whose document, which tokens, whether a document is still right."""

    id: UUID
    slug: str
    configuration_change: int
    token_version: int
    previous_token_version: int | None


@dataclass(frozen=True, slots=True)
class Digest:
    """Figures of all living clusters that no write leaves as they are.

    The sums only grow as long as no cluster comes or goes, and that shows in the count and the newest moment.
    """

    count: int
    changes: int
    token_versions: int
    previous_token_versions: int
    newest: datetime | None


def digest(session: Session) -> Digest:
    """One row, read from one index alone."""
    row = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(Cluster.configuration_change), 0),
            func.coalesce(func.sum(Cluster.agent_token_version), 0),
            func.sum(Cluster.previous_agent_token_version),
            func.max(Cluster.created_at),
        ).where(Cluster.deleted_at.is_(None))
    ).one()
    count, changes, token_versions, previous, newest = row
    return Digest(count, changes, token_versions, previous or 0, newest)


def known_clusters(session: Session) -> dict[str, KnownCluster]:
    """All living clusters by slug."""
    rows = session.execute(
        select(
            Cluster.id,
            Cluster.slug,
            Cluster.configuration_change,
            Cluster.agent_token_version,
            Cluster.previous_agent_token_version,
        ).where(Cluster.deleted_at.is_(None))
    )
    return {row.slug: KnownCluster(*row) for row in rows}

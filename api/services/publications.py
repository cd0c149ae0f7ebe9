"""What of a cluster is published, what is to be published next, what is to be taken back: pure decisions and their rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.document_signature import signed_for
from database.models import Cluster, Document, Publication

# A file that is announced but perhaps not yet written, and one that is there and named.
PENDING = "pending"
PRESENT = None
# Somebody who has the older document may still be fetching its files.
GRACE = timedelta(hours=1)

Files = dict[str, Any]


@dataclass(frozen=True)
class DuePublication:
    """A cluster whose publication is not what it should be."""

    cluster_id: UUID
    configuration_change: int
    token_versions: frozenset[int]


def due_publications(session: Session, storage: str) -> list[DuePublication]:
    """Living clusters whose document, tokens or storage changed since they were published; oldest first."""
    rows = session.execute(
        select(
            Cluster.id,
            Cluster.configuration_change,
            Cluster.agent_token_version,
            Cluster.previous_agent_token_version,
            Document.built_for_change,
            Document.etag,
            Publication.etag.label("published_etag"),
            Publication.signed_for,
            Publication.storage,
        )
        .outerjoin(Document, Document.cluster_id == Cluster.id)
        .outerjoin(Publication, Publication.cluster_id == Cluster.id)
        .where(Cluster.deleted_at.is_(None))
        .order_by(Cluster.id)
    )
    due = []
    for row in rows:
        versions = valid_versions(row.agent_token_version, row.previous_agent_token_version)
        is_built = (row.built_for_change or 0) >= row.configuration_change
        wanted = (row.etag, signed_for(versions), storage)
        if not is_built or wanted != (row.published_etag, row.signed_for, row.storage):
            due.append(DuePublication(row.id, row.configuration_change, versions))
    return due


def orphaned_publications(session: Session) -> list[UUID]:
    """Clusters that are gone, whose publications are still there."""
    return list(
        session.scalars(
            select(Publication.cluster_id)
            .outerjoin(Cluster, Cluster.id == Publication.cluster_id)
            .where(Cluster.id.is_(None) | Cluster.deleted_at.is_not(None))
        )
    )


def valid_versions(current: int, previous: int | None) -> frozenset[int]:
    """The token versions with which agents of a cluster may come."""
    return frozenset(one for one in (current, previous) if one)


def announced(files: Mapping[str, Any], named: Iterable[str]) -> Files:
    """All that may be there from now on: what is, and what the document names besides. Pure."""
    return {**files, **dict.fromkeys(missing(files, named), PENDING)}


def settled(files: Mapping[str, Any], named: Iterable[str], *, now: datetime) -> Files:
    """After the document is out: named files are present, others are abandoned from now on. Pure."""
    wanted = set(named)
    return {
        sha256: PRESENT if sha256 in wanted else _since(since, now)
        for sha256, since in files.items()
    }


def missing(files: Mapping[str, Any], named: Iterable[str]) -> list[str]:
    """Files that are to be written before the document may name them. Pure.

    Among them abandoned ones: whoever was to remove them may have done so and then crashed.
    """
    return sorted(sha256 for sha256 in named if files.get(sha256, PENDING) != PRESENT)


def expired(files: Mapping[str, Any], *, now: datetime) -> list[str]:
    """Files that no document has named for longer than the grace. Pure."""
    return sorted(
        sha256
        for sha256, since in files.items()
        if since not in {PENDING, PRESENT} and now - datetime.fromisoformat(since) >= GRACE
    )


def _since(since: str | None, now: datetime) -> str:
    return now.isoformat() if since in {PENDING, PRESENT} else str(since)

"""Evidence of runs: announced by agents, put where it is kept, read by people.

An upload that was announced is shown only once it came: at an address of ours we see it come,
at one of S3 we look for it when somebody asks.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from api.services.errors import NotFoundError, TooManyError
from api.services.paging import Paging, Sorting, page_of
from common.contracts.evidence import Evidence, EvidenceAnnouncement, EvidenceType
from common.contracts.values import Page
from common.object_storage import UploadStorage
from database import models

SORTING = Sorting({"created_at": (models.Evidence.id,)}, default="-created_at")  # ids sort by age
# From the announcement to the end of the address.
LIFETIME = timedelta(minutes=5)
_MINUTE = timedelta(minutes=1)
_REPLACED_AT_ONCE = 20


@dataclass(frozen=True)
class EvidenceLimits:
    """How much one cluster may upload; beyond `per_cluster` a new one takes the place of the oldest."""

    per_minute: int = 60
    per_cluster: int = 1000


@dataclass(frozen=True)
class EvidenceFilter:
    """Which uploads: those that match all that is said."""

    host: str | None = None
    prober: str | None = None


def evidence_folder(cluster_id: UUID) -> str:
    """Where the contents of a cluster's evidence are."""
    return f"evidence/{cluster_id}"


def evidence_key(cluster_id: UUID, evidence_id: UUID) -> str:
    """The object with the content; no part of it comes from a caller."""
    return f"{evidence_folder(cluster_id)}/{evidence_id}"


def file_name(evidence: Evidence) -> str:
    """Under which name a browser saves it."""
    ending = {EvidenceType.TEXT: "txt", EvidenceType.JSON: "json", EvidenceType.GZIP: "gz"}
    return f"{evidence.prober}-{evidence.host}-{evidence.id}.{ending.get(evidence.content_type, 'bin')}"


def replaced_by_another(
    session: Session, cluster_id: UUID, limits: EvidenceLimits, *, now: datetime
) -> Sequence[UUID]:
    """The oldest uploads, if one more would be too many; their contents go first, then `announce` removes them.

    TooManyError if the minute is full, or if nothing is old enough to go: an address that is still good must not
    bring back a content that nobody knows.
    """
    row = models.Evidence
    _require_calm(session, cluster_id, limits, now=now)
    count = session.scalar(select(func.count()).where(row.cluster_id == cluster_id)) or 0
    excess = min(count - limits.per_cluster + 1, _REPLACED_AT_ONCE)
    if excess <= 0:
        return ()
    oldest = session.execute(
        select(row.id, row.expires_at)
        .where(row.cluster_id == cluster_id)
        .order_by(row.id)
        .limit(excess)
    ).all()
    if (last := oldest[-1].expires_at) >= now:
        raise TooManyError(_words(f"{limits.per_cluster} at a time"), last - now)
    return [one.id for one in oldest]


def announce(
    session: Session,
    cluster_id: UUID,
    new: EvidenceAnnouncement,
    limits: EvidenceLimits,
    *,
    replacing: Sequence[UUID] = (),
    now: datetime,
) -> models.Evidence:
    """The row of an upload that is going to come. NotFoundError, TooManyError."""
    # One after the other, so that several processes count what each other lets in.
    living = select(models.Cluster.id).where(
        models.Cluster.id == cluster_id, models.Cluster.deleted_at.is_(None)
    )
    if session.scalar(living.with_for_update()) is None:
        raise NotFoundError("cluster", cluster_id)
    _require_calm(session, cluster_id, limits, now=now)
    if replacing:
        session.execute(delete(models.Evidence).where(models.Evidence.id.in_(replacing)))
    row = models.Evidence(
        cluster_id=cluster_id,
        host=new.host,
        prober=new.prober,
        content_type=new.content_type,
        size=new.size,
        sha256=new.sha256,
        created_at=now,
        # Whole seconds, as the address has them.
        expires_at=now.replace(microsecond=0) + LIFETIME,
    )
    session.add(row)
    session.flush()
    return row


def _require_calm(
    session: Session, cluster_id: UUID, limits: EvidenceLimits, *, now: datetime
) -> None:
    """TooManyError if the cluster announced as many in the last minute as it may."""
    row = models.Evidence
    # Of the newest ones the one that leaves room when it is a minute old.
    decisive = session.scalar(
        select(row.created_at)
        .where(row.cluster_id == cluster_id)
        .order_by(row.id.desc())
        .offset(limits.per_minute - 1)
        .limit(1)
    )
    if decisive and timedelta() <= now - decisive < _MINUTE:
        raise TooManyError(_words(f"{limits.per_minute} in a minute"), decisive + _MINUTE - now)


def _words(limit: str) -> str:
    return f"a cluster may upload evidence {limit}"


def mark_received(session: Session, evidence_ids: Sequence[UUID], *, now: datetime) -> None:
    """The contents are there."""
    row = models.Evidence
    session.execute(
        update(row)
        .where(row.id.in_(evidence_ids), row.received_at.is_(None))
        .values(received_at=now)
    )


def awaited(session: Session, cluster_id: UUID) -> list[UUID]:
    """Uploads that were announced and of which we do not know that they came."""
    row = models.Evidence
    return list(
        session.scalars(
            select(row.id).where(row.cluster_id == cluster_id, row.received_at.is_(None))
        )
    )


def arrived(storage: UploadStorage, cluster_id: UUID, expected: Sequence[UUID]) -> list[UUID]:
    """Those whose contents are there: one listing, however many are awaited. ObjectStorageError."""
    found = {one.key for one in storage.listed(evidence_folder(cluster_id))}
    return [one for one in expected if evidence_key(cluster_id, one) in found]


def page_of_evidence(
    session: Session, cluster_id: UUID, wanted: EvidenceFilter, paging: Paging
) -> Page[Evidence]:
    """Uploads that came."""
    row = models.Evidence
    statement = select(row).where(row.cluster_id == cluster_id, row.received_at.is_not(None))
    if wanted.host is not None:
        statement = statement.where(row.host == wanted.host)
    if wanted.prober is not None:
        statement = statement.where(row.prober == wanted.prober)
    rows, token = page_of(session, statement, SORTING, paging)
    return Page(items=[_described(one) for one in rows], next_page_token=token)


def evidence(session: Session, cluster_id: UUID, evidence_id: UUID) -> Evidence:
    """One upload that came; NotFoundError."""
    row = session.get(models.Evidence, evidence_id)
    if row is None or row.cluster_id != cluster_id or row.received_at is None:
        raise NotFoundError("upload", evidence_id)
    return _described(row)


def content(storage: UploadStorage, cluster_id: UUID, described: Evidence) -> bytes:
    """What came, if it is what was announced; NotFoundError, ObjectStorageError."""
    found = storage.read(evidence_key(cluster_id, described.id))
    if found is None or hashlib.sha256(found).hexdigest() != described.sha256:
        raise NotFoundError("content that was announced of upload", described.id)
    return found


def _described(row: models.Evidence) -> Evidence:
    return Evidence.model_validate(row, from_attributes=True)

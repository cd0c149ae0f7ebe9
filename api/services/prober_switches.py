"""The kill switch of a prober, or of one of its revisions: it reaches every agent with its next document."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.services.errors import NotFoundError
from api.services.probers import (
    living_prober,
    mark_clusters_of,
    prober,
    prober_subject,
)
from common.contracts.probers import Prober, ProberStop
from database import models
from database.audit_log import Written


def stop_prober(
    session: Session, slug: str, request: ProberStop, *, by: str, now: datetime
) -> Written[Prober]:
    """Stop it everywhere; of a single revision the newest one that is not stopped takes the place."""
    row = living_prober(session, slug, lock=True)
    before = prober(session, slug)
    stopped = _switched(session, row, request.revision)
    if stopped.stopped_at is None:
        stopped.stopped_at, stopped.stopped_by = now, by
    stopped.stopped_reason = request.reason
    return _written(session, row, before, action="stop")


def start_prober(session: Session, slug: str, *, revision: int | None) -> Written[Prober]:
    """Let it run again where its configs say."""
    row = living_prober(session, slug, lock=True)
    before = prober(session, slug)
    stopped = _switched(session, row, revision)
    stopped.stopped_at = None
    stopped.stopped_by = stopped.stopped_reason = ""
    return _written(session, row, before, action="start")


def _switched(
    session: Session, row: models.Prober, revision: int | None
) -> models.Prober | models.ProberRevision:
    if revision is None:
        return row
    found = session.scalars(
        select(models.ProberRevision).where(
            models.ProberRevision.prober_id == row.id, models.ProberRevision.number == revision
        )
    ).one_or_none()
    if found is None:
        raise NotFoundError("revision", revision)
    return found


def _written(
    session: Session, row: models.Prober, before: Prober, *, action: str
) -> Written[Prober]:
    # `dirty` alone also holds what was set to the value that it had.
    if any(session.is_modified(one) for one in session.dirty):
        row.version += 1
        session.flush()
        mark_clusters_of(session, {glob for config in row.configs for glob in config.clusters})
    session.flush()
    return Written(prober_subject(row), before, prober(session, row.slug), action=action)

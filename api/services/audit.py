"""Read the audit log."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.services.paging import Paging, Sorting, page_of
from common.contracts.audit import AuditEntry
from common.contracts.values import Page
from database import models

SORTING = Sorting({"at": (models.AuditEntry.at, models.AuditEntry.id)}, default="-at")


@dataclass(frozen=True)
class AuditFilter:
    """Which entries: those that match all that is said."""

    kind: str | None = None
    slug: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def page_of_entries(session: Session, wanted: AuditFilter, paging: Paging) -> Page[AuditEntry]:
    """Entries that match."""
    entry = models.AuditEntry
    statement = select(entry)
    for column, value in (
        (entry.kind, wanted.kind),
        (entry.slug, wanted.slug),
        (entry.actor, wanted.actor),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.since:
        statement = statement.where(entry.at >= wanted.since)
    if wanted.until:
        statement = statement.where(entry.at < wanted.until)
    rows, token = page_of(session, statement, SORTING, paging)
    items = [AuditEntry.model_validate(row, from_attributes=True) for row in rows]
    return Page(items=items, next_page_token=token)

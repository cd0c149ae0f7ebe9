"""Append to the audit log: every write says who, what, before and after, in its own transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import insert
from sqlalchemy.orm import Session

from common.contracts.values import canonical_json
from database.models import AuditEntry, table_of

Shown = TypeVar("Shown", bound=BaseModel)

_APPEND = insert(table_of(AuditEntry))
# What Creator and agents saw: it is no part of what the writer did.
_SEEN = {"hosts", "last_deployment", "last_planned_at", "notices"}


@dataclass(frozen=True)
class Author:
    """Who writes, and in which request."""

    name: str
    role: str
    key_id: UUID | None = None
    request_id: str = ""


@dataclass(frozen=True)
class Subject:
    """What is written: `slug` is `demo`, or `demo/hosts` for what belongs to another object."""

    kind: str
    id: UUID
    slug: str
    cluster_id: UUID | None = None


@dataclass(frozen=True)
class Written(Generic[Shown]):
    """An object that was created (nothing before), changed, or asked to be what it is already."""

    subject: Subject
    before: Shown | None
    after: Shown
    action: str = ""  # a word of its own for what is more than a change of fields

    @property
    def is_new(self) -> bool:
        """Whether it was not there before."""
        return self.before is None

    @property
    def is_changed(self) -> bool:
        """Whether there was anything to do.

        What has an ETag is asked for that: the rest of it, Creator may have changed meanwhile.
        """
        if etag := getattr(self.after, "etag", ""):
            return etag != getattr(self.before, "etag", None)
        # As text: to Python, 1 equals true.
        before = canonical_json(_recorded(self.before))
        return before != canonical_json(_recorded(self.after))


@dataclass(frozen=True)
class Deleted(Generic[Shown]):
    """An object that is gone."""

    subject: Subject
    before: Shown
    after: None = None
    action: str = "delete"
    is_changed: bool = True


def record(
    session: Session,
    author: Author,
    written: Written[Shown] | Deleted[Shown],
    *,
    now: datetime,
) -> None:
    """Append the entry of a write; one that changed nothing leaves none."""
    if not written.is_changed:
        return
    entry = {
        "at": now,
        "key_id": author.key_id,
        "actor": author.name,
        "role": author.role,
        "action": written.action or ("change" if written.before else "create"),
        "kind": written.subject.kind,
        "object_id": written.subject.id,
        "slug": written.subject.slug,
        "cluster_id": written.subject.cluster_id,
        "before": _recorded(written.before),
        "after": _recorded(written.after),
        "request_id": author.request_id,
    }
    session.execute(_APPEND, entry)


def _recorded(shown: BaseModel | None) -> dict[str, Any] | None:
    return shown.model_dump(mode="json", exclude=_SEEN) if shown else None

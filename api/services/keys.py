"""API keys: made, listed, changed, revoked; only digests are stored. And the admin key of the first start."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api.entity_tags import Precondition, etag_of
from api.services.errors import ActionError, ForbiddenError, InvalidError, NotFoundError
from api.services.paging import Paging, Sorting, page_of
from common.atomic_files import read_or_make_key
from common.contracts.keys import ApiKey, ApiKeyCreate, ApiKeyCreated, ApiKeyUpdate, Role
from common.contracts.values import Page
from common.errors import KeyFileError
from database import models
from database.audit_log import Deleted, Subject, Written
from database.session import Database

KEY_PREFIX = "mrp_"
_MINIMUM_KEY_LENGTH = 40
_LONGEST_LIFE = timedelta(days=36500)
# How exact `last_used_at` is: a write per request would be too dear.
LAST_USE_EVERY = timedelta(minutes=1)
_SCOPED_ROLES = frozenset({Role.EDITOR, Role.APPROVER})
SORTING = Sorting(
    {
        "created_at": (models.ApiKey.id,),  # ids sort by age
        "name": (models.ApiKey.name, models.ApiKey.id),
    },
    default="created_at",
)


@dataclass(frozen=True)
class KnownKey:
    """A valid key, without its text."""

    id: UUID
    role: Role
    name: str
    clusters: frozenset[str] | None
    expires_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether its end has not come since it was read."""
        return self.expires_at is None or now < self.expires_at


def digest_of(text: str) -> str:
    """The SHA-256 under which a key or a sign-in token is stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def page_of_keys(session: Session, paging: Paging) -> Page[ApiKey]:
    """Keys that are not revoked."""
    statement = select(models.ApiKey).where(models.ApiKey.revoked_at.is_(None))
    rows, token = page_of(session, statement, SORTING, paging)
    return Page(items=[_described(row) for row in rows], next_page_token=token)


def key(session: Session, key_id: UUID) -> ApiKey:
    """One key that is not revoked."""
    return _described(_row(session, key_id))


def create_key(
    session: Session, new: ApiKeyCreate, *, now: datetime
) -> tuple[Written[ApiKey], ApiKeyCreated]:
    """A new key, as it is listed, and with its text, which is nowhere else."""
    _check_end(new.expires_at, now)
    _check_scope(new.clusters, new.role)
    text = KEY_PREFIX + secrets.token_urlsafe(32)
    row = models.ApiKey(
        name=new.name,
        role=new.role,
        clusters=_scope(new.clusters),
        expires_at=new.expires_at,
        digest=digest_of(text),
    )
    session.add(row)
    session.flush()
    described = _described(row)
    created = ApiKeyCreated(**described.model_dump(), key=text)
    return Written(_subject(row), None, described), created


def update_key(
    session: Session,
    key_id: UUID,
    changes: ApiKeyUpdate,
    expected: Precondition,
    *,
    by: UUID | None,
    now: datetime,
) -> Written[ApiKey]:
    """Change the fields that the caller, who holds key `by`, named.

    ForbiddenError: a key that would give itself a longer life.
    ActionError: a key that was revoked, or the last admin key, which would end.
    """
    row = _locked_row(session, key_id)
    if row.revoked_at:
        raise ActionError("the key was revoked, which cannot be taken back: create another one")
    expected.require("key", key_id, etag_of(row.id, row.version))
    before = _described(row)
    if "name" in changes.model_fields_set:
        row.name = changes.name
    if "clusters" in changes.model_fields_set:
        _check_scope(changes.clusters, row.role)
        row.clusters = _scope(changes.clusters)
    if "expires_at" in changes.model_fields_set and changes.expires_at != row.expires_at:
        _check_end(changes.expires_at, now)
        if row.id == by and _is_later(changes.expires_at, row.expires_at):
            raise ForbiddenError("no key may give itself a longer life: ask another admin")
        if changes.expires_at:
            _require_other_admin(session, row, now)
        row.expires_at = changes.expires_at
    if session.is_modified(row):
        row.version += 1
    session.flush()
    return Written(_subject(row), before, _described(row))


def revoke_key(
    session: Session, key_id: UUID, expected: Precondition, *, now: datetime
) -> Deleted[ApiKey]:
    """From now on the key opens nothing. Its row stays, so that its digest is never taken for a new one.

    ActionError: it is the last admin key.
    """
    row = _locked_row(session, key_id)
    if row.revoked_at:
        raise NotFoundError("key", key_id)
    expected.require("key", key_id, etag_of(row.id, row.version))
    _require_other_admin(session, row, now)
    before = _described(row)
    row.revoked_at = now
    row.version += 1
    return Deleted(_subject(row), before)


def find_key(database: Database, digest: str, *, now: datetime) -> KnownKey | None:
    """The valid key of this digest, if there is one."""
    with database.reading() as session:
        row = session.scalars(
            select(models.ApiKey).where(models.ApiKey.digest == digest)
        ).one_or_none()
    if row is None or not hmac.compare_digest(row.digest, digest) or not _is_valid(row, now):
        return None
    return known_key_of(row)


def known_key_of(row: models.ApiKey) -> KnownKey:
    """A row as a value."""
    clusters = frozenset(row.clusters) if row.clusters is not None else None
    return KnownKey(row.id, row.role, row.name, clusters, row.expires_at)


def note_use(database: Database, key_id: UUID, *, now: datetime) -> None:
    """Remember that the key was used; of several processes one is enough."""
    is_due = models.ApiKey.last_used_at.is_(None) | (
        models.ApiKey.last_used_at <= now - LAST_USE_EVERY
    )
    with database.writing() as session:
        session.execute(
            update(models.ApiKey)
            .where(models.ApiKey.id == key_id, is_due)
            .values(last_used_at=now)
            .execution_options(synchronize_session=False)
        )


def valid_key(session: Session, key_id: UUID, *, now: datetime) -> models.ApiKey | None:
    """The key with this id, if it is valid."""
    row = session.get(models.ApiKey, key_id)
    return row if row and _is_valid(row, now) else None


def ensure_admin_key(database: Database, path: Path) -> UUID:
    """The id of the admin key in the file; the first start makes both, and any start heals what is missing.

    File without row: the row is added. Row without file: a new key is made, the old one stays valid.
    A revoked key stays revoked: to get a new one, remove the file.
    """
    text = read_or_make_key(path, prefix=KEY_PREFIX)
    if not text.startswith(KEY_PREFIX) or len(text) < _MINIMUM_KEY_LENGTH:
        raise KeyFileError(path, "does not hold an API key: remove it, and a new one is made")
    try:
        with database.writing() as session:
            return _key_id(session, digest_of(text))
    except IntegrityError:  # another process of the first start was faster
        with database.writing() as session:
            return _key_id(session, digest_of(text))


def _row(session: Session, key_id: UUID) -> models.ApiKey:
    row = session.get(models.ApiKey, key_id)
    if row is None or row.revoked_at:
        raise NotFoundError("key", key_id)
    return row


def _locked_row(session: Session, key_id: UUID) -> models.ApiKey:
    """With all admin keys, in one order, so that of two who end each other's one comes second."""
    is_wanted = (models.ApiKey.id == key_id) | _IS_LIVING_ADMIN
    rows = session.scalars(
        select(models.ApiKey).where(is_wanted).order_by(models.ApiKey.id).with_for_update()
    )
    found = [row for row in rows if row.id == key_id]
    if not found:
        raise NotFoundError("key", key_id)
    return found[0]


_IS_LIVING_ADMIN = (models.ApiKey.role == Role.ADMIN) & models.ApiKey.revoked_at.is_(None)


def _require_other_admin(session: Session, row: models.ApiKey, now: datetime) -> None:
    """Nobody locks everybody out: another admin key lives."""
    if row.role is not Role.ADMIN or not _is_valid(row, now):
        return
    others = session.scalars(
        select(models.ApiKey).where(_IS_LIVING_ADMIN, models.ApiKey.id != row.id)
    )
    if not any(_is_valid(other, now) for other in others):
        raise ActionError(
            "this is the last admin key, without which nobody could make another: create one first"
        )


def _check_end(expires_at: datetime | None, now: datetime) -> None:
    if expires_at and not now < expires_at < now + _LONGEST_LIFE:
        expected = "a moment in the future, within 100 years"
        raise InvalidError.of("expires_at", expected, given=expires_at.isoformat())


def _check_scope(clusters: Sequence[str] | None, role: Role) -> None:
    if clusters and role not in _SCOPED_ROLES:
        expected = "no clusters: only what an editor or approver may change can be limited to some"
        raise InvalidError.of("clusters", expected)


def _scope(clusters: Sequence[str] | None) -> list[str] | None:
    return sorted(set(clusters)) if clusters else None


def _is_later(one: datetime | None, other: datetime | None) -> bool:
    """Whether a life to `one` is longer than a life to `other`; None: without end."""
    return other is not None and (one is None or one > other)


def _described(row: models.ApiKey) -> ApiKey:
    described = ApiKey.model_validate(row, from_attributes=True)
    return described.model_copy(update={"etag": etag_of(row.id, row.version)})


def _subject(row: models.ApiKey) -> Subject:
    return Subject("key", row.id, row.name)


def _key_id(session: Session, digest: str) -> UUID:
    found = session.scalar(select(models.ApiKey.id).where(models.ApiKey.digest == digest))
    if found:
        return found
    row = models.ApiKey(name="admin key of the first start", role=Role.ADMIN, digest=digest)
    session.add(row)
    session.flush()
    return row.id


def _is_valid(row: models.ApiKey, now: datetime) -> bool:
    return row.revoked_at is None and (row.expires_at is None or now < row.expires_at)

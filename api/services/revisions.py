"""Revisions of recipes and probers: immutable sets of files, numbered from 1; equal content is the same revision."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from api.services.declared_variables import declared_variables
from api.services.errors import InvalidError, NotFoundError
from api.services.paging import Paging, Sorting, page_of
from common.contracts.files import FileReference, FileUpload, content_hash, path_conflicts
from common.contracts.recipes import DeclaredVariable, Revision, Stop
from common.contracts.values import Page
from common.object_storage import ObjectStorage, store_file
from database.models import Prober, ProberFile, ProberRevision, RecipeFile, RecipeRevision

MAX_REVISION_BYTES = 32 * 1024 * 1024

RevisionRow = TypeVar("RevisionRow", RecipeRevision, ProberRevision)
RevisionKind = type[RecipeRevision] | type[ProberRevision]
SORTING = {
    kind: Sorting({"number": (kind.number,)}, default="-number")
    for kind in (RecipeRevision, ProberRevision)
}


@dataclass(frozen=True)
class NewFiles:
    """Files whose contents are in storage, on their way into a revision."""

    references: list[FileReference]
    declared_variables: list[DeclaredVariable] | None = None  # of recipes; None = not known

    @property
    def content_hash(self) -> str:
        """Equal for equal sets of files."""
        return content_hash(self.references)


def stored_files(storage: ObjectStorage, uploads: Sequence[FileUpload]) -> NewFiles:
    """Store the contents, before any row names them; InvalidError if the set cannot be unpacked.

    Called outside of transactions: nobody waits for our disk.
    What a refused request leaves in storage is addressed by its hash and harms nobody.
    """
    files = checked_files(uploads)
    store_contents(storage, uploads)
    return files


def store_contents(storage: ObjectStorage, uploads: Iterable[FileUpload]) -> None:
    """Store the contents that are not there yet."""
    for upload in uploads:
        store_file(storage, upload.content)


def checked_files(uploads: Sequence[FileUpload]) -> NewFiles:
    """The set of files, nothing stored; InvalidError if it cannot be unpacked."""
    if conflicts := path_conflicts(upload.path for upload in uploads):
        raise InvalidError.of(
            "files",
            f"each path once, and no path both file and folder: {', '.join(conflicts[:5])}",
        )
    size = sum(len(upload.content) for upload in uploads)
    if size > MAX_REVISION_BYTES:
        raise InvalidError.of("files", f"at most {MAX_REVISION_BYTES} bytes in all", given=size)
    return NewFiles([upload.reference() for upload in uploads])


def stored_recipe(storage: ObjectStorage, uploads: Sequence[FileUpload]) -> NewFiles:
    """Store the files of a recipe, and find the variables that they declare."""
    files = checked_recipe(uploads)
    store_contents(storage, uploads)
    return files


def checked_recipe(uploads: Sequence[FileUpload]) -> NewFiles:
    """The files of a recipe with the variables that they declare, nothing stored."""
    files = checked_files(uploads)
    return replace(files, declared_variables=declared_variables(uploads))


def newest_revisions(
    session: Session,
    kind: type[RevisionRow],
    parent_ids: Iterable[UUID],
    *conditions: ColumnElement[bool],
) -> dict[UUID, RevisionRow]:
    """The newest revision of each parent that fulfils all conditions, with its files: a constant number of statements."""
    parent = _parent(kind)
    newest = (
        select(parent.label("parent_id"), func.max(kind.number).label("number"))
        .where(parent.in_(list(parent_ids)), *conditions)
        .group_by(parent)
        .subquery()
    )
    statement = (
        select(kind)
        .join(newest, (parent == newest.c.parent_id) & (kind.number == newest.c.number))
        .options(selectinload(kind.files))
    )
    return {getattr(row, parent.key): row for row in session.scalars(statement)}


def add_revision(
    session: Session, kind: type[RevisionRow], parent_id: UUID, files: NewFiles
) -> tuple[RevisionRow, bool]:
    """The revision that holds these files, and whether it is new. The caller holds the lock on the parent."""
    newest = newest_revisions(session, kind, [parent_id]).get(parent_id)
    if newest and newest.content_hash == files.content_hash:
        return newest, False
    row = kind(
        **{_parent(kind).key: parent_id},
        number=newest.number + 1 if newest else 1,
        content_hash=files.content_hash,
        files=[_file(kind, reference) for reference in files.references],
        **_findings(kind, files),
    )
    session.add(row)
    session.flush()
    return row, True


def page_of_revisions(
    session: Session, kind: type[RevisionRow], parent_id: UUID, paging: Paging
) -> Page[Revision]:
    """Revisions of a parent."""
    statement = select(kind).where(_parent(kind) == parent_id).options(selectinload(kind.files))
    rows, token = page_of(session, statement, SORTING[kind], paging)
    return Page(items=[described_revision(row) for row in rows], next_page_token=token)


def revision(session: Session, kind: type[RevisionRow], parent_id: UUID, number: int) -> Revision:
    """One revision of a parent."""
    statement = (
        select(kind)
        .where(_parent(kind) == parent_id, kind.number == number)
        .options(selectinload(kind.files))
    )
    row = session.scalars(statement).one_or_none()
    if row is None:
        raise NotFoundError("revision", number)
    return described_revision(row)


def file_of(
    session: Session, kind: type[RevisionRow], parent_id: UUID, *, number: int, path: str
) -> FileReference:
    """One file of a revision, or NotFoundError."""
    listed = revision(session, kind, parent_id, number).files
    for file in listed:
        if file.path == path:
            return file
    raise NotFoundError("file", path)


def described_revision(row: RecipeRevision | ProberRevision) -> Revision:
    """The revision on the wire."""
    references = (FileReference.model_validate(file, from_attributes=True) for file in row.files)
    described = Revision(
        number=row.number,
        content_hash=row.content_hash,
        files=sorted(references, key=lambda file: file.path),
        stopped=stop_of(row) if isinstance(row, ProberRevision) else None,
        created_at=row.created_at,
    )
    return described if isinstance(row, ProberRevision) else _judged(described, row)


def stop_of(row: Prober | ProberRevision) -> Stop | None:
    """Who stopped it, if it is stopped."""
    if row.stopped_at is None:
        return None
    return Stop(by=row.stopped_by, at=row.stopped_at, reason=row.stopped_reason)


def _judged(described: Revision, row: RecipeRevision) -> Revision:
    return Revision.model_validate(
        dict(described)
        | {
            "validity": row.validity,
            "problems": row.problems,
            "checked_at": row.checked_at,
            "declared_variables": row.declared_variables,
        }
    )


def _findings(kind: RevisionKind, files: NewFiles) -> dict[str, Any]:
    if kind is ProberRevision or files.declared_variables is None:
        return {}
    return {"declared_variables": [one.model_dump() for one in files.declared_variables]}


def _parent(kind: RevisionKind) -> InstrumentedAttribute[UUID]:
    return RecipeRevision.recipe_id if kind is RecipeRevision else ProberRevision.prober_id


def _file(kind: RevisionKind, reference: FileReference) -> Any:
    table = RecipeFile if kind is RecipeRevision else ProberFile
    return table(**reference.model_dump())

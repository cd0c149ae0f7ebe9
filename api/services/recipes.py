"""Recipes: create, read, change, delete; their revisions are in `revisions.py`."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.entity_tags import Precondition, etag_of
from api.services.errors import BreaksClustersError, InUseError, NotFoundError, SlugTakenError
from api.services.paging import Paging, Sorting, page_of
from api.services.revisions import NewFiles, add_revision, described_revision, newest_revisions
from api.services.variable_checks import broken_by
from common.contracts.recipes import Recipe, RecipeCreate, RecipeUpdate, RevisionPreview
from common.contracts.values import Page
from database import models
from database.audit_log import Deleted, Subject, Written

SORTING = Sorting(
    {
        "slug": (models.Recipe.slug,),
        "created_at": (models.Recipe.created_at, models.Recipe.id),
        "updated_at": (models.Recipe.updated_at, models.Recipe.id),
    },
    default="slug",
)


def page_of_recipes(session: Session, paging: Paging) -> Page[Recipe]:
    """Living recipes."""
    statement = select(models.Recipe).where(models.Recipe.deleted_at.is_(None))
    rows, token = page_of(session, statement, SORTING, paging)
    newest = newest_revisions(session, models.RecipeRevision, [row.id for row in rows])
    return Page(items=[_described(row, newest[row.id]) for row in rows], next_page_token=token)


def recipe(session: Session, slug: str) -> Recipe:
    """One living recipe."""
    return _with_revision(session, living_recipe(session, slug))


def create_recipe(session: Session, new: RecipeCreate, files: NewFiles) -> Written[Recipe]:
    """A recipe with its first revision."""
    if find_living_recipe(session, new.slug):
        raise SlugTakenError("recipe", new.slug, f"/api/v1/recipes/{new.slug}")
    row = models.Recipe(slug=new.slug, description=new.description, managed_by=new.managed_by)
    session.add(row)
    session.flush()
    revision, _ = add_revision(session, models.RecipeRevision, row.id, files)
    return Written(_subject(row), None, _described(row, revision))


def update_recipe(
    session: Session, slug: str, changes: RecipeUpdate, expected: Precondition
) -> Written[Recipe]:
    """Change the fields that the caller named."""
    row = _expected_recipe(session, slug, expected)
    before = _with_revision(session, row)
    if "description" in changes.model_fields_set:
        row.description = changes.description or ""
    if "managed_by" in changes.model_fields_set:
        row.managed_by = changes.managed_by
    if session.is_modified(row):
        row.version += 1
    session.flush()
    return Written(_subject(row), before, _with_revision(session, row))


def delete_recipe(
    session: Session, slug: str, expected: Precondition, *, now: datetime
) -> Deleted[Recipe]:
    """Leave a tombstone; InUseError as long as a cluster is made from it."""
    row = _expected_recipe(session, slug, expected)
    users = session.scalars(
        select(models.Cluster.slug)
        .where(models.Cluster.recipe_id == row.id, models.Cluster.deleted_at.is_(None))
        .order_by(models.Cluster.slug)
    ).all()
    if users:
        raise InUseError("recipe", slug, [f"cluster {user}" for user in users])
    before = _with_revision(session, row)
    row.deleted_at = now
    return Deleted(_subject(row), before)


def create_recipe_revision(
    session: Session, slug: str, files: NewFiles, expected: Precondition, *, force: bool = False
) -> Written[Recipe]:
    """The recipe with the revision of these files; clusters that follow the newest get it.

    BreaksClustersError if it would break one of them, unless it is forced.
    """
    row = _expected_recipe(session, slug, expected)
    before = _with_revision(session, row)
    if not force and (broken := _preview(session, row, files).broken):
        raise BreaksClustersError(broken)
    revision, is_new = add_revision(session, models.RecipeRevision, row.id, files)
    if is_new:
        row.version += 1
        session.flush()
    return Written(_subject(row), before, _described(row, revision), action="add_revision")


def preview_of_revision(session: Session, slug: str, files: NewFiles) -> RevisionPreview:
    """What the revision of these files would do."""
    return _preview(session, living_recipe(session, slug), files)


def _preview(session: Session, row: models.Recipe, files: NewFiles) -> RevisionPreview:
    newest = newest_revisions(session, models.RecipeRevision, [row.id])[row.id]
    is_new = newest.content_hash != files.content_hash
    old = described_revision(newest).declared_variables
    new = files.declared_variables
    return RevisionPreview(
        is_new=is_new,
        declared_variables=new,
        broken=broken_by(session, row.id, new, old) if is_new else [],
    )


def living_recipe(session: Session, slug: str, *, lock: bool = False) -> models.Recipe:
    """The row of a living recipe, or NotFoundError."""
    if row := find_living_recipe(session, slug, lock=lock):
        return row
    raise NotFoundError("recipe", slug)


def find_living_recipe(session: Session, slug: str, *, lock: bool = False) -> models.Recipe | None:
    """The row of a living recipe, if there is one."""
    statement = select(models.Recipe).where(
        models.Recipe.slug == slug, models.Recipe.deleted_at.is_(None)
    )
    if lock:
        statement = statement.with_for_update()
    return session.scalars(statement).one_or_none()


def _expected_recipe(session: Session, slug: str, expected: Precondition) -> models.Recipe:
    row = living_recipe(session, slug, lock=True)
    expected.require("recipe", slug, etag_of(row.id, row.version))
    expected.require_manager("recipe", slug, row.managed_by)
    return row


def _subject(row: models.Recipe) -> Subject:
    return Subject("recipe", row.id, row.slug)


def _with_revision(session: Session, row: models.Recipe) -> Recipe:
    return _described(row, newest_revisions(session, models.RecipeRevision, [row.id])[row.id])


def _described(row: models.Recipe, newest: models.RecipeRevision) -> Recipe:
    return Recipe(
        id=row.id,
        slug=row.slug,
        etag=etag_of(row.id, row.version),
        description=row.description,
        managed_by=row.managed_by,
        revision=described_revision(newest),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

"""Recipes: create, read, change, delete; their revisions are in `revisions.py`."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.services.errors import InUseError, NotFoundError, SlugTakenError
from api.services.paging import Order, Paging, page_of
from api.services.revisions import NewFiles, add_revision, described_revision, newest_revisions
from common.contracts.recipes import Recipe, RecipeCreate, RecipeUpdate, Revision
from common.contracts.values import Page
from database import models


def page_of_recipes(session: Session, paging: Paging) -> Page[Recipe]:
    """Living recipes by slug."""
    statement = select(models.Recipe).where(models.Recipe.deleted_at.is_(None))
    rows, token = page_of(session, statement, Order(models.Recipe.slug), paging)
    newest = newest_revisions(session, models.RecipeRevision, [row.id for row in rows])
    return Page(items=[_described(row, newest[row.id]) for row in rows], next_page_token=token)


def recipe(session: Session, slug: str) -> Recipe:
    """One living recipe."""
    return _with_revision(session, living_recipe(session, slug))


def create_recipe(session: Session, new: RecipeCreate, files: NewFiles) -> Recipe:
    """A recipe with its first revision."""
    if find_living_recipe(session, new.slug):
        raise SlugTakenError("recipe", new.slug, f"/api/v1/recipes/{new.slug}")
    row = models.Recipe(slug=new.slug, description=new.description, managed_by=new.managed_by)
    session.add(row)
    session.flush()
    revision, _ = add_revision(session, models.RecipeRevision, row.id, files)
    return _described(row, revision)


def update_recipe(session: Session, slug: str, changes: RecipeUpdate) -> Recipe:
    """Change the fields that the caller named."""
    row = living_recipe(session, slug)
    if "description" in changes.model_fields_set:
        row.description = changes.description or ""
    session.flush()
    return _with_revision(session, row)


def delete_recipe(session: Session, slug: str, *, now: datetime) -> None:
    """Leave a tombstone; InUseError as long as a cluster is made from it."""
    row = living_recipe(session, slug)
    users = session.scalars(
        select(models.Cluster.slug)
        .where(models.Cluster.recipe_id == row.id, models.Cluster.deleted_at.is_(None))
        .order_by(models.Cluster.slug)
    ).all()
    if users:
        raise InUseError("recipe", slug, [f"cluster {user}" for user in users])
    row.deleted_at = now


def create_recipe_revision(session: Session, slug: str, files: NewFiles) -> tuple[Revision, bool]:
    """The revision with these files, and whether it is new; clusters that follow the newest get it."""
    row = living_recipe(session, slug)
    revision, is_new = add_revision(session, models.RecipeRevision, row.id, files)
    return described_revision(revision), is_new


def living_recipe(session: Session, slug: str) -> models.Recipe:
    """The row of a living recipe, or NotFoundError."""
    if row := find_living_recipe(session, slug):
        return row
    raise NotFoundError("recipe", slug)


def find_living_recipe(session: Session, slug: str) -> models.Recipe | None:
    """The row of a living recipe, if there is one."""
    statement = select(models.Recipe).where(
        models.Recipe.slug == slug, models.Recipe.deleted_at.is_(None)
    )
    return session.scalars(statement).one_or_none()


def _with_revision(session: Session, row: models.Recipe) -> Recipe:
    return _described(row, newest_revisions(session, models.RecipeRevision, [row.id])[row.id])


def _described(row: models.Recipe, newest: models.RecipeRevision) -> Recipe:
    return Recipe(
        id=row.id,
        slug=row.slug,
        description=row.description,
        managed_by=row.managed_by,
        revision=described_revision(newest),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

"""Routes of recipes and their revisions."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status
from pydantic import BaseModel

from api.dependencies import NumberInPath, PathInPath, SlugInPath, TheContext, paging_by
from api.services import recipes as service
from api.services import revisions
from api.services.paging import Paging
from api.uploads import TheUpload, content_response, upload_schema
from api.writing import TheWriting, tagged
from common.contracts.recipes import (
    AddedRevision,
    Recipe,
    RecipeCreate,
    RecipeUpdate,
    Revision,
    RevisionPreview,
)
from common.contracts.values import Page
from database.models import RecipeRevision


class RevisionQuery(BaseModel):
    """How a revision is added."""

    force: bool = False
    dry_run: bool = False


router = APIRouter(prefix="/recipes", tags=["recipes"])


@router.get("")
def list_recipes(
    context: TheContext, paging: Annotated[Paging, paging_by(service.SORTING)]
) -> Page[Recipe]:
    """All recipes."""
    with context.database.reading() as session:
        return service.page_of_recipes(session, paging)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_recipe(writing: TheWriting, new: RecipeCreate) -> Recipe:
    """Create a recipe; its files become revision 1."""
    files = revisions.stored_recipe(writing.context.storage, new.files)
    with writing.naming(new.files) as session:
        return writing.shown(session, service.create_recipe(session, new, files))


@router.get("/{slug}")
def read_recipe(context: TheContext, slug: SlugInPath, response: Response) -> Recipe:
    """One recipe with its newest revision."""
    with context.database.reading() as session:
        return tagged(response, service.recipe(session, slug))


@router.patch("/{slug}")
def update_recipe(writing: TheWriting, slug: SlugInPath, changes: RecipeUpdate) -> Recipe:
    """Change the fields that are in the body."""
    with writing.describing() as session:
        written = service.update_recipe(session, slug, changes, writing.precondition)
        return writing.shown(session, written)


@router.delete("/{slug}", status_code=status.HTTP_204_NO_CONTENT)
def delete_recipe(writing: TheWriting, slug: SlugInPath) -> None:
    """Delete a recipe from which no cluster is made."""
    now = writing.context.clock()
    with writing.describing() as session:
        deleted = service.delete_recipe(session, slug, writing.precondition, now=now)
        writing.done(session, deleted)


@router.get("/{slug}/revisions")
def list_recipe_revisions(
    context: TheContext,
    slug: SlugInPath,
    paging: Annotated[Paging, paging_by(revisions.SORTING[RecipeRevision])],
) -> Page[Revision]:
    """Revisions of a recipe."""
    with context.database.reading() as session:
        recipe = service.living_recipe(session, slug)
        return revisions.page_of_revisions(session, RecipeRevision, recipe.id, paging)


@router.post(
    "/{slug}/revisions",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {
            "model": AddedRevision | RevisionPreview,
            "description": "the newest revision holds the same files, or a dry run",
        }
    },
    openapi_extra=upload_schema(),
)
def create_recipe_revision(
    writing: TheWriting,
    slug: SlugInPath,
    upload: TheUpload,
    response: Response,
    how: Annotated[RevisionQuery, Query()],
) -> AddedRevision | RevisionPreview:
    """Add a revision; 200 and the newest one if it holds the same files. If-Match and ETag are the recipe's.

    409 lists the clusters that it would break, unless `force=true`; `dry_run=true` lists them and stores nothing.
    """
    context = writing.context
    if how.dry_run:
        response.status_code = status.HTTP_200_OK
        previewed = revisions.checked_recipe(upload.files())
        with context.database.reading() as session:
            return service.preview_of_revision(session, slug, previewed)
    uploads = upload.files()
    files = revisions.stored_recipe(context.storage, uploads)
    with writing.naming(uploads) as session:
        written = service.create_recipe_revision(
            session, slug, files, writing.precondition, force=how.force
        )
        recipe = writing.shown(session, written)
    response.status_code = status.HTTP_201_CREATED if written.is_changed else status.HTTP_200_OK
    return AddedRevision(**recipe.revision.model_dump(), etag=recipe.etag)


@router.get("/{slug}/revisions/{number}")
def read_recipe_revision(context: TheContext, slug: SlugInPath, number: NumberInPath) -> Revision:
    """One revision of a recipe."""
    with context.database.reading() as session:
        recipe = service.living_recipe(session, slug)
        return revisions.revision(session, RecipeRevision, recipe.id, number)


@router.get("/{slug}/revisions/{number}/files/{path:path}", response_class=Response)
def read_recipe_file(
    context: TheContext, slug: SlugInPath, number: NumberInPath, path: PathInPath
) -> Response:
    """The content of one file of a revision."""
    with context.database.reading() as session:
        recipe = service.living_recipe(session, slug)
        found = revisions.file_of(session, RecipeRevision, recipe.id, number=number, path=path)
    return content_response(context.storage, found)

"""Routes of recipes and their revisions."""

from fastapi import APIRouter, Response, status

from api.dependencies import NumberInPath, SlugInPath, TheContext, ThePaging
from api.services import recipes as service
from api.services import revisions
from common.contracts.recipes import Recipe, RecipeCreate, RecipeUpdate, Revision, RevisionCreate
from common.contracts.values import Page
from database.models import RecipeRevision

router = APIRouter(prefix="/recipes", tags=["recipes"])


@router.get("")
def list_recipes(context: TheContext, paging: ThePaging) -> Page[Recipe]:
    """Recipes by slug."""
    with context.database.reading() as session:
        return service.page_of_recipes(session, paging)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_recipe(context: TheContext, new: RecipeCreate) -> Recipe:
    """Create a recipe; its files become revision 1."""
    files = revisions.stored_files(context.storage, new.files)
    with context.describing() as session:
        return service.create_recipe(session, new, files)


@router.get("/{slug}")
def read_recipe(context: TheContext, slug: SlugInPath) -> Recipe:
    """One recipe with its newest revision."""
    with context.database.reading() as session:
        return service.recipe(session, slug)


@router.patch("/{slug}")
def update_recipe(context: TheContext, slug: SlugInPath, changes: RecipeUpdate) -> Recipe:
    """Change the fields that are in the body."""
    with context.describing() as session:
        return service.update_recipe(session, slug, changes)


@router.delete("/{slug}", status_code=status.HTTP_204_NO_CONTENT)
def delete_recipe(context: TheContext, slug: SlugInPath) -> None:
    """Delete a recipe from which no cluster is made."""
    with context.describing() as session:
        service.delete_recipe(session, slug, now=context.clock())


@router.get("/{slug}/revisions")
def list_recipe_revisions(
    context: TheContext, slug: SlugInPath, paging: ThePaging
) -> Page[Revision]:
    """Revisions of a recipe, newest first."""
    with context.database.reading() as session:
        recipe = service.living_recipe(session, slug)
        return revisions.page_of_revisions(session, RecipeRevision, recipe.id, paging)


@router.post("/{slug}/revisions", status_code=status.HTTP_201_CREATED)
def create_recipe_revision(
    context: TheContext, slug: SlugInPath, new: RevisionCreate, response: Response
) -> Revision:
    """Add a revision; 200 and the newest one if it holds the same files."""
    files = revisions.stored_files(context.storage, new.files)
    with context.describing() as session:
        revision, is_new = service.create_recipe_revision(session, slug, files)
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return revision


@router.get("/{slug}/revisions/{number}")
def read_recipe_revision(context: TheContext, slug: SlugInPath, number: NumberInPath) -> Revision:
    """One revision of a recipe."""
    with context.database.reading() as session:
        recipe = service.living_recipe(session, slug)
        return revisions.revision(session, RecipeRevision, recipe.id, number)

"""Calls of the API about recipes and their revisions."""

from common.api.calls import Calls, forced, path_of
from common.contracts.recipes import (
    AddedRevision,
    Recipe,
    RecipeCreate,
    RecipeUpdate,
    Revision,
    RevisionCreate,
    RevisionPreview,
)


class RecipeCalls(Calls):
    """Recipes, their revisions and files."""

    def recipes(self, *, sort: str = "") -> list[Recipe]:
        """All recipes, each with its newest revision."""
        return self.listed("/recipes", Recipe, {"sort": sort})

    def recipe(self, slug: str) -> Recipe:
        """One recipe with its newest revision."""
        return self.got(path_of("recipes", slug), Recipe)

    def create_recipe(self, body: RecipeCreate) -> Recipe:
        """A new recipe; its files become revision 1."""
        return self.sent("POST", "/recipes", body, Recipe)

    def change_recipe(self, slug: str, body: RecipeUpdate, *, etag: str) -> Recipe:
        """Change the fields that are set in the body."""
        return self.changed("PATCH", path_of("recipes", slug), body, etag, Recipe)

    def delete_recipe(self, slug: str, *, etag: str) -> None:
        """Delete a recipe; 409 while a cluster uses it."""
        self.deleted(path_of("recipes", slug), etag)

    def recipe_revisions(self, slug: str) -> list[Revision]:
        """All revisions of a recipe."""
        return self.listed(path_of("recipes", slug, "revisions"), Revision)

    def recipe_revision(self, slug: str, number: int) -> Revision:
        """One revision of a recipe."""
        return self.got(path_of("recipes", slug, "revisions", number), Revision)

    def add_recipe_revision(
        self, slug: str, body: RevisionCreate, *, etag: str, force: bool = False
    ) -> AddedRevision:
        """A new revision, or the newest one if the content is the same; both ETags are the recipe's.

        409 if it would break clusters that follow the newest revision, unless forced.
        """
        path = path_of("recipes", slug, "revisions") + forced(force)
        return self.changed("POST", path, body, etag, AddedRevision)

    def upload_recipe_revision(
        self, slug: str, archive: bytes, *, etag: str, force: bool = False
    ) -> AddedRevision:
        """The same from a tar archive, not compressed, of the whole folder."""
        path = path_of("recipes", slug, "revisions") + forced(force)
        return self.changed("POST", path, archive, etag, AddedRevision)

    def preview_recipe_revision(self, slug: str, body: RevisionCreate) -> RevisionPreview:
        """What a new revision would do; nothing is stored."""
        path = path_of("recipes", slug, "revisions") + "?dry_run=true"
        return self.sent("POST", path, body, RevisionPreview)

    def recipe_file(self, slug: str, number: int, path: str) -> bytes:
        """The content of one file of a recipe's revision."""
        parts = path.split("/")
        return self.answer(path_of("recipes", slug, "revisions", number, "files", *parts)).content

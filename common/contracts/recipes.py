"""Recipes: terraform files under one name, in immutable revisions."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from common.contracts.files import MAX_FILES, FileReference, FileUpload
from common.contracts.identifiers import Slug
from common.contracts.values import Input, Wire


class RecipeCreate(Input):
    """A new recipe; its files become revision 1."""

    slug: Slug
    description: str = Field(default="", max_length=2000)
    files: list[FileUpload] = Field(min_length=1, max_length=MAX_FILES)
    managed_by: str = Field(default="", max_length=100)


class RecipeUpdate(Input):
    """A change of a recipe's own fields; absent fields stay."""

    description: str | None = Field(default=None, max_length=2000)


class RevisionCreate(Input):
    """The whole set of files of a new revision (of a recipe or of a prober)."""

    files: list[FileUpload] = Field(max_length=MAX_FILES)


class Revision(Wire):
    """One immutable set of files."""

    number: int
    content_hash: str
    files: list[FileReference]
    created_at: datetime


class Recipe(Wire):
    """A recipe with its newest revision."""

    id: UUID
    slug: Slug
    description: str
    managed_by: str
    revision: Revision
    created_at: datetime
    updated_at: datetime

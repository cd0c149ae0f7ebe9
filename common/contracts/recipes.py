"""Recipes: terraform files under one name, in immutable revisions."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from common.contracts.files import MAX_FILES, FileReference, FileUpload
from common.contracts.identifiers import ManagerName, Slug
from common.contracts.values import Input, Wire

# Creator hands these to every recipe that declares them, whatever a cluster's variables say.
HANDED_OVER = frozenset(
    {
        "mr_prober_cluster",
        "mr_prober_api_url",
        "mr_prober_agent_token",
        "mr_prober_fallback_url",
    }
)


class Validity(StrEnum):
    """What terraform says of a recipe's revision."""

    UNCHECKED = "unchecked"
    VALID = "valid"
    INVALID = "invalid"


class RevisionProblem(Wire):
    """What terraform found; or, of an unchecked revision, why it could not judge. `file` may be empty."""

    file: str = ""
    line: int | None = None
    message: str


class DeclaredVariable(Wire):
    """A variable of a recipe's root module; `type` is terraform's type constraint, empty for any value."""

    name: str
    type: str = ""
    has_default: bool = False
    nullable: bool = True
    sensitive: bool = False


class RecipeCreate(Input):
    """A new recipe; its files become revision 1."""

    slug: Slug
    description: str = Field(default="", max_length=2000)
    files: list[FileUpload] = Field(min_length=1, max_length=MAX_FILES)
    managed_by: ManagerName = ""


class RecipeUpdate(Input):
    """A change of a recipe's own fields; absent fields stay."""

    description: str | None = Field(default=None, max_length=2000)
    managed_by: ManagerName = ""


class RevisionCreate(Input):
    """The whole set of files of a new revision (of a recipe or of a prober)."""

    files: list[FileUpload] = Field(max_length=MAX_FILES)


class Stop(Wire):
    """Who stopped it, when, and why."""

    by: str
    at: datetime
    reason: str


class Revision(Wire):
    """One immutable set of files."""

    number: int
    content_hash: str
    files: list[FileReference]
    stopped: Stop | None = (
        None  # of a prober: it runs nowhere, the newest one that is not stopped does
    )
    created_at: datetime
    # Of recipes only: probers' files are no terraform.
    validity: Validity | None = None
    problems: list[RevisionProblem] = []
    checked_at: datetime | None = None
    # None: not known.
    declared_variables: list[DeclaredVariable] | None = None


class BrokenVariable(Wire):
    """A variable of a cluster that would not fit a revision any more, or whose value would be missing."""

    cluster: Slug
    variable: str  # with the path to the place in its value, `nodes[3].cpu`
    expected: str


class RevisionPreview(Wire):
    """What a new revision would do, without storing it."""

    is_new: bool
    declared_variables: list[DeclaredVariable] | None = None
    broken: list[BrokenVariable] = []


class AddedRevision(Revision):
    """The answer to a new revision: also the ETag that its recipe or prober has now."""

    etag: str = ""


class Recipe(Wire):
    """A recipe with its newest revision."""

    id: UUID
    slug: Slug
    etag: str = ""  # sent back as If-Match with a change
    description: str
    managed_by: str
    revision: Revision
    created_at: datetime
    updated_at: datetime

"""Read and record: which recipe revisions terraform has not judged yet, and what it said."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select, update

from common.contracts.files import FileReference
from common.contracts.recipes import RevisionProblem, Validity
from creator import audit
from database.audit_log import record
from database.models import Recipe, RecipeFile, RecipeRevision
from database.session import Database


@dataclass(frozen=True)
class UncheckedRevision:
    """A revision of a living recipe without a verdict."""

    id: UUID
    recipe: str
    number: int
    created_at: datetime


class CheckRecords:
    """Each call is one short transaction, and may raise SQLAlchemy's errors."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self.now = clock

    def due(self, limit: int) -> list[UncheckedRevision]:
        """Revisions to be judged now, newest first: people wait for them."""
        query = (
            select(RecipeRevision.id, Recipe.slug, RecipeRevision.number, RecipeRevision.created_at)
            .join(Recipe, Recipe.id == RecipeRevision.recipe_id)
            .where(
                RecipeRevision.validity == Validity.UNCHECKED,
                Recipe.deleted_at.is_(None),
                or_(
                    RecipeRevision.check_again_at.is_(None),
                    RecipeRevision.check_again_at <= self.now(),
                ),
            )
            .order_by(RecipeRevision.id.desc())
            .limit(limit)
        )
        with self._database.reading() as session:
            return [UncheckedRevision(*row) for row in session.execute(query)]

    def files(self, revision_id: UUID) -> list[FileReference]:
        """The files of the revision."""
        query = select(RecipeFile).where(RecipeFile.revision_id == revision_id)
        with self._database.reading() as session:
            return [
                FileReference.model_validate(row, from_attributes=True)
                for row in session.scalars(query.order_by(RecipeFile.path))
            ]

    def judged(
        self,
        revision: UncheckedRevision,
        validity: Validity,
        problems: Sequence[RevisionProblem],
        *,
        again_at: datetime,
    ) -> None:
        """Store the verdict, unless somebody else was faster; an unchecked one is due again at `again_at`."""
        undecided = validity is Validity.UNCHECKED
        values = {
            "validity": validity,
            "problems": [problem.model_dump() for problem in problems],
            "checked_at": self.now(),
            "check_again_at": again_at if undecided else None,
        }
        chosen = RecipeRevision.id == revision.id
        after = audit.VerdictNote(validity=validity, problems=len(problems))
        with self._database.writing() as session:
            found = session.scalars(
                select(RecipeRevision.validity).where(chosen).with_for_update()
            ).one()
            if found is not Validity.UNCHECKED:
                return
            session.execute(update(RecipeRevision).where(chosen).values(**values))
            before = audit.VerdictNote(validity=found)
            said = audit.judged(revision.id, f"{revision.recipe}/{revision.number}", before, after)
            record(session, audit.CREATOR, said, now=self.now())

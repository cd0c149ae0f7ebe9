"""Read: which revision of its recipe each cluster wants, and which one was applied last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from common.contracts.recipes import RevisionProblem, Validity
from creator.deployment.choice import Choice
from creator.deployment.terraform import Kind
from database.models import Cluster, Deployment, DeploymentStep, RecipeRevision

# How long a deployment waits for the verdict on a new revision: with nobody to judge, it goes on without.
VERDICT_TIME = timedelta(minutes=1)
# Made once: it costs more than the query.
_OTHER = aliased(RecipeRevision)
_REVISION_COLUMNS = (
    RecipeRevision.id.label("revision_id"),
    RecipeRevision.content_hash,
    RecipeRevision.validity,
    RecipeRevision.problems,
    RecipeRevision.checked_at,
    RecipeRevision.created_at,
    RecipeRevision.dependency_lock,
)


@dataclass(frozen=True)
class RecipeRevisionRecord:
    """A revision of a recipe without its files."""

    id: UUID
    content_hash: str
    problem: str = ""  # why it is invalid
    dependency_lock: str = ""  # terraform's choice of providers, made by the first init
    verdict_expected_until: datetime | None = None


def wanted_revisions(
    session: Session, choice: Choice, parameters: Mapping[str, Any]
) -> dict[UUID, RecipeRevisionRecord]:
    """By cluster: the revision that it pins, or the newest of its recipe."""
    rows = session.execute(_wanted(choice), parameters)
    return {row[0]: _revision_record(row) for row in rows}


@cache
def _wanted(choice: Choice) -> Select[*tuple[Any, ...]]:
    query = select(Cluster.id, *_REVISION_COLUMNS).join(RecipeRevision, is_wanted())
    return query.where(choice.condition)


def is_wanted() -> ColumnElement[bool]:
    """Whether a revision is the one that a cluster pins, or the newest of its recipe."""
    newest = select(func.max(_OTHER.number)).where(_OTHER.recipe_id == Cluster.recipe_id)
    return and_(
        RecipeRevision.recipe_id == Cluster.recipe_id,
        RecipeRevision.number == func.coalesce(Cluster.recipe_revision, newest.scalar_subquery()),
    )


def _revision_record(revision: Row[Any]) -> RecipeRevisionRecord:
    never_judged = revision.validity is Validity.UNCHECKED and revision.checked_at is None
    is_invalid = revision.validity is Validity.INVALID
    return RecipeRevisionRecord(
        id=revision.revision_id,
        content_hash=revision.content_hash,
        dependency_lock=revision.dependency_lock,
        problem=_first_problem(revision.problems) if is_invalid else "",
        verdict_expected_until=revision.created_at + VERDICT_TIME if never_judged else None,
    )


def _first_problem(problems: Sequence[Any]) -> str:
    for problem in map(RevisionProblem.model_validate, problems):
        place = f"{problem.file}:{problem.line}: " if problem.file else ""
        return f"{place}{problem.message}"
    return "terraform does not say why"


def applied_revisions(
    session: Session, cluster_ids: Sequence[UUID]
) -> dict[UUID, RecipeRevisionRecord]:
    """By cluster: the revision whose apply was the last to start."""
    applied = DeploymentStep.kind == Kind.APPLY.value
    query = (
        select(Deployment.cluster_id, RecipeRevision.id, RecipeRevision.content_hash)
        .join(DeploymentStep, DeploymentStep.deployment_id == Deployment.id)
        .join(RecipeRevision, RecipeRevision.id == Deployment.recipe_revision_id)
        .where(Deployment.cluster_id.in_(cluster_ids), applied)
        .order_by(Deployment.id)
    )
    rows = session.execute(query)
    # The last one in a dictionary wins.
    return {row[0]: RecipeRevisionRecord(id=row[1], content_hash=row[2]) for row in rows}

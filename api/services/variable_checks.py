"""Do the values of clusters fit the variables that recipes declare? Told at once, before terraform could say it.

Where the declared variables of a revision are not known, nothing is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased, selectinload

from api.services.errors import InvalidError, VariableNeededError
from common.contracts.clusters import ClusterState
from common.contracts.recipes import (
    HANDED_OVER,
    BrokenVariable,
    DeclaredVariable,
    RevisionProblem,
    Validity,
)
from common.contracts.values import FieldProblem
from common.contracts.variable_types import misfits
from database import models

Declared = Sequence[DeclaredVariable]
_REQUIRED = "a value: it has no default"


@dataclass(frozen=True)
class Values:
    """The values of a cluster; those of sensitive variables are there, but not looked at."""

    known: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    sealed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: Iterable[models.ClusterVariable]) -> "Values":
        """The stored values of one cluster."""
        listed = list(rows)
        return cls(
            {row.name: row.value for row in listed if row.encrypted is None},
            frozenset(row.name for row in listed if row.encrypted is not None),
        )

    def __contains__(self, name: str) -> bool:
        return name in self.known or name in self.sealed


@dataclass(frozen=True)
class VariableProblem:
    """What is wrong with one variable; `path` leads to the place in its value."""

    variable: str
    path: str
    expected: str


def problems_of(declared: Declared, values: Values) -> list[VariableProblem]:
    """Values that are missing or cannot be right. Pure."""
    problems = []
    for one in declared:
        if one.name in values.known and one.name not in HANDED_OVER:
            problems += value_problems(one, values.known[one.name])
        elif is_needed(one) and one.name not in values:
            problems.append(VariableProblem(one.name, "", _REQUIRED))
    return problems


def value_problems(declared: DeclaredVariable, value: JsonValue) -> list[VariableProblem]:
    """What is wrong with one value. Pure."""
    if value is None and not declared.nullable and not declared.has_default:
        return [VariableProblem(declared.name, "", "another value than null")]
    return [
        VariableProblem(declared.name, misfit.path, misfit.expected)
        for misfit in misfits(value, declared.type)
    ]


def is_needed(declared: DeclaredVariable) -> bool:
    """Whether terraform stops without a value of the cluster."""
    return not declared.has_default and declared.name not in HANDED_OVER


def undeclared_names(declared: Declared, values: Values) -> list[str]:
    """Variables of the cluster that the recipe does not know: probers may. Pure."""
    known = {one.name for one in declared}
    return sorted({*values.known, *values.sealed} - known)


def require_fitting(session: Session, recipe_id: UUID, number: int | None, values: Values) -> None:
    """InvalidError unless a cluster with these values can be made from the revision; None = the newest.

    Sensitive values may be missing: they come one by one, when the cluster is there.
    """
    declared = declared_by(session, recipe_id, number) or []
    at_once = [one for one in declared if one.name in values or not one.sensitive]
    if problems := problems_of(at_once, values):
        raise InvalidError(
            FieldProblem(field=f"variables.{one.variable}{one.path}", expected=one.expected)
            for one in problems
        )


def require_fitting_value(
    session: Session, cluster: models.Cluster, name: str, value: JsonValue
) -> None:
    """InvalidError for a value that cannot be right."""
    declared = _declaration(session, cluster, name)
    if declared is None:
        return
    if problems := value_problems(declared, value):
        raise InvalidError(
            FieldProblem(field=f"value{one.path}", expected=one.expected) for one in problems
        )


def require_not_needed(session: Session, cluster: models.Cluster, name: str) -> None:
    """VariableNeededError if the cluster cannot be deployed without the variable."""
    declared = _declaration(session, cluster, name)
    if declared is not None and is_needed(declared):
        raise VariableNeededError(cluster.slug, name)


def broken_by(
    session: Session, recipe_id: UUID, new: Declared | None, old: Declared | None
) -> list[BrokenVariable]:
    """What a new newest revision would break in the clusters that follow it, and what is not broken now."""
    if new is None:
        return []
    rows = session.scalars(
        select(models.Cluster)
        .where(
            models.Cluster.recipe_id == recipe_id,
            models.Cluster.recipe_revision.is_(None),
            models.Cluster.deleted_at.is_(None),
            models.Cluster.state == ClusterState.ACTIVE,
        )
        .options(selectinload(models.Cluster.variables))
        .order_by(models.Cluster.slug)
    )
    broken = []
    for row in rows:
        values = Values.of(row.variables)
        before = set(problems_of(old or [], values))
        broken += [
            BrokenVariable(
                cluster=row.slug, variable=f"{one.variable}{one.path}", expected=one.expected
            )
            for one in problems_of(new, values)
            if one not in before
        ]
    return broken


def notices_of(session: Session, clusters: Sequence[models.Cluster]) -> dict[UUID, list[str]]:
    """By cluster: what its owner should know of its recipe; the number of statements does not grow."""
    wanted = _wanted_revisions(session, [row.id for row in clusters])
    declared = {one.id: _parsed(one.declared_variables) for one in set(wanted.values())}
    return {
        row.id: notices(revision, declared[revision.id], Values.of(row.variables))
        for row in clusters
        if (revision := wanted.get(row.id))
    }


def notices(
    revision: models.RecipeRevision, declared: Declared | None, values: Values
) -> list[str]:
    """What to know of one cluster; pure."""
    said = []
    if revision.validity is Validity.INVALID:
        problem = RevisionProblem.model_validate((revision.problems or [{"message": ""}])[0])
        place = f"{problem.file}:{problem.line}: " if problem.file else ""
        said.append(
            f"revision {revision.number} of the recipe is invalid, it is not deployed:"
            f" {place}{problem.message}"
        )
    if declared is None:
        return said
    said += [
        f"variable {one.variable}{one.path}: the recipe expects {one.expected}"
        for one in problems_of(declared, values)
    ]
    if names := undeclared_names(declared, values):
        said.append(
            f"the recipe does not declare {', '.join(names)}: only probers can use what it does not know"
        )
    return said


def declared_by(
    session: Session, recipe_id: UUID, number: int | None
) -> list[DeclaredVariable] | None:
    """The declared variables of a revision, by default the newest; None = not known."""
    revision = models.RecipeRevision
    query = select(revision.declared_variables).where(revision.recipe_id == recipe_id)
    if number is not None:
        query = query.where(revision.number == number)
    return _parsed(session.scalars(query.order_by(revision.number.desc()).limit(1)).first())


def _declaration(session: Session, cluster: models.Cluster, name: str) -> DeclaredVariable | None:
    if name in HANDED_OVER:
        return None
    declared = declared_by(session, cluster.recipe_id, cluster.recipe_revision)
    return next((one for one in declared or [] if one.name == name), None)


def _wanted_revisions(
    session: Session, cluster_ids: Sequence[UUID]
) -> dict[UUID, models.RecipeRevision]:
    other = aliased(models.RecipeRevision)
    newest = select(func.max(other.number)).where(other.recipe_id == models.Cluster.recipe_id)
    number = func.coalesce(models.Cluster.recipe_revision, newest.scalar_subquery())
    rows = session.execute(
        select(models.Cluster.id, models.RecipeRevision)
        .join(
            models.RecipeRevision,
            (models.RecipeRevision.recipe_id == models.Cluster.recipe_id)
            & (models.RecipeRevision.number == number),
        )
        .where(models.Cluster.id.in_(cluster_ids))
    )
    return {row[0]: row[1] for row in rows}


def _parsed(stored: list[JsonValue] | None) -> list[DeclaredVariable] | None:
    return None if stored is None else [DeclaredVariable.model_validate(one) for one in stored]

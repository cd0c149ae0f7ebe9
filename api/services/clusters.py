"""Clusters and their variables: what people describe; Creator makes it true."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from api.entity_tags import Precondition, etag_of
from api.services.deployments import last_deployments
from api.services.errors import (
    InvalidError,
    NotActiveError,
    NotFoundError,
    ProtectedError,
    SlugTakenError,
)
from api.services.large_values import name_file
from api.services.paging import Paging, Sorting, page_of
from api.services.recipes import find_living_recipe
from api.services.secrets import described_value, new_variable, refuse_imitation, set_value
from api.services.variable_checks import (
    Values,
    notices_of,
    require_fitting,
    require_fitting_value,
    require_not_needed,
)
from common.contracts.clusters import (
    Cluster,
    ClusterCreate,
    ClusterState,
    ClusterUpdate,
    Deployment,
    HostDescription,
    Pause,
    Variable,
    VariablePut,
)
from common.contracts.identifiers import SLUG_PATTERN
from common.contracts.values import Page
from common.encryption import NO_KEYS, Keyring
from database import models
from database.audit_log import Deleted, Subject, Written
from database.configuration_changes import mark_changed

SORTING = Sorting(
    {
        "slug": (models.Cluster.slug,),
        "created_at": (models.Cluster.created_at, models.Cluster.id),
        "updated_at": (models.Cluster.updated_at, models.Cluster.id),
        "last_planned_at": (models.Cluster.last_planned_at, models.Cluster.id),
    },
    default="slug",
)
VARIABLE_SORTING = Sorting({"name": (models.ClusterVariable.name,)}, default="name")


@dataclass(frozen=True)
class ClusterFilter:
    """Which clusters: those that match all that is said."""

    recipe: str | None = None
    state: ClusterState | None = None
    managed_by: str | None = None


def page_of_clusters(session: Session, wanted: ClusterFilter, paging: Paging) -> Page[Cluster]:
    """Living clusters that match, each with its last deployment."""
    statement = _whole_cluster().where(models.Cluster.deleted_at.is_(None), *_conditions(wanted))
    rows, token = page_of(session, statement, SORTING, paging)
    last = last_deployments(session, [row.id for row in rows])
    said = notices_of(session, rows)
    items = [_described(row, last.get(row.id), said.get(row.id, ())) for row in rows]
    return Page(items=items, next_page_token=token)


def _conditions(wanted: ClusterFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.recipe is not None:
        recipe = select(models.Recipe.id).where(
            models.Recipe.slug == wanted.recipe, models.Recipe.deleted_at.is_(None)
        )
        yield models.Cluster.recipe_id == recipe.scalar_subquery()
    if wanted.state is not None:
        yield models.Cluster.state == wanted.state
    if wanted.managed_by is not None:
        yield models.Cluster.managed_by == wanted.managed_by


def cluster(session: Session, slug_or_id: str) -> Cluster:
    """One cluster, by id also a destroyed one; NotFoundError."""
    row = session.scalars(_whole_cluster().where(_is_called(slug_or_id))).one_or_none()
    if row is None:
        raise NotFoundError("cluster", slug_or_id)
    return _shown(session, row, last_deployments(session, [row.id]).get(row.id))


def create_cluster(session: Session, new: ClusterCreate) -> Written[Cluster]:
    """A cluster with its first values."""
    if find_living_cluster_id(session, new.slug):
        raise SlugTakenError("cluster", new.slug, f"/api/v1/clusters/{new.slug}")
    recipe = find_living_recipe(session, new.recipe)
    if recipe is None:
        raise InvalidError.of("recipe", "slug of a recipe that exists", given=new.recipe)
    _check_revision(session, recipe, new.recipe_revision)
    require_fitting(session, recipe.id, new.recipe_revision, Values(new.variables))
    for name, value in new.variables.items():
        refuse_imitation(f"variables.{name}", value)
    row = models.Cluster(
        slug=new.slug,
        recipe=recipe,
        recipe_revision=new.recipe_revision,
        deploy_policy=new.deploy_policy,
        managed_by=new.managed_by,
        variables=[
            models.ClusterVariable(name=name, value=value, managed_by=new.managed_by)
            for name, value in sorted(new.variables.items())
        ],
    )
    for one in row.variables:
        name_file(one)
    session.add(row)
    session.flush()
    return Written(_subject(row), None, _shown(session, row, None))


def update_cluster(
    session: Session,
    slug: str,
    changes: ClusterUpdate,
    expected: Precondition,
    *,
    force: bool = False,
) -> Written[Cluster]:
    """Change the fields that the caller named; with `force` also to a revision that the values do not fit yet."""
    row = _active_cluster(session, slug, expected)
    last = last_deployments(session, [row.id]).get(row.id)
    before = _described(row, last)
    if "recipe_revision" in changes.model_fields_set:
        _check_revision(session, row.recipe, changes.recipe_revision)
        if not force and changes.recipe_revision != row.recipe_revision:
            values = Values.of(row.variables)
            require_fitting(session, row.recipe_id, changes.recipe_revision, values)
        row.recipe_revision = changes.recipe_revision
    if "deploy_policy" in changes.model_fields_set:
        row.deploy_policy = changes.deploy_policy
    if "protected" in changes.model_fields_set:
        row.protected = changes.protected
    if session.is_modified(row):
        row.version += 1
    session.flush()
    return Written(_subject(row), before, _shown(session, row, last))


def delete_cluster(session: Session, slug: str, expected: Precondition) -> Written[Cluster]:
    """Ask Creator to destroy it; asking twice is asking once."""
    row = _expected_cluster(session, slug, expected)
    last = last_deployments(session, [row.id]).get(row.id)
    before = _described(row, last)
    if row.protected:
        raise ProtectedError(slug)
    if row.state is ClusterState.ACTIVE:
        row.state = ClusterState.DELETING
        row.version += 1
        session.flush()
    return Written(_subject(row), before, _shown(session, row, last), action="delete")


def page_of_variables(session: Session, slug: str, paging: Paging) -> Page[Variable]:
    """Variables of a cluster."""
    cluster_id = living_cluster_id(session, slug)
    statement = select(models.ClusterVariable).where(
        models.ClusterVariable.cluster_id == cluster_id
    )
    rows, token = page_of(session, statement, VARIABLE_SORTING, paging)
    return Page(items=[_described_variable(row) for row in rows], next_page_token=token)


def variable(session: Session, slug: str, name: str) -> Variable:
    """One variable of a cluster."""
    return _described_variable(_variable_row(session, living_cluster_id(session, slug), name))


def put_variable(
    session: Session,
    slug: str,
    name: str,
    new: VariablePut,
    expected: Precondition,
    *,
    keyring: Keyring = NO_KEYS,
) -> Written[Variable]:
    """Set a variable; the same value again changes nothing."""
    row = _active_cluster(session, slug)
    found = _expected_variable(row, name, expected)
    require_fitting_value(session, row, name, new.value)
    if found is None:
        found = new_variable(row.id, name, new, keyring=keyring)
        row.variables.append(found)
        mark_changed(session, [row.id])
        session.flush()
        return Written(_variable_subject(row, found), None, _described_variable(found))
    before = _described_variable(found)
    is_new_value = set_value(found, new, keyring=keyring)
    found.managed_by = new.managed_by
    if session.is_modified(found):  # asked before any query: those write first
        found.version += 1
    if is_new_value:
        mark_changed(session, [row.id])
    session.flush()
    return Written(_variable_subject(row, found), before, _described_variable(found))


def delete_variable(
    session: Session, slug: str, name: str, expected: Precondition
) -> Deleted[Variable]:
    """Take a variable away."""
    row = _active_cluster(session, slug)
    found = _variable_row(session, row.id, name)
    _expected_variable(row, name, expected)
    require_not_needed(session, row, name)
    before = _described_variable(found)
    session.delete(found)
    mark_changed(session, [row.id])
    return Deleted(_variable_subject(row, found), before)


def living_cluster(session: Session, slug: str, *, lock: bool = False) -> models.Cluster:
    """The row of a living cluster with recipe and variables, or NotFoundError."""
    statement = _whole_cluster().where(_is_living(slug))
    if lock:
        statement = statement.with_for_update(of=models.Cluster)
    row = session.scalars(statement).one_or_none()
    if row is None:
        raise NotFoundError("cluster", slug)
    return row


def living_cluster_id(session: Session, slug: str) -> UUID:
    """The id of a living cluster, or NotFoundError."""
    if found := find_living_cluster_id(session, slug):
        return found
    raise NotFoundError("cluster", slug)


def known_cluster_id(session: Session, slug_or_id: str) -> UUID:
    """The id of a cluster, by id also of a destroyed one, or NotFoundError."""
    found = session.scalar(select(models.Cluster.id).where(_is_called(slug_or_id)))
    if found is None:
        raise NotFoundError("cluster", slug_or_id)
    return found


def find_living_cluster_id(session: Session, slug: str) -> UUID | None:
    """The id of a living cluster, if there is one."""
    return session.scalar(select(models.Cluster.id).where(_is_living(slug)))


def described_hosts(hosts: dict[str, JsonValue]) -> dict[str, HostDescription]:
    """The hosts that the recipe's output named, on the wire."""
    return {name: HostDescription.model_validate(host) for name, host in sorted(hosts.items())}


def _is_called(slug_or_id: str) -> ColumnElement[bool]:
    """A living cluster by slug, any one by id: ids begin with a digit for some thousand years, slugs never do."""
    if re.fullmatch(SLUG_PATTERN, slug_or_id):
        return _is_living(slug_or_id)
    return models.Cluster.id == UUID(slug_or_id)


def _is_living(slug: str) -> ColumnElement[bool]:
    return and_(models.Cluster.slug == slug, models.Cluster.deleted_at.is_(None))


def _whole_cluster() -> Select[models.Cluster]:
    return select(models.Cluster).options(
        joinedload(models.Cluster.recipe), selectinload(models.Cluster.variables)
    )


def _active_cluster(
    session: Session, slug: str, expected: Precondition | None = None
) -> models.Cluster:
    """The locked row of a cluster that takes changes; `expected` of the cluster itself."""
    row = (
        _expected_cluster(session, slug, expected)
        if expected
        else living_cluster(session, slug, lock=True)
    )
    if row.state is not ClusterState.ACTIVE:
        raise NotActiveError(slug, row.state)
    return row


def _expected_cluster(session: Session, slug: str, expected: Precondition) -> models.Cluster:
    row = living_cluster(session, slug, lock=True)
    expected.require("cluster", slug, etag_of(row.id, row.version))
    return row


def _expected_variable(
    row: models.Cluster, name: str, expected: Precondition
) -> models.ClusterVariable | None:
    """The variable, if there is one; the cluster's row is locked, so it stays what it is."""
    found = next((one for one in row.variables if one.name == name), None)
    if found is None:
        expected.require_absent("variable", f"{row.slug}/{name}")
    else:
        expected.require("variable", f"{row.slug}/{name}", etag_of(found.id, found.version))
    return found


def _subject(row: models.Cluster) -> Subject:
    return Subject("cluster", row.id, row.slug, cluster_id=row.id)


def _variable_subject(row: models.Cluster, found: models.ClusterVariable) -> Subject:
    return Subject("variable", found.id, f"{row.slug}/{found.name}", cluster_id=row.id)


def _check_revision(session: Session, recipe: models.Recipe, number: int | None) -> None:
    if number is None:
        return
    found = session.scalar(
        select(models.RecipeRevision.id).where(
            models.RecipeRevision.recipe_id == recipe.id, models.RecipeRevision.number == number
        )
    )
    if found is None:
        expected = f"number of a revision of recipe {recipe.slug}"
        raise InvalidError.of("recipe_revision", expected, given=number)


def _variable_row(session: Session, cluster_id: UUID, name: str) -> models.ClusterVariable:
    row = session.get(models.ClusterVariable, (cluster_id, name))
    if row is None:
        raise NotFoundError("variable", name)
    return row


def _described_variable(row: models.ClusterVariable) -> Variable:
    return Variable(
        name=row.name,
        etag=etag_of(row.id, row.version),
        value=row.value,
        sensitive=row.encrypted is not None,
        value_version=row.value_version,
        managed_by=row.managed_by,
        updated_at=row.updated_at,
    )


def _shown(session: Session, row: models.Cluster, last_deployment: Deployment | None) -> Cluster:
    return _described(row, last_deployment, notices_of(session, [row]).get(row.id, ()))


def described_cluster(session: Session, row: models.Cluster) -> Cluster:
    """A cluster on the wire, with its last deployment."""
    return _shown(session, row, last_deployments(session, [row.id]).get(row.id))


def cluster_subject(row: models.Cluster) -> Subject:
    """A cluster in the audit log."""
    return _subject(row)


def _pause(row: models.Cluster) -> Pause | None:
    if row.paused_at is None:
        return None
    return Pause(
        by=row.paused_by, at=row.paused_at, reason=row.paused_reason, until=row.paused_until
    )


def _described(
    row: models.Cluster, last_deployment: Deployment | None, notices: Sequence[str] = ()
) -> Cluster:
    return Cluster(
        id=row.id,
        slug=row.slug,
        etag=etag_of(row.id, row.version),
        recipe=row.recipe.slug,
        recipe_revision=row.recipe_revision,
        deploy_policy=row.deploy_policy,
        state=row.state,
        variables={variable.name: described_value(variable) for variable in row.variables},
        hosts=described_hosts(row.hosts),
        managed_by=row.managed_by,
        paused=_pause(row),
        protected=row.protected,
        deploy_requested_by=row.deploy_requested_by if row.deploy_requested_at else "",
        agent_token_version=row.agent_token_version,
        previous_agent_token_version=row.previous_agent_token_version,
        last_deployment=last_deployment,
        last_planned_at=row.last_planned_at,
        notices=list(notices),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

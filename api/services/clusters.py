"""Clusters: what people describe; Creator makes it true."""

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
from api.services.secrets import described_value, refuse_imitation
from api.services.variable_checks import (
    Values,
    notices_of,
    require_fitting,
)
from common.contracts.clusters import (
    Cluster,
    ClusterCreate,
    ClusterState,
    ClusterUpdate,
    Deployment,
    HostDescription,
    Pause,
)
from common.contracts.deployments import Gates, Quarantine, ShownGates
from common.contracts.identifiers import SLUG_PATTERN
from common.contracts.values import Page
from database import models
from database.audit_log import Subject, Written

SORTING = Sorting(
    {
        "slug": (models.Cluster.slug,),
        "created_at": (models.Cluster.created_at, models.Cluster.id),
        "updated_at": (models.Cluster.updated_at, models.Cluster.id),
        "last_planned_at": (models.Cluster.last_planned_at, models.Cluster.id),
    },
    default="slug",
)


# What anybody turns in an emergency, whoever describes the rest.
_SWITCHES = {"protected"}


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
    return described_cluster(session, row)


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
        gates=_stored(new.gates),
        managed_by=new.managed_by,
        protected=new.protected,
        variables=[
            models.ClusterVariable(name=name, value=value, managed_by=new.managed_by)
            for name, value in sorted(new.variables.items())
        ],
    )
    for one in row.variables:
        name_file(one)
    session.add(row)
    session.flush()
    return Written(cluster_subject(row), None, _shown(session, row, None))


def update_cluster(
    session: Session,
    slug: str,
    changes: ClusterUpdate,
    expected: Precondition,
    *,
    force: bool = False,
) -> Written[Cluster]:
    """Change the fields that the caller named; with `force` also to a revision that the values do not fit yet."""
    row = active_cluster(session, slug, expected)
    if changes.model_fields_set - _SWITCHES:
        expected.require_manager("cluster", slug, row.managed_by)
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
    if "gates" in changes.model_fields_set:
        row.gates = _stored(changes.gates)
    for name in changes.model_fields_set & {"protected", "managed_by"}:
        setattr(row, name, getattr(changes, name))
    if session.is_modified(row):
        row.version += 1
    session.flush()
    return Written(cluster_subject(row), before, _shown(session, row, last))


def delete_cluster(session: Session, slug: str, expected: Precondition) -> Written[Cluster]:
    """Ask Creator to destroy it; asking twice is asking once."""
    row = _expected_cluster(session, slug, expected)
    expected.require_manager("cluster", slug, row.managed_by)
    last = last_deployments(session, [row.id]).get(row.id)
    before = _described(row, last)
    if row.protected:
        raise ProtectedError(slug)
    if row.state is ClusterState.ACTIVE:
        row.state = ClusterState.DELETING
        row.version += 1
        session.flush()
    return Written(cluster_subject(row), before, _shown(session, row, last), action="delete")


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


def described_cluster(session: Session, row: models.Cluster) -> Cluster:
    """A cluster on the wire, with its last deployment."""
    return _shown(session, row, last_deployments(session, [row.id]).get(row.id))


def cluster_subject(row: models.Cluster) -> Subject:
    """A cluster in the audit log."""
    return Subject("cluster", row.id, row.slug, cluster_id=row.id)


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


def active_cluster(
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


def _shown(session: Session, row: models.Cluster, last_deployment: Deployment | None) -> Cluster:
    return _described(row, last_deployment, notices_of(session, [row]).get(row.id, ()))


def _stored(gates: Gates) -> dict[str, JsonValue]:
    return gates.model_dump(mode="json", exclude_defaults=True)


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
        gates=ShownGates.model_validate(row.gates),
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
        applying_until=row.applying_until,
        quarantine=Quarantine.model_validate(row.quarantine) if row.quarantine else None,
        replace_addresses=row.replace_addresses,
        notices=list(notices),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

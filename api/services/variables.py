"""Variables of clusters: named JSON values, some of them secret."""

from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from api.entity_tags import Precondition, etag_of
from api.services.clusters import active_cluster, living_cluster_id
from api.services.errors import NotFoundError
from api.services.paging import Paging, Sorting, page_of
from api.services.secrets import new_variable, set_value
from api.services.variable_checks import require_fitting_value, require_not_needed
from common.contracts.clusters import Variable, VariableOfCluster, VariablePut
from common.contracts.values import Page
from common.encryption import NO_KEYS, Keyring
from database import models
from database.audit_log import Deleted, Subject, Written
from database.configuration_changes import mark_changed

SORTING = Sorting({"name": (models.ClusterVariable.name,)}, default="name")
# Clusters by age: as the table's key has it.
SORTING_OF_ALL = Sorting(
    {"cluster": (models.ClusterVariable.cluster_id, models.ClusterVariable.name)}, default="cluster"
)


def page_of_variables(session: Session, slug: str, paging: Paging) -> Page[Variable]:
    """Variables of a cluster."""
    cluster_id = living_cluster_id(session, slug)
    statement = select(models.ClusterVariable).where(
        models.ClusterVariable.cluster_id == cluster_id
    )
    rows, token = page_of(session, statement, SORTING, paging)
    return Page(items=[_described(row) for row in rows], next_page_token=token)


def page_of_all_variables(session: Session, paging: Paging) -> Page[VariableOfCluster]:
    """Variables of all living clusters."""
    # Asked for each row, not listed once: a page costs what it shows.
    is_living = exists().where(
        models.Cluster.id == models.ClusterVariable.cluster_id, models.Cluster.deleted_at.is_(None)
    )
    statement = select(models.ClusterVariable).where(is_living)
    rows, token = page_of(session, statement, SORTING_OF_ALL, paging)
    named = select(models.Cluster.id, models.Cluster.slug).where(
        models.Cluster.id.in_({row.cluster_id for row in rows})
    )
    slugs = {row.id: row.slug for row in session.execute(named)}
    items = [
        VariableOfCluster(**_described(row).model_dump(), cluster=slugs[row.cluster_id])
        for row in rows
    ]
    return Page(items=items, next_page_token=token)


def variable(session: Session, slug: str, name: str) -> Variable:
    """One variable of a cluster."""
    return _described(_row(session, living_cluster_id(session, slug), name))


def put_variable(
    session: Session,
    slug: str,
    name: str,
    new: VariablePut,
    expected: Precondition,
    *,
    keyring: Keyring = NO_KEYS,
) -> Written[Variable]:
    """Set a variable; the same value again changes nothing. Who manages it stays, if it is unsaid."""
    row = active_cluster(session, slug)
    found = _expected(row, name, expected)
    require_fitting_value(session, row, name, new.value)
    if found is None:
        found = new_variable(row.id, name, new, keyring=keyring)
        row.variables.append(found)
        mark_changed(session, [row.id])
        session.flush()
        return Written(_subject(row, found), None, _described(found))
    before = _described(found)
    is_new_value = set_value(found, new, keyring=keyring)
    if "managed_by" in new.model_fields_set:
        found.managed_by = new.managed_by
    if session.is_modified(found):  # asked before any query: those write first
        found.version += 1
    if is_new_value:
        mark_changed(session, [row.id])
    session.flush()
    return Written(_subject(row, found), before, _described(found))


def delete_variable(
    session: Session, slug: str, name: str, expected: Precondition
) -> Deleted[Variable]:
    """Take a variable away."""
    row = active_cluster(session, slug)
    found = _row(session, row.id, name)
    _expected(row, name, expected)
    require_not_needed(session, row, name)
    before = _described(found)
    session.delete(found)
    mark_changed(session, [row.id])
    return Deleted(_subject(row, found), before)


def _expected(
    row: models.Cluster, name: str, expected: Precondition
) -> models.ClusterVariable | None:
    """The variable, if there is one; the cluster's row is locked, so it stays what it is."""
    found = next((one for one in row.variables if one.name == name), None)
    if found is None:
        expected.require_absent("variable", f"{row.slug}/{name}")
    else:
        full_name = f"{row.slug}/{name}"
        expected.require("variable", full_name, etag_of(found.id, found.version))
        expected.require_manager("variable", full_name, found.managed_by)
    return found


def _subject(row: models.Cluster, found: models.ClusterVariable) -> Subject:
    return Subject("variable", found.id, f"{row.slug}/{found.name}", cluster_id=row.id)


def _row(session: Session, cluster_id: UUID, name: str) -> models.ClusterVariable:
    row = session.get(models.ClusterVariable, (cluster_id, name))
    if row is None:
        raise NotFoundError("variable", name)
    return row


def _described(row: models.ClusterVariable) -> Variable:
    return Variable(
        name=row.name,
        etag=etag_of(row.id, row.version),
        value=row.value,
        sensitive=row.encrypted is not None,
        value_version=row.value_version,
        managed_by=row.managed_by,
        updated_at=row.updated_at,
    )

"""What is kept for how long; and, in batches that one short transaction removes, what is due to go."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from database.models import (
    Agent,
    AuditEntry,
    Cluster,
    ClusterVariable,
    Deployment,
    DeploymentStep,
    Document,
    Evidence,
    Prober,
    ProberConfig,
    ProberFile,
    ProberRevision,
    Recipe,
    RecipeFile,
    RecipeRevision,
    SignInLink,
)

_ROWS = 500
# With all that they own.
_TOMBSTONES = 10
# One request to the storage each.
_CONTENTS = 50
_SPENT_LINKS = timedelta(days=1)
_LATE_UPLOAD = timedelta(minutes=10)


@dataclass(frozen=True)
class Policy:
    """How long what is kept. The newest ones are kept whatever their age."""

    deployments: timedelta = timedelta(days=90)
    deployments_per_cluster: int = 20
    revisions: timedelta = timedelta(days=90)
    revisions_per_parent: int = 10
    agents: timedelta = timedelta(days=7)
    tombstones: timedelta = timedelta(days=30)
    audit: timedelta = timedelta(days=365)
    # For contents of files that no revision names, or not yet.
    files: timedelta = timedelta(days=1)
    evidence: timedelta = timedelta(days=14)


@dataclass(frozen=True)
class Expiry:
    """By which policy and at which moment."""

    policy: Policy
    now: datetime


# Removes one batch; how many rows went, 0 = nothing is due any more. A writing session.
Removal = Callable[[Session, Expiry], int]


def remove_links(session: Session, expiry: Expiry) -> int:
    """Sign-in links that can no longer be used."""
    due = SignInLink.expires_at < expiry.now - _SPENT_LINKS
    return len(_removed(session, SignInLink.digest, due))


def remove_agents(session: Session, expiry: Expiry) -> int:
    """Agents that have not reported for long."""
    key = (Agent.cluster_id, Agent.instance)
    due = (
        select(*key)
        .where(Agent.reported_at < expiry.now - expiry.policy.agents)
        .limit(_ROWS)
        # One that is just reporting is not gone.
        .with_for_update(skip_locked=True)
    )
    gone = [tuple(row) for row in session.execute(due)]
    if gone:
        session.execute(delete(Agent).where(tuple_(*key).in_(gone)))
    return len(gone)


def remove_audit(session: Session, expiry: Expiry) -> int:
    """Old entries of the audit log."""
    return len(_removed(session, AuditEntry.id, AuditEntry.at < expiry.now - expiry.policy.audit))


def remove_deployments(session: Session, expiry: Expiry) -> int:
    """Old finished deployments with their logs, except the newest of each cluster; all of clusters long gone."""
    newer = aliased(Deployment)
    enough = _has_newer(
        newer.id,
        and_(newer.cluster_id == Deployment.cluster_id, newer.id > Deployment.id),
        expiry.policy.deployments_per_cluster,
    )
    gone = select(Cluster.id).where(_is_expired_tombstone(Cluster.deleted_at, expiry))
    due = or_(
        and_(Deployment.finished_at < expiry.now - expiry.policy.deployments, enough),
        Deployment.cluster_id.in_(gone),
    )
    return len(_removed(session, Deployment.id, due, DeploymentStep.deployment_id))


def remove_recipe_revisions(session: Session, expiry: Expiry) -> int:
    """Old revisions that no cluster is pinned to and no deployment was made from, except the newest of each recipe."""
    newer = aliased(RecipeRevision)
    enough = _has_newer(
        newer.id,
        and_(newer.recipe_id == RecipeRevision.recipe_id, newer.number > RecipeRevision.number),
        expiry.policy.revisions_per_parent,
    )
    pinned = exists().where(
        Cluster.recipe_id == RecipeRevision.recipe_id,
        Cluster.recipe_revision == RecipeRevision.number,
    )
    deployed = exists().where(Deployment.recipe_revision_id == RecipeRevision.id)
    old = RecipeRevision.created_at < expiry.now - expiry.policy.revisions
    due = and_(old, enough, ~pinned, ~deployed)
    return len(_removed(session, RecipeRevision.id, due, RecipeFile.revision_id))


def remove_prober_revisions(session: Session, expiry: Expiry) -> int:
    """Old revisions, except the newest of each prober that are not stopped: one of those is in documents."""
    newer = aliased(ProberRevision)
    enough = _has_newer(
        newer.id,
        and_(
            newer.prober_id == ProberRevision.prober_id,
            newer.number > ProberRevision.number,
            newer.stopped_at.is_(None),
        ),
        expiry.policy.revisions_per_parent,
    )
    old = ProberRevision.created_at < expiry.now - expiry.policy.revisions
    return len(_removed(session, ProberRevision.id, and_(old, enough), ProberFile.revision_id))


def remove_clusters(session: Session, expiry: Expiry) -> int:
    """Tombstones of clusters, once their deployments and evidence are gone."""
    due = and_(
        _is_expired_tombstone(Cluster.deleted_at, expiry),
        ~exists().where(Deployment.cluster_id == Cluster.id),
        ~exists().where(Evidence.cluster_id == Cluster.id),
    )
    owned = (ClusterVariable.cluster_id, Document.cluster_id, Agent.cluster_id)
    return len(_removed(session, Cluster.id, due, *owned, limit=_TOMBSTONES))


def remove_recipes(session: Session, expiry: Expiry) -> int:
    """Tombstones of recipes that not even a cluster's tombstone needs."""
    due = and_(
        _is_expired_tombstone(Recipe.deleted_at, expiry),
        ~exists().where(Cluster.recipe_id == Recipe.id),
    )
    ids = _due(session, Recipe.id, due, limit=_TOMBSTONES)
    _remove_revisions(session, RecipeRevision.recipe_id, RecipeFile.revision_id, ids)
    _delete(session, Recipe.id, ids)
    return len(ids)


def remove_probers(session: Session, expiry: Expiry) -> int:
    """Tombstones of probers."""
    due = _is_expired_tombstone(Prober.deleted_at, expiry)
    ids = _due(session, Prober.id, due, limit=_TOMBSTONES)
    _remove_revisions(session, ProberRevision.prober_id, ProberFile.revision_id, ids)
    _delete(session, ProberConfig.prober_id, ids)
    _delete(session, Prober.id, ids)
    return len(ids)


# Deployments before what they refer to.
REMOVALS: tuple[Removal, ...] = (
    remove_links,
    remove_agents,
    remove_audit,
    remove_deployments,
    remove_recipe_revisions,
    remove_prober_revisions,
    remove_clusters,
    remove_recipes,
    remove_probers,
)


def due_evidence(session: Session, expiry: Expiry) -> list[tuple[UUID, UUID]]:
    """Old uploads, and those of clusters that are gone, by cluster and id; their contents go before their rows."""
    gone = select(Cluster.id).where(Cluster.deleted_at.is_not(None))
    is_due = or_(
        Evidence.created_at < expiry.now - expiry.policy.evidence, Evidence.cluster_id.in_(gone)
    )
    rows = session.execute(
        select(Evidence.cluster_id, Evidence.id)
        # As long as its address is good, a content may still come.
        .where(is_due, Evidence.expires_at < expiry.now - _LATE_UPLOAD)
        .limit(_CONTENTS)
    )
    return [(row.cluster_id, row.id) for row in rows]


def remove_evidence(session: Session, evidence_ids: list[UUID]) -> None:
    """The rows of uploads whose contents are gone."""
    _delete(session, Evidence.id, evidence_ids)


def unnamed_files(session: Session, hashes: list[str]) -> list[str]:
    """Those of the hashes that neither a revision nor a value names."""
    named: set[str] = set()
    for column in (RecipeFile.sha256, ProberFile.sha256, ClusterVariable.file_sha256):
        named.update(session.scalars(select(column).where(column.in_(hashes)).distinct()))
    return [sha256 for sha256 in hashes if sha256 not in named]


def _is_expired_tombstone(
    deleted_at: InstrumentedAttribute[datetime | None], expiry: Expiry
) -> ColumnElement[bool]:
    return deleted_at < expiry.now - expiry.policy.tombstones


def _has_newer(
    key: InstrumentedAttribute[UUID], is_newer: ColumnElement[bool], count: int
) -> ColumnElement[bool]:
    """Whether there are at least so many newer ones; stops counting there."""
    return select(key).where(is_newer).offset(max(count, 1) - 1).limit(1).exists()


def _removed(
    session: Session,
    key: InstrumentedAttribute[Any],
    due: ColumnElement[bool],
    *owned: InstrumentedAttribute[UUID],
    limit: int = _ROWS,
) -> list[Any]:
    keys = _due(session, key, due, limit=limit)
    for column in (*owned, key):
        _delete(session, column, keys)
    return keys


def _due(
    session: Session, key: InstrumentedAttribute[Any], due: ColumnElement[bool], *, limit: int
) -> list[Any]:
    return list(
        session.scalars(
            select(key).where(due).limit(limit).with_for_update(skip_locked=True, of=key.class_)
        )
    )


def _delete(session: Session, column: InstrumentedAttribute[Any], keys: list[Any]) -> None:
    table: Any = column.class_
    if keys:
        session.execute(
            delete(table).where(column.in_(keys)).execution_options(synchronize_session=False)
        )


def _remove_revisions(
    session: Session,
    parent: InstrumentedAttribute[UUID],
    owner_of_file: InstrumentedAttribute[UUID],
    ids: list[UUID],
) -> None:
    revision: Any = parent.class_
    of_parents = select(revision.id).where(parent.in_(ids))
    session.execute(
        delete(owner_of_file.class_)
        .where(owner_of_file.in_(of_parents))
        .execution_options(synchronize_session=False)
    )
    _delete(session, parent, ids)

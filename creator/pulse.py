"""Read: has anything changed that a decision may depend on? Asked several times a second, so it costs next to nothing."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, select, true
from sqlalchemy.orm import Session

from database.leases import database_now
from database.models import (
    Cluster,
    Creator,
    Deployment,
    InstallationSwitches,
    Lease,
    RecipeRevision,
)
from database.session import Database
from database.tables.base import LIVING
from database.tables.deployments import UNDER_WAY, WAITING

CLUSTER_LEASE = "cluster:"


class Pulse:
    """Remembers what it saw last; one thread uses it. Calls may raise SQLAlchemy's errors.

    A change that it misses (two that commit in the wrong order) is seen by the next pass all the same.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._figures: tuple[Any, ...] | None = None
        self._file_version: int | None = None
        # SQLite's figure is about what others wrote since this very connection asked last.
        self._connection: Connection | None = None

    def has_changed(self) -> bool:
        """Whether anything has changed since the last question; yes, the first time."""
        if self._database.is_sqlite and not self._file_has_changed():
            return False
        with self._database.reading() as session:
            figures = tuple(session.execute(_figures()).one())
        known, self._figures = self._figures, figures
        return figures != known

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _file_has_changed(self) -> bool:
        if self._connection is None:
            self._connection = self._database.engine.connect()
        version: int = self._connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        self._connection.rollback()
        known, self._file_version = self._file_version, version
        return version != known


def clusters_under_way(session: Session, holder: str | None = None) -> set[UUID]:
    """Clusters with a deployment under way, whoever works on it, or on which this Creator worked last."""
    query = select(Deployment.cluster_id).where(UNDER_WAY)
    if holder is not None:
        query = query.where(Deployment.holder == holder)
    return set(session.scalars(query))


def clusters_of_others(session: Session, cluster_ids: Collection[UUID], holder: str) -> set[UUID]:
    """Which of these clusters another Creator holds just now."""
    by_name = {lease_name(cluster_id): cluster_id for cluster_id in cluster_ids}
    if not by_name:
        return set()
    taken = (Lease.expires_at > database_now(session)) & (Lease.holder != holder)
    names = session.scalars(select(Lease.name).where(Lease.name.in_(by_name), taken))
    return {by_name[name] for name in names}


def lease_name(cluster_id: UUID) -> str:
    """Of the lease on a cluster."""
    return f"{CLUSTER_LEASE}{cluster_id}"


def _figures() -> Select[Any]:
    """One row, each figure from one index alone: sums that only grow, counts, newest moments."""
    clusters = select(
        func.count().label("count"),
        func.sum(Cluster.version).label("versions"),
        func.sum(Cluster.configuration_change).label("changes"),
        func.sum(Cluster.agent_token_version).label("tokens"),
        func.max(Cluster.updated_at).label("updated_at"),
    ).where(LIVING)
    waiting = select(
        func.count().label("count"),
        func.count(Deployment.decided_at).label("decided"),
        func.max(Deployment.decided_at).label("decided_at"),
    ).where(WAITING)
    of_clusters, of_waiting = clusters.subquery(), waiting.subquery()
    under_way = select(func.count()).select_from(Deployment).where(UNDER_WAY)
    newest_deployment = select(Deployment.id).order_by(Deployment.id.desc()).limit(1)
    newest_revision = select(RecipeRevision.id).order_by(RecipeRevision.id.desc()).limit(1)
    switch = select(InstallationSwitches.applies_stopped).where(InstallationSwitches.id == 1)
    return select(
        *of_clusters.c,
        *of_waiting.c,
        under_way.scalar_subquery(),
        newest_deployment.scalar_subquery(),
        newest_revision.scalar_subquery(),
        select(func.max(RecipeRevision.checked_at)).scalar_subquery(),
        switch.scalar_subquery(),
        # Who leaves gives up leases, which the others may take at once.
        select(func.count()).select_from(Creator).scalar_subquery(),
    ).select_from(of_clusters.join(of_waiting, true()))

"""Every write that a configuration document may show says so here, in its own transaction."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from database.models import Cluster


def mark_changed(session: Session, cluster_ids: Iterable[UUID]) -> None:
    """Have the documents of these clusters built again before the next agent reads them."""
    ids = sorted(cluster_ids)
    # In one order for everybody: two writers that lock the same rows never wait for each other.
    session.execute(
        select(Cluster.id).where(Cluster.id.in_(ids)).order_by(Cluster.id).with_for_update()
    )
    session.execute(
        update(Cluster)
        .where(Cluster.id.in_(ids))
        .values(
            configuration_change=Cluster.configuration_change + 1,
            updated_at=Cluster.updated_at,  # the cluster's own description did not change
        )
        .execution_options(synchronize_session=False)
    )

"""Every write that a configuration document may show says so here, in its own transaction."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from database.models import Cluster


def mark_changed(session: Session, cluster_ids: Iterable[UUID]) -> None:
    """Have the documents of these clusters built again before the next agent reads them."""
    session.execute(
        update(Cluster)
        .where(Cluster.id.in_(list(cluster_ids)))
        .values(configuration_change=Cluster.configuration_change + 1)
        .execution_options(synchronize_session=False)
    )

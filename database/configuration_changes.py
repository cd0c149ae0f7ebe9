"""Every write that a configuration document may show says so here, in its own transaction."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, select, update
from sqlalchemy.orm import Session

from database.models import Cluster, table_of

_CLUSTERS = table_of(Cluster)
_CHOSEN: BindParameter[list[UUID]] = bindparam("ids", expanding=True)
_LOCK = select(Cluster.id).where(Cluster.id.in_(_CHOSEN)).order_by(Cluster.id).with_for_update()
# For whoever writes to the row of one cluster anyway.
CHANGED: Mapping[str, Any] = {"configuration_change": _CLUSTERS.c.configuration_change + 1}
_CHANGE = (
    update(_CLUSTERS)
    .where(_CLUSTERS.c.id.in_(_CHOSEN))
    # The cluster's own description did not change.
    .values(updated_at=_CLUSTERS.c.updated_at, **CHANGED)
)


def mark_changed(session: Session, cluster_ids: Iterable[UUID]) -> None:
    """Have the documents of these clusters built again before the next agent reads them."""
    ids = sorted(cluster_ids)
    # In one order for everybody: two writers that lock the same rows never wait for each other.
    session.execute(_LOCK, {"ids": ids})
    session.execute(_CHANGE, {"ids": ids})

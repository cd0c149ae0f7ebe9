"""The start page: clusters with what their agents say, counted. Pure except for one function that reads."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.services.agents import sighting_of
from api.services.clusters import ClusterFilter, page_of_clusters
from api.services.paging import Paging
from api.services.sightings import Sighting, remembered, speakers
from common.contracts.agents import Presence
from common.contracts.clusters import Cluster
from common.contracts.states import State, most_urgent
from database import models


@dataclass(frozen=True)
class ClusterOverview:
    """A cluster, how many hosts speak, and how many of their cells are in which state."""

    cluster: Cluster
    reporting: int = 0
    silent: int = 0
    missing: int = 0
    states: list[tuple[State, int]] = field(default_factory=list)


def overview_of(
    cluster: Cluster, sightings: Iterable[Sighting], *, now: datetime
) -> ClusterOverview:
    """Count what live agents say; hosts that nobody speaks for are silent or missing."""
    by_host = speakers(remembered(sightings, cluster.hosts, now), now)
    live = [one for one in by_host.values() if one.presence is Presence.REPORTING]
    counts = Counter(
        most_urgent(prober["states"]) for one in live for prober in one.sighting.report.probers
    )
    return ClusterOverview(
        cluster=cluster,
        reporting=len(live),
        silent=sum(one.presence is Presence.SILENT for one in by_host.values()),
        missing=len(set(cluster.hosts) - set(by_host)),
        states=sorted(counts.items()),
    )


def page_of_overviews(
    session: Session, paging: Paging, *, now: datetime
) -> tuple[list[ClusterOverview], str]:
    """Clusters by slug, and the token of the next page."""
    clusters = page_of_clusters(session, ClusterFilter(), paging)
    seen: dict[UUID, list[Sighting]] = {cluster.id: [] for cluster in clusters.items}
    statement = select(models.Agent).where(models.Agent.cluster_id.in_(list(seen)))
    for row in session.scalars(statement):
        seen[row.cluster_id].append(sighting_of(row))
    overviews = [overview_of(cluster, seen[cluster.id], now=now) for cluster in clusters.items]
    return overviews, clusters.next_page_token

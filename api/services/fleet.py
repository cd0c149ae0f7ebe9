"""The agents of one cluster or of all, chosen by what operators look for; and hosts from which nobody ever came."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, cast, func, or_, select
from sqlalchemy.orm import Session

from api.services.agents import sighting_of
from api.services.paging import Order, Paging, page_of
from api.services.sightings import SILENT_AFTER, agents_of
from common.contracts.agents import Agent, ChosenPresence, MissingHost
from common.contracts.values import Page
from database import models


@dataclass(frozen=True)
class AgentFilter:
    """Which agents: those that match all that is said."""

    cluster_id: UUID | None = None
    presence: ChosenPresence | None = None
    version: str | None = None
    stale: bool | None = None  # whether a newer document than the agent's was built
    clock_skew_above_seconds: float | None = None


def page_of_fleet(
    session: Session, wanted: AgentFilter, paging: Paging, *, now: datetime
) -> Page[Agent]:
    """Agents of living clusters by instance."""
    statement = (
        select(models.Agent)
        .join(models.Cluster, models.Cluster.id == models.Agent.cluster_id)
        .outerjoin(models.Document, models.Document.cluster_id == models.Agent.cluster_id)
        .where(models.Cluster.deleted_at.is_(None), *_conditions(wanted, now))
    )
    rows, token = page_of(session, statement, Order(models.Agent.instance, UUID), paging)
    return Page(items=_described(session, rows, now), next_page_token=token)


def page_of_missing_hosts(session: Session, paging: Paging) -> Page[MissingHost]:
    """Hosts that recipes named and from which no agent ever came, by cluster; `paging` counts clusters."""
    statement = select(models.Cluster).where(models.Cluster.deleted_at.is_(None))
    rows, token = page_of(session, statement, Order(models.Cluster.slug), paging)
    seen = defaultdict(set)
    came = select(models.Agent.cluster_id, models.Agent.host).where(
        models.Agent.cluster_id.in_([row.id for row in rows])
    )
    for cluster_id, host in session.execute(came):
        seen[cluster_id].add(host)
    items = [
        MissingHost(cluster=row.slug, host=host, address=row.hosts[host].get("address", ""))
        for row in rows
        for host in sorted(row.hosts.keys() - seen[row.id])
    ]
    return Page(items=items, next_page_token=token)


def _conditions(wanted: AgentFilter, now: datetime) -> Iterable[ColumnElement[bool]]:
    agent = models.Agent
    if wanted.cluster_id is not None:
        yield agent.cluster_id == wanted.cluster_id
    if wanted.version is not None:
        yield agent.version == wanted.version
    if wanted.clock_skew_above_seconds is not None:
        yield func.abs(agent.clock_skew_seconds) > wanted.clock_skew_above_seconds
    if wanted.presence is not None:
        live = agent.reported_at >= now - SILENT_AFTER
        yield live if wanted.presence is ChosenPresence.REPORTING else ~live
    if wanted.stale is not None:
        revision = cast(agent.report["document_revision"].as_string(), BigInteger)
        stale = or_(revision.is_(None), func.coalesce(models.Document.revision, 0) > revision)
        yield stale if wanted.stale else ~stale


def _described(session: Session, rows: Sequence[models.Agent], now: datetime) -> list[Agent]:
    """In the order of the rows; whether two speak for one host is seen only among all of that host."""
    clusters = {row.cluster_id for row in rows}
    named = select(models.Cluster.id, models.Cluster.slug).where(models.Cluster.id.in_(clusters))
    slugs = {row.id: row.slug for row in session.execute(named)}
    hosts = {row.host for row in rows}
    neighbours = defaultdict(list)
    for row in session.scalars(
        select(models.Agent).where(
            models.Agent.cluster_id.in_(clusters), models.Agent.host.in_(hosts)
        )
    ):
        neighbours[row.cluster_id].append(row)
    found = {}
    for cluster_id, of_cluster in neighbours.items():
        for one in agents_of([sighting_of(row) for row in of_cluster], now):
            found[cluster_id, one.instance] = one
    return [
        found[row.cluster_id, row.instance].model_copy(
            update={"cluster": slugs[row.cluster_id], "token_version": row.token_version}
        )
        for row in rows
    ]

"""The agents of one cluster or of all, chosen by what operators look for; and hosts from which nobody ever came."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, and_, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from api.services.agents import sighting_of
from api.services.paging import Order, Paging, Sorting, key_after, page_of, token_of
from api.services.sightings import SILENT_AFTER, agents_of
from common.contracts.agents import Agent, ChosenPresence, MissingHost
from common.contracts.values import Page
from database import models

# How many agents one request looks at to find those it is asked for: no index serves each filter in each order.
LOOKED_AT = 1_000
_UNIQUE = (models.Agent.instance, models.Agent.cluster_id)
SORTING = Sorting(
    {
        "instance": _UNIQUE,
        "host": (models.Agent.host, *_UNIQUE),
        "reported_at": (models.Agent.reported_at, *_UNIQUE),
        "version": (models.Agent.version, *_UNIQUE),
        "clock_skew_seconds": (models.Agent.clock_skew_seconds, *_UNIQUE),
    },
    default="instance",
)
MISSING_SORTING = Sorting({"cluster": (models.Cluster.slug,)}, default="cluster")


@dataclass(frozen=True)
class AgentFilter:
    """Which agents: those that match all that is said."""

    cluster_id: UUID | None = None
    presence: ChosenPresence | None = None
    version: str | None = None
    stale: bool | None = None  # whether a newer document than the agent's was built
    clock_skew_above_seconds: float | None = None


def page_of_fleet(
    session: Session,
    wanted: AgentFilter,
    paging: Paging,
    *,
    now: datetime,
    looked_at: int = LOOKED_AT,
) -> Page[Agent]:
    """Agents of living clusters; of one cluster all that match, of the fleet a page may hold fewer than there are."""
    statement = (
        select(models.Agent)
        .join(models.Cluster, models.Cluster.id == models.Agent.cluster_id)
        .outerjoin(models.Document, models.Document.cluster_id == models.Agent.cluster_id)
        .where(models.Cluster.deleted_at.is_(None), *_conditions(wanted, now))
    )
    if wanted.cluster_id is not None:
        rows, token = page_of(session, statement, SORTING, paging)
    else:
        number = paging.size + 1 if wanted == AgentFilter() else max(looked_at, paging.size + 1)
        order = SORTING.order(paging.sort)
        keys = _next_keys(order, _served(wanted, order, now), paging)
        rows, token = _page_of_next(session, statement, keys, paging, number=number)
    return Page(items=_described(session, rows, now), next_page_token=token)


def _next_keys(
    order: Order, conditions: Iterable[ColumnElement[bool]], paging: Paging
) -> Select[*tuple[Any, ...]]:
    # One condition: none of these columns may be NULL.
    (after,) = order.after(key_after(paging, order))
    return select(*order.columns).where(after, *conditions).order_by(*order.by())


def _page_of_next(
    session: Session,
    statement: Select[models.Agent],
    keys: Select[*tuple[Any, ...]],
    paging: Paging,
    *,
    number: int,
) -> tuple[list[models.Agent], str]:
    """A page of those that match among the agents with the next so many keys: nothing else is read.

    With a limit inside, no database takes the conditions outside for a reason to read in another order.
    """
    order = SORTING.order(paging.sort)
    window = keys.limit(number).subquery()
    chosen = statement.join(window, and_(*(one == window.c[one.key] for one in _UNIQUE)))
    rows = list(session.scalars(chosen.order_by(*order.by()).limit(paging.size + 1)))
    if len(rows) > paging.size:
        rows.pop()
        return rows, token_of(order.key_of(rows[-1]), paging.question)
    # Fewer match: go on after the last one that was looked at, if there may be more.
    last = session.execute(keys.offset(number - 1).limit(1)).first()
    return rows, token_of(tuple(last), paging.question) if last else ""


def _served(wanted: AgentFilter, order: Order, now: datetime) -> Iterable[ColumnElement[bool]]:
    """The filters that leave an index one stretch to read in this order: these cost nothing."""
    first = order.columns[0]
    if wanted.version is not None and first.key in {"version", "instance"}:
        yield models.Agent.version == wanted.version
    if wanted.presence is not None and first.key == "reported_at":
        yield _is_present(wanted.presence, now)


def page_of_missing_hosts(session: Session, paging: Paging) -> Page[MissingHost]:
    """Hosts that recipes named and from which no agent ever came, by cluster; `paging` counts clusters."""
    statement = select(models.Cluster).where(models.Cluster.deleted_at.is_(None))
    rows, token = page_of(session, statement, MISSING_SORTING, paging)
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
        yield _is_present(wanted.presence, now)
    if wanted.stale is not None:
        revision = cast(agent.report["document_revision"].as_string(), BigInteger)
        stale = or_(revision.is_(None), func.coalesce(models.Document.revision, 0) > revision)
        yield stale if wanted.stale else ~stale


def _is_present(presence: ChosenPresence, now: datetime) -> ColumnElement[bool]:
    live = models.Agent.reported_at >= now - SILENT_AFTER
    return live if presence is ChosenPresence.REPORTING else ~live


def _described(session: Session, rows: Sequence[models.Agent], now: datetime) -> list[Agent]:
    """In the order of the rows; whether two speak for one host is seen only among all of that host."""
    clusters = {row.cluster_id for row in rows}
    named = select(models.Cluster.id, models.Cluster.slug).where(models.Cluster.id.in_(clusters))
    slugs = {row.id: row.slug for row in session.execute(named)}
    asked = aliased(models.Agent)
    of_one_host = and_(asked.cluster_id == models.Agent.cluster_id, asked.host == models.Agent.host)
    # Not by pairs of cluster and host: for a list of pairs SQLite reads the whole table.
    neighbours = (
        select(models.Agent)
        .join(asked, of_one_host)
        .where(asked.instance.in_([row.instance for row in rows]))
    )
    by_cluster: dict[UUID, dict[UUID, models.Agent]] = defaultdict(dict)
    for row in session.scalars(neighbours):
        by_cluster[row.cluster_id][row.instance] = row
    found = {}
    for cluster_id, of_cluster in by_cluster.items():
        for one in agents_of([sighting_of(row) for row in of_cluster.values()], now):
            found[cluster_id, one.instance] = one
    return [
        found[row.cluster_id, row.instance].model_copy(
            update={"cluster": slugs[row.cluster_id], "token_version": row.token_version}
        )
        for row in rows
    ]

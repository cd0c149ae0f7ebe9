"""Agents of a cluster and its grid, read from the database."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.services.documents import current_document
from api.services.grid import grid_of
from api.services.paging import Order, Paging, page_of
from api.services.sightings import Sighting, agents_of
from common.contracts.agents import Agent, Grid
from common.contracts.reports import AgentReport
from common.contracts.values import Page
from database import models
from database.session import Database


def page_of_agents(
    session: Session, cluster_id: UUID, paging: Paging, *, now: datetime
) -> Page[Agent]:
    """Agents of a cluster by instance."""
    statement = select(models.Agent).where(models.Agent.cluster_id == cluster_id)
    rows, token = page_of(session, statement, Order(models.Agent.instance, UUID), paging)
    wanted = {row.instance for row in rows}
    # Whether two speak for one host is seen only among all of them.
    seen = agents_of(sightings(session, cluster_id), now)
    items = sorted((one for one in seen if one.instance in wanted), key=lambda one: one.instance)
    return Page(items=items, next_page_token=token)


def cluster_grid(database: Database, slug: str, *, clock: Callable[[], datetime]) -> Grid:
    """The live grid of a cluster."""
    document = current_document(database, slug, clock=clock).parsed()
    with database.reading() as session:
        seen = sightings(session, document.cluster.id)
    return grid_of(document, seen, now=clock())


def sightings(session: Session, cluster_id: UUID) -> list[Sighting]:
    """The newest report of each agent of a cluster."""
    statement = select(models.Agent).where(models.Agent.cluster_id == cluster_id)
    return [sighting_of(row) for row in session.scalars(statement)]


def sighting_of(row: models.Agent) -> Sighting:
    """A row as a value."""
    return Sighting(
        report=AgentReport.model_validate(row.report),
        clock_skew_seconds=row.clock_skew_seconds,
        first_seen_at=row.first_seen_at,
        reported_at=row.reported_at,
    )

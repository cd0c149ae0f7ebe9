"""What agents of a cluster said, and its grid, read from the database."""

import logging
from functools import partial
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.grids import Grids
from api.services.documents import Documents
from api.services.grid import grid_of
from api.services.sightings import Sighting
from common.contracts.agents import Grid
from common.contracts.reports import AgentReport
from database import models

log = logging.getLogger(__name__)


def cluster_grid(documents: Documents, slug: str, *, grids: Grids) -> Grid:
    """The live grid of a cluster."""
    document = grids.document(slug, documents.current(slug), documents.whole)
    with documents.database.reading() as session:
        seen = sightings(session, document.cluster.id)
    return grid_of(document, seen, now=documents.clock(), shapes=partial(grids.shapes, document))


def sightings(session: Session, cluster_id: UUID) -> list[Sighting]:
    """The newest report of each agent of a cluster."""
    statement = select(models.Agent).where(models.Agent.cluster_id == cluster_id)
    return [sighting_of(row) for row in session.scalars(statement)]


def sighting_of(row: models.Agent) -> Sighting:
    """A row as a value."""
    return Sighting(
        report=_report_of(row),
        clock_skew_seconds=row.clock_skew_seconds,
        first_seen_at=row.first_seen_at,
        reported_at=row.reported_at,
    )


def _report_of(row: models.Agent) -> AgentReport:
    """What the agent said; of a row that was spoiled only who it was, since one of them must not hide all others."""
    try:
        return AgentReport.model_validate(row.report)
    except ValidationError as error:
        log.warning(
            "a stored report cannot be read cluster=%s instance=%s mistakes=%d",
            row.cluster_id,
            row.instance,
            error.error_count(),
        )
        return AgentReport(
            instance=row.instance,
            boot=row.boot,
            host=row.host,
            version=row.version,
            clock=row.reported_at,
            configuration_problem="what this agent reported cannot be read",
        )

"""The effective configuration of one host, as `common.contracts.explanation` prints it."""

from sqlalchemy import select

from api.services.agents import sighting_of
from api.services.documents import Documents
from api.services.errors import NotFoundError
from api.services.sightings import remembered, speakers
from common.contracts.explanation import explained
from common.contracts.host_configuration import HostConfiguration
from common.contracts.resolution import Host
from database import models


def host_configuration(documents: Documents, slug: str, name: str) -> HostConfiguration:
    """What runs on a host that the recipe or an agent names; NotFoundError for any other."""
    document = documents.whole(documents.current(slug))
    statement = select(models.Agent).where(
        models.Agent.cluster_id == document.cluster.id, models.Agent.host == name
    )
    now = documents.clock()
    with documents.database.reading() as session:
        seen = [sighting_of(row) for row in session.scalars(statement)]
    speaker = speakers(remembered(seen, document.hosts, now), now).get(name)
    if speaker is None and name not in document.hosts:
        raise NotFoundError("host", name)
    labels = speaker.sighting.report.labels if speaker else {}
    return explained(document, Host(name, labels))

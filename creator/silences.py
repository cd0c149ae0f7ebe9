"""Read and decide: which expected hosts have not reported for too long? Their machines may be gone."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select

from common.contracts.clusters import ClusterState
from creator.situations import Silence
from database.models import Agent, Cluster
from database.session import Database

# A machine needs that long to come up, whatever it is made of.
BOOT_TIME = timedelta(minutes=15)
# Ten reports in a row that did not come.
SILENCE_TIME = timedelta(minutes=5)


class Silences:
    """Asks the database about all active clusters at once; a minute is often enough."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, applied_at: Mapping[UUID, datetime], now: datetime) -> dict[UUID, Silence]:
        """By cluster, for those with a silent host; `applied_at` = when its last deployment succeeded."""
        hosts = select(Cluster.id, Cluster.hosts).where(Cluster.state == ClusterState.ACTIVE)
        newest = func.max(Agent.reported_at)
        reports = select(Agent.cluster_id, Agent.host, newest).group_by(
            Agent.cluster_id, Agent.host
        )
        with self._database.reading() as session:
            expected = {row.id: row.hosts for row in session.execute(hosts)}
            reported: dict[UUID, dict[str, datetime]] = {}
            for cluster_id, host, at in session.execute(reports):
                reported.setdefault(cluster_id, {})[host] = at
        found = {}
        for cluster_id, moment in applied_at.items():
            names = expected.get(cluster_id, ())
            silence = silence_of(names, reported.get(cluster_id, {}), moment, now)
            if silence is not None:
                found[cluster_id] = silence
        return found


def silence_of(
    expected: Iterable[str], reported: Mapping[str, datetime], applied_at: datetime, now: datetime
) -> Silence | None:
    """The expected hosts that are overdue, if any; `reported` = when each host reported last. Pure."""
    overdue = {}
    for host in expected:
        due = applied_at + BOOT_TIME
        if host in reported:
            due = max(due, reported[host] + SILENCE_TIME)
        if due <= now:
            overdue[host] = due
    return Silence(tuple(sorted(overdue)), max(overdue.values())) if overdue else None

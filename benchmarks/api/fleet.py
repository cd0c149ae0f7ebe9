"""A fleet in a database: 200 clusters of 25 agents each, probers for all of them."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from alembic import command
from alembic.config import Config
from sqlalchemy.orm import Session

from common.agent_tokens import agent_token
from common.contracts.identifiers import new_id
from database import models
from database.session import Database

ROOT = Path(__file__).resolve().parents[2]
SERVER_KEY = "server key of the benchmark, long enough to be one"
_CLUSTERS = 200
_AGENTS = 25
_PROBERS = 10


@dataclass(frozen=True)
class FleetCluster:
    """A cluster and the token of its agents."""

    id: UUID
    slug: str
    token: str

    @property
    def configuration(self) -> str:
        """Where its agents ask."""
        return f"/api/v1/clusters/{self.slug}/configuration"

    @property
    def reports(self) -> str:
        """Where its agents report."""
        return f"/api/v1/clusters/{self.slug}/reports"


def make_fleet(url: str) -> list[FleetCluster]:
    """Migrate the database and fill it."""
    config = Config(ROOT / "alembic.ini")
    config.attributes["database_url"] = url
    command.upgrade(config, "head")
    database = Database(url)
    clusters = [_cluster(number) for number in range(_CLUSTERS)]
    with database.writing() as session:
        recipe = models.Recipe(slug="none")
        session.add(recipe)
        session.flush()
        for cluster in clusters:
            hosts = {
                f"{cluster.slug}-{number}": {"address": "10.0.0.1"} for number in range(_AGENTS)
            }
            session.add(
                models.Cluster(id=cluster.id, slug=cluster.slug, recipe_id=recipe.id, hosts=hosts)
            )
        for number in range(_PROBERS):
            _add_prober(session, number)
    database.dispose()
    return clusters


def _cluster(number: int) -> FleetCluster:
    cluster_id = new_id()
    token = agent_token(SERVER_KEY.encode(), cluster_id, version=1)
    return FleetCluster(cluster_id, f"cluster-{number}", token)


def _add_prober(session: Session, number: int) -> None:
    prober = models.Prober(
        id=new_id(), slug=f"prober-{number}", command=["true", "${cluster.variables.x}"]
    )
    session.add(prober)
    session.flush()
    session.add(models.ProberRevision(prober_id=prober.id, number=1, content_hash="0" * 64))
    session.add(models.ProberConfig(prober_id=prober.id, slug="all", clusters=["*"]))

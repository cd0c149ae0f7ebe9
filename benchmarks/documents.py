"""How long the API needs from a change to the new document of a large cluster, database and all."""

import json
import tempfile
from pathlib import Path
from uuid import UUID

from alembic import command
from alembic.config import Config

from api.services.documents import Documents
from benchmarks.measurement import Measurement, best_cpu_milliseconds
from database import models
from database.configuration_changes import mark_changed
from database.models import now
from database.session import Database

ROOT = Path(__file__).resolve().parents[1]
_CLUSTER = UUID(int=1)


def measure() -> list[Measurement]:
    """A cluster of 10,000 compute nodes; the floor writes and reads its bytes as JSON."""
    return [_measured(hosts=10_000, probers=200)]


def _measured(*, hosts: int, probers: int) -> Measurement:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(_filled(Path(folder), hosts=hosts, probers=probers))
        content = _rebuilt(database, hosts=hosts)
        parsed = json.loads(content)
        measurement = Measurement(
            what=f"document of {hosts:,} hosts and {probers} probers ({len(content) / 1e6:.2f} MB): build after a change, on SQLite",
            floor="json.loads and json.dumps",
            floor_milliseconds=best_cpu_milliseconds(lambda: json.loads(json.dumps(parsed))),
            our_milliseconds=best_cpu_milliseconds(lambda: _rebuilt(database, hosts=hosts)),
        )
        database.dispose()
    return measurement


def _rebuilt(database: Database, *, hosts: int) -> bytes:
    """Rename a label of one host, then build the document that shows it."""
    with database.writing() as session:
        cluster = session.get_one(models.Cluster, _CLUSTER)
        renamed = {"address": "10.0.0.1", "labels": {"rack": str(cluster.configuration_change)}}
        cluster.hosts = {**cluster.hosts, f"host-{hosts - 1}": renamed}
        mark_changed(session, [_CLUSTER])
    with database.reading() as session:
        change = session.get_one(models.Cluster, _CLUSTER).configuration_change
    return Documents(database, now).for_change(_CLUSTER, change).body


def _filled(folder: Path, *, hosts: int, probers: int) -> str:
    url = f"sqlite:///{folder / 'database.sqlite'}"
    config = Config(ROOT / "alembic.ini")
    config.attributes["database_url"] = url
    command.upgrade(config, "head")
    database = Database(url)
    names = [f"host-{number}" for number in range(hosts)]
    described = {
        name: {"address": "10.0.0.1", "labels": {"rack": str(number % 40)}}
        for number, name in enumerate(names)
    }
    with database.writing() as session:
        recipe = models.Recipe(slug="none")
        session.add(recipe)
        session.flush()
        session.add(models.Cluster(id=_CLUSTER, slug="bench", recipe_id=recipe.id, hosts=described))
        session.add_all(_prober(number) for number in range(probers))
    database.dispose()
    return url


def _prober(number: int) -> models.Prober:
    file = models.ProberFile(path="probe.py", mode="0755", sha256="0" * 64, size=100)
    return models.Prober(
        slug=f"prober-{number}",
        command=["python3", "probe.py", "${target}"],
        defaults={"interval_seconds": 5},
        revisions=[models.ProberRevision(number=1, content_hash="0" * 64, files=[file])],
        configs=[models.ProberConfig(slug="all", clusters=["*"])],
    )

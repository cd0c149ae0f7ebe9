"""Creator: what a pass over unchanged clusters costs, how near it comes to a shell script, how soon it sees a change.

It describes clusters and runs Creators as the tests do.
"""

import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from sys import executable

from alembic import command
from alembic.config import Config
from sqlalchemy import make_url, select

from benchmarks.api.servers import http_session, running
from benchmarks.measurement import WallMeasurement
from common.contracts.clusters import DeploymentState
from common.processes import start
from database import models
from database.session import Database
from tests.integration.creator.chaos import Family, Server
from tests.integration.creator.installation import ENCRYPTION_KEY, SERVER_KEY, Installation

ROOT = Path(__file__).resolve().parents[1]
_CLUSTERS = 1000
_DEPLOYED = 20
_WORKERS = 2
_CHANGES = 5
_ROUNDS = 7
_RECIPE = """
variable "word" {}
resource "terraform_data" "one" {
  input = var.word
}
resource "terraform_data" "two" {
  input = var.word
}
"""
# Where machines are made, they take their time.
_SLOW = f"""{_RECIPE}
resource "terraform_data" "machine" {{
  provisioner "local-exec" {{
    command = "sleep 2"
  }}
}}
"""
_SCRIPT = """
cd "$0" && terraform init -input=false >init.log && terraform plan -input=false -out=plan >plan.log && terraform apply -input=false plan >apply.log
"""


def measure() -> list[WallMeasurement]:
    """About two minutes."""
    rows = []
    for kind, database in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        with _folder() as folder, database(folder) as opened:
            rows += _passes(Installation(opened, folder / "data"), kind)
    for recipe, kind in ((_RECIPE, "a tiny recipe"), (_SLOW, "an apply of two seconds")):
        with _folder() as folder, _sqlite(folder) as opened:
            installation = Installation(opened, folder / "data")
            rows += _against_a_script(installation, folder, recipe, kind)
    with _folder() as folder, _sqlite(folder) as opened:
        rows.append(_change_to_plan(Installation(opened, folder / "data"), folder))
    return rows


def _passes(installation: Installation, kind: str) -> list[WallMeasurement]:
    """The first look of a Creator and the next one; the floor reads the rows and nothing else."""
    installation.data_folder.mkdir()
    installation.add_recipe("thing", {"main.tf": _RECIPE})
    for number in range(_CLUSTERS):
        installation.add_cluster(f"c{number}", "thing", {"word": f"word {number}"})
    _pretend_deployed(installation)
    database = installation.database
    floor = _seconds(lambda: _read_all(database))
    loop = installation.loop()
    first = _seconds(loop.start_pass, repetitions=1)
    again = _seconds(loop.start_pass)
    due = sum(not seen.decision.is_idle for seen in loop.outlook())
    loop.close()
    what, notes = f"pass over {_CLUSTERS:,} unchanged clusters, {kind}", f"{due} clusters due"
    read = "one SELECT of clusters and variables"
    return [
        WallMeasurement(f"{what}: the first one of a Creator", read, floor, first, notes),
        WallMeasurement(f"{what}: each later one", read, floor, again, notes),
    ]


def _against_a_script(
    installation: Installation, folder: Path, recipe: str, kind: str
) -> list[WallMeasurement]:
    """20 clusters, two at a time: new ones, then each with another value, and again; medians, as rounds differ by a third."""
    installation.data_folder.mkdir()
    installation.add_recipe("thing", {"main.tf": recipe})
    rows = []
    loop = installation.loop(creator_workers=_WORKERS)
    for what, rounds in (("new", 1), ("changed", _ROUNDS)):
        floors, ours = [], []
        newest = []
        for turn in range(rounds):
            for number in range(_DEPLOYED):
                _describe(installation, folder, number, recipe, f"{what} {turn} {number}")
            floors.append(_seconds(lambda: _run_script(folder), repetitions=1))
            ours.append(_seconds(loop.run_once, repetitions=1))
            newest += [installation.deployments(f"c{number}")[0] for number in range(_DEPLOYED)]
        commands = sorted({" ".join(step.kind for step in one.steps) for one in newest})
        succeeded = sum(one.state is DeploymentState.SUCCEEDED for one in newest)
        rows.append(
            WallMeasurement(
                f"{_DEPLOYED} {what} clusters, {_WORKERS} workers, {kind}",
                f"xargs -P {_WORKERS} of a shell script: init, plan, apply with the same terraform",
                median(floors),
                median(ours),
                f"{succeeded} of {rounds * _DEPLOYED} succeeded; Creator ran: {', '.join(commands)}",
            )
        )
    loop.close()
    return rows


def _describe(
    installation: Installation, folder: Path, number: int, recipe: str, word: str
) -> None:
    """The same cluster for Creator and for the script."""
    slug, script = f"c{number}", folder / "script" / str(number)
    if script.exists():
        installation.set_variable(slug, "word", word)
    else:
        installation.add_cluster(slug, "thing", {"word": word})
        script.mkdir(parents=True)
        (script / "main.tf").write_text(recipe)
    (script / "terraform.tfvars").write_text(f'word = "{word}"\n')


def _run_script(folder: Path) -> None:
    folders = "\\n".join(str(folder / "script" / str(number)) for number in range(_DEPLOYED))
    words = [
        "/bin/sh",
        "-c",
        f"printf '{folders}' | xargs -n 1 -P {_WORKERS} /bin/sh -c '{_SCRIPT}'",
    ]
    environment = {"PATH": f"{Path(_terraform()).parent}:/usr/bin:/bin", "HOME": str(folder)}
    if start(words, environment=environment, cwd=folder).wait() != 0:
        raise RuntimeError("the script failed: its time would be no measure")


def _change_to_plan(installation: Installation, folder: Path) -> WallMeasurement:
    """From a PUT to the API to the start of `terraform plan`, on an idle Creator; the median of some."""
    url = installation.database.engine.url.render_as_string(hide_password=False)
    environment = {
        "MR_PROBER_DATABASE_URL": url,
        "MR_PROBER_DATA_DIR": str(installation.data_folder),
        "MR_PROBER_SERVER_KEY": SERVER_KEY,
        "MR_PROBER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "MR_PROBER_API_PORT": "{port}",
    }
    installation.data_folder.mkdir()
    installation.add_recipe("thing", {"main.tf": _RECIPE})
    installation.add_cluster("demo", "thing", {"word": "one"})
    with running([str(ROOT / "api/main.py")], environment, folder) as server:
        session = http_session((installation.data_folder / "admin.key").read_text().strip())
        creator = start(
            [executable, str(ROOT / "creator/main.py")],
            environment=installation.environment() | {"MR_PROBER_CREATOR_POLL_INTERVAL": "0.25"},
            cwd=folder,
        )
        try:
            _wait_for(lambda: _ended(installation) == 1)
            seconds = []
            for number in range(_CHANGES):
                at = datetime.now(UTC)
                address = f"{server.url}/api/v1/clusters/demo/variables/word"
                session.put(
                    address,
                    json={"value": f"word {number}"},
                    headers={"If-Match": "*"},
                    timeout=10,
                ).raise_for_status()
                _wait_for(lambda wanted=number + 2: _ended(installation) == wanted)  # type: ignore[misc]
                seconds.append((_newest_plan_at(installation) - at).total_seconds())
        finally:
            creator.terminate()
            creator.wait()
    return WallMeasurement(
        "a changed value through the API: to the start of terraform plan, idle Creator",
        "its pause between two looks",
        0.25,
        sorted(seconds)[len(seconds) // 2],
        f"the longest of {_CHANGES}: {max(seconds):.3f} s",
    )


def _ended(installation: Installation) -> int:
    rows = installation.deployments("demo")
    return sum(row.state is DeploymentState.SUCCEEDED for row in rows)


def _newest_plan_at(installation: Installation) -> datetime:
    newest = installation.deployments("demo")[0]
    return next(step.started_at for step in newest.steps if step.kind == "plan")


def _wait_for(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(600):
        if condition():
            return
        pause.wait(0.1)
    raise RuntimeError("it never happened")


def _pretend_deployed(installation: Installation) -> None:
    loop = installation.loop()
    clusters = loop.outlook()
    loop.close()
    now = datetime.now(UTC)
    with installation.database.writing() as session:
        revision = session.scalars(select(models.RecipeRevision.id)).one()
        for seen in clusters:
            row = session.get_one(models.Cluster, seen.cluster_id)
            row.deployed_fingerprint, row.last_planned_at = seen.fingerprint, now
            row.hosts = {f"host-{number}": {"address": "", "labels": {}} for number in range(10)}
            for _ in range(3):
                session.add(
                    models.Deployment(
                        cluster_id=row.id,
                        cause="the recipe or a value has changed",
                        state=DeploymentState.SUCCEEDED,
                        fingerprint=seen.fingerprint,
                        recipe_revision_id=revision,
                        finished_at=now,
                    )
                )


def _read_all(database: Database) -> int:
    columns = (models.Cluster.id, models.Cluster.slug, models.ClusterVariable.value)
    query = select(*columns).join(models.Cluster.variables)
    with database.reading() as session:
        return len(session.execute(query).all())


def _seconds(action: Callable[[], object], *, repetitions: int = 5) -> float:
    """Of the fastest repetition."""
    times = []
    for _ in range(repetitions):
        began = time.monotonic()
        action()
        times.append(time.monotonic() - began)
    return min(times)


def _terraform() -> str:
    beside = shutil.which("terraform", path=str(Path(executable).parent))
    return beside or shutil.which("terraform") or "terraform"


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mrp-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def _sqlite(folder: Path) -> Iterator[Database]:
    yield from _migrated(f"sqlite:///{folder / 'bench.sqlite'}")


@contextmanager
def _postgresql(folder: Path) -> Iterator[Database]:
    family = Family()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = Server(folder / "postgresql", family)
    try:
        url = make_url(server.url).set(drivername="postgresql+psycopg")
        yield from _migrated(url.render_as_string(hide_password=False))
    finally:
        server.stop()
        family.close()


def _migrated(url: str) -> Iterator[Database]:
    config = Config(ROOT / "alembic.ini")
    config.attributes["database_url"] = url
    command.upgrade(config, "head")
    database = Database(url)
    yield database
    database.dispose()

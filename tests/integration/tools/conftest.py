"""A real API process, and synchronize as its user runs it."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from common import processes
from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.atomic_files import read_key
from database.models import Model
from database.session import Database
from tools.synchronize.main import run

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class RunningApi:
    """Where the API listens, and the file of its admin key."""

    url: str
    key_file: Path
    database_url: str

    def client(self, *, manager: str = "*") -> ApiClient:
        """Somebody who edits by hand, and insists."""
        return ApiClient(ApiTransport(self.url, read_key(self.key_file), manager=manager))

    @contextmanager
    def transport(self) -> Iterator[ApiTransport]:
        """Calls that the client has no method for."""
        made = ApiTransport(self.url, read_key(self.key_file))
        yield made
        made.close()


# What an API needs to go on: its keys and its own state, not its objects. The audit log takes additions only.
_KEPT = {"api_keys", "sign_in_links", "installation_switches", "leases", "audit_log"}


@pytest.fixture(scope="session")
def api_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], RunningApi]]:
    """The one API of each kind of database: to start one takes longer than most tests do."""
    started: dict[str, RunningApi] = {}
    with ExitStack() as stack:

        def api_on(kind: str) -> RunningApi:
            if kind not in started:
                folder = tmp_path_factory.mktemp(f"api-{kind}")
                url = _database_of(request, kind, folder)
                started[kind] = stack.enter_context(_started(folder, url))
            return started[kind]

        yield api_on


@pytest.fixture
def api(request: pytest.FixtureRequest, api_of: Callable[[str], RunningApi]) -> RunningApi:
    """`api/main.py` without any object; on SQLite, unless the test asks for both."""
    running = api_of(getattr(request, "param", "sqlite"))
    database = Database(running.database_url)
    with database.engine.begin() as connection:
        for table in reversed(Model.metadata.sorted_tables):
            if table.name not in _KEPT:
                connection.execute(table.delete())
    database.dispose()
    return running


def _database_of(request: pytest.FixtureRequest, kind: str, folder: Path) -> str:
    if kind == "sqlite":
        path = folder / "database.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    make: Callable[[str], str] = request.getfixturevalue("named_postgresql_database")
    return make("tools")


@contextmanager
def _started(folder: Path, database_url: str) -> Iterator[RunningApi]:
    data = folder / "data"
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "MR_PROBER_API_PORT": "0",
        "MR_PROBER_DATABASE_URL": database_url,
        "MR_PROBER_DATA_DIR": str(data),
        "MR_PROBER_SERVER_KEY": "server key of the tests, long enough",
        "MR_PROBER_ENCRYPTION_KEYS": "an-encryption-key-of-the-tests-long-enough",
    }
    with (folder / "api.log").open("wb") as log:
        process = processes.start(
            [sys.executable, str(ROOT / "api/main.py")],
            environment=environment, cwd=folder, stdout=processes.PIPE, stderr=log,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        # The second line, a sign-in link, comes when the admin key is there.
        lines = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"http://[0-9.:]+", lines.decode())
        assert found, (folder / "api.log").read_text()
        yield RunningApi(found[0], data / "admin.key", database_url)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    """A small config repository."""
    root = tmp_path / "configs"
    for path, content in {
        "recipes/vms/main.tf": 'output "mr_prober_hosts" { value = {} }\n',
        "probers/ping/prober.yaml": (
            "command: [./probe.py]\n"
            "defaults: {interval_seconds: 15, matrix: {target: {values: [a, b]}}}\n"
            "configs:\n"
            "  all: {clusters: ['*'], settings: {variables: {port: 80}}}\n"
            "  some: {clusters: [demo], hosts: ['demo-*'], settings: {mode: null}}\n"
        ),
        "probers/ping/probe.py": "print('one')\n",
        "probers/pong/prober.yaml": "command: ['true']\n",
        "environments/local/clusters/demo.yaml": (
            "recipe: vms\nvariables: {hosts: 3, share: 1.0, big: 12345678901234567890123, text: '1e3', list: [a, {b: null}], on: true}\n"
        ),
    }.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


@pytest.fixture
def synchronize(
    api: RunningApi, configs: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Run the command in this process; gives its exit code."""
    monkeypatch.setenv("MR_PROBER_API_URL", api.url)
    monkeypatch.setenv("MR_PROBER_API_KEY_FILE", str(api.key_file))
    monkeypatch.setenv("MR_PROBER_CONFIGS", str(configs))
    return lambda *arguments: run([*arguments])

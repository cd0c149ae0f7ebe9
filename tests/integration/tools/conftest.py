"""A real API process, and synchronize as its user runs it."""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from common import processes
from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.atomic_files import read_key
from tools.synchronize.main import run

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class RunningApi:
    """Where the API listens, and the file of its admin key."""

    url: str
    key_file: Path

    def client(self, *, manager: str = "*") -> ApiClient:
        """Somebody who edits by hand, and insists."""
        return ApiClient(ApiTransport(self.url, read_key(self.key_file), manager=manager))


@pytest.fixture
def api_database(request: pytest.FixtureRequest) -> str:
    """SQLite, unless the test asks for both."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


@pytest.fixture
def api(api_database: str, tmp_path: Path) -> Iterator[RunningApi]:
    """`api/main.py` on a free port and a fresh database."""
    data = tmp_path / "data"
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "MR_PROBER_API_PORT": "0",
        "MR_PROBER_DATABASE_URL": api_database,
        "MR_PROBER_DATA_DIR": str(data),
        "MR_PROBER_SERVER_KEY": "server key of the tests, long enough",
        "MR_PROBER_ENCRYPTION_KEYS": "an-encryption-key-of-the-tests-long-enough",
    }
    with (tmp_path / "api.log").open("wb") as log:
        process = processes.start(
            [sys.executable, str(ROOT / "api/main.py")],
            environment=environment, cwd=tmp_path, stdout=processes.PIPE, stderr=log,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        # The second line, a sign-in link, comes when the admin key is there.
        lines = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"http://[0-9.:]+", lines.decode())
        assert found, (tmp_path / "api.log").read_text()
        yield RunningApi(found[0], data / "admin.key")
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

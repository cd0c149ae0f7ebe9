"""The compose file of a clean clone, and what is seen of it from outside."""

import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from ruamel.yaml import YAML

from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.contracts.agents import Grid
from common.contracts.states import State
from common.errors import ApiError
from tests.containers.daemon import ROOT, Daemon, wait_until

PROJECT = "mrprober"
CLUSTER = "containers"
_FILES = (
    "Makefile", "docker-compose.yml", "docker-compose.two.yml", "docker-compose.prometheus.yml", "configs", "containers",
)  # fmt: skip
# Read by the plain command, too. Health is looked at more often than it is worth in use; who starts after a dead Creator waits less for its lock.
_OVERRIDE = "docker-compose.override.yml"
_IMPATIENCE = {
    "services": {
        "api": {"healthcheck": {"interval": "1s"}},
        "creator": {
            "healthcheck": {"interval": "1s"},
            "environment": {
                "MR_PROBER_CREATOR_LOCK_TIME_LIMIT": "3",
                "MR_PROBER_CREATOR_RETRY_DELAY": "1",
            },
        },
        "solomon": {"healthcheck": {"interval": "1s"}},
    }
}


class Compose:
    """All services of the compose file; addresses are those of the daemon's network."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon = daemon
        self.folder = folder
        self._options: list[str] = []
        for name in _FILES:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            copy(ROOT / name, folder / name)
        with (folder / _OVERRIDE).open("w") as file:
            YAML().dump(_IMPATIENCE, file)
        self.use()
        self._be_patient()

    def _be_patient(self) -> None:
        """A machine that is busy with other tests must not turn cells red: its probers get time."""
        for path in (self.folder / "configs/environments/compose/probers").glob("*.yaml"):
            config = YAML(typ="safe").load(path)
            settings = config["configs"]["containers"].setdefault("settings", {})
            settings |= {"interval_seconds": 10, "time_limit_seconds": 10}
            settings["variables"] = {"timeout_seconds": 8} | settings.get("variables", {})
            if path.stem == "disk-write":  # it knows no such variable
                del settings["variables"]
            with path.open("w") as file:
                YAML().dump(config, file)
        # The example's recipes for real clouds would fetch providers, which cannot be had in here.
        for folder in (self.folder / "configs/recipes").iterdir():
            if not folder.name.startswith("local-"):
                shutil.rmtree(folder)

    def use(self, *overrides: str) -> None:
        """From now on with these files of the repository, `two` or `prometheus`, beside the plain one."""
        files = [
            "docker-compose.yml",
            *(f"docker-compose.{name}.yml" for name in overrides),
            _OVERRIDE,
        ]
        self._options = [word for file in files for word in ("-f", file)]

    def make(self) -> str:
        """The one command of the README, with the images that are there."""
        return self._run("make", "compose", "BUILD=--no-build", seconds=600)

    def __call__(self, *arguments: str, seconds: float = 300) -> str:
        """What docker-compose says."""
        return self._run("docker-compose", *self._options, *arguments, seconds=seconds)

    def container(self, service: str) -> str:
        """The id of a service's container."""
        label = f"label=com.docker.compose.service={service}"
        return self.daemon.docker("ps", "--all", "--quiet", "--no-trunc", "--filter", label)

    def wait_until_healthy(self, *services: str) -> None:
        """Until each is."""
        for service in services:
            self._wait_for(service, self.container(service))

    def _wait_for(self, service: str, container: str) -> None:
        wait_until(f"{service} healthy", lambda: "running healthy" in self.daemon.state(container))

    def client(self, port: int = 8080) -> ApiClient:
        """As admin."""
        key = self.daemon.docker(
            "exec", self.container("api"), "cat", "/var/lib/mr-prober/admin.key"
        )
        return ApiClient(ApiTransport(f"http://127.0.0.1:{port}", key))

    def solomon_token(self) -> str:
        """As it was made at the start."""
        return (self.folder / ".compose" / "solomon.env").read_text().strip().partition("=")[2]

    def newest_points(self, **labels: str) -> dict[str, float]:
        """By host the moment of the newest point that is not zero of the series in the stand-in with these labels, in seconds."""
        selector = ", ".join(f'{name}="{value}"' for name, value in labels.items())
        answer = requests.get(
            "http://127.0.0.1:8081/api/v2/projects/mr_prober/sensors/data",
            params={"program": f"{{{selector}}}"},
            headers={"Authorization": f"OAuth {self.solomon_token()}"},
            timeout=10,
        )
        answer.raise_for_status()
        series: list[dict[str, Any]] = [one["timeseries"] for one in answer.json()["vector"]]
        moments: dict[str, float] = {}
        for one in series:
            for moment, value in zip(one["timestamps"], one["values"], strict=True):
                if value:
                    host = one["labels"]["host"]
                    moments[host] = max(moments.get(host, 0), moment / 1000)
        return moments

    def down(self, *options: str) -> None:
        """Stop and remove everything."""
        self._run(
            "docker-compose",
            *self._options,
            "down",
            "--volumes",
            "--remove-orphans",
            *options,
            seconds=300,
        )

    def _run(self, *command: str, seconds: float) -> str:
        ended = subprocess.run(
            command, cwd=self.folder, timeout=seconds, check=False, stdin=subprocess.DEVNULL,
            env=self.daemon.environment | {"COMPOSE_PROJECT_NAME": PROJECT, "PROMETHEUS_IMAGE": "prometheus-of-debian"},
            capture_output=True, text=True,
        )  # fmt: skip
        assert ended.returncode == 0, f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-6000:]}"
        return ended.stdout.strip()


def grid(client: ApiClient) -> Grid | None:
    """The grid of the cluster; None while the API is away."""
    try:
        return client.grid(CLUSTER)
    except ApiError:
        return None


def is_all_green(
    client: ApiClient, hosts: int = 2, *, but: str = "", after: datetime | None = None
) -> bool:
    """Whether every host reports, and every prober, perhaps but one, succeeds on each, as reported and seen after that moment."""
    seen = grid(client)
    if not seen or len(seen.hosts) != hosts:
        return False
    cells = [cell for host in seen.hosts for prober, cell in host.cells.items() if prober != but]
    if after and not all(cell.last_run_at and cell.last_run_at > after for cell in cells):
        return False
    reporting = all(host.presence == "reporting" for host in seen.hosts)
    is_complete = len(cells) == hosts * (4 if but else 5)
    return reporting and is_complete and {cell.state for cell in cells} == {State.SUCCESS}

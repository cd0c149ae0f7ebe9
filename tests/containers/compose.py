"""The compose file of a clean clone, and what is seen of it from outside."""

import shutil
import subprocess
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


class Compose:
    """All services of the compose file; addresses are those of the daemon's network."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon = daemon
        self.folder = folder
        self.files: list[str] = []
        for name in _FILES:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            copy(ROOT / name, folder / name)
        self._be_patient()

    def _be_patient(self) -> None:
        """A machine that is busy with other tests must not turn cells red: its probers get time."""
        for path in (self.folder / "configs/environments/compose/probers").glob("*.yaml"):
            config = YAML(typ="safe").load(path)
            settings = config["configs"]["containers"].setdefault("settings", {})
            settings |= {"interval_seconds": 15, "time_limit_seconds": 15}
            settings["variables"] = {"timeout_seconds": 12} | settings.get("variables", {})
            if path.stem == "disk-write":  # it knows no such variable
                del settings["variables"]
            with path.open("w") as file:
                YAML().dump(config, file)
        # The example's recipes for real clouds would fetch providers, which cannot be had in here.
        for folder in (self.folder / "configs/recipes").iterdir():
            if not folder.name.startswith("local-"):
                shutil.rmtree(folder)

    def make(self) -> str:
        """The one command of the README, with the images that are there."""
        return self._run("make", "compose", "BUILD=--no-build", seconds=600)

    def __call__(self, *arguments: str, seconds: float = 300) -> str:
        """What docker-compose says."""
        return self._run("docker-compose", *self.files, *arguments, seconds=seconds)

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self("ps", "--quiet", service).splitlines()[-1]

    def wait_until_healthy(self, *services: str) -> None:
        """Until each is."""
        for service in services:
            self._wait_for(service, self.container(service))

    def _wait_for(self, service: str, container: str) -> None:
        wait_until(f"{service} healthy", lambda: "running healthy" in self.daemon.state(container))

    def client(self, port: int = 8080) -> ApiClient:
        """As admin."""
        key = self("exec", "-T", "api", "cat", "/var/lib/mr-prober/admin.key")
        return ApiClient(ApiTransport(f"http://127.0.0.1:{port}", key))

    def solomon_token(self) -> str:
        """As it was made at the start."""
        return (self.folder / ".compose" / "solomon.env").read_text().strip().partition("=")[2]

    def series(self, **labels: str) -> list[dict[str, Any]]:
        """Series in the stand-in with these labels."""
        selector = ", ".join(f'{name}="{value}"' for name, value in labels.items())
        answer = requests.get(
            "http://127.0.0.1:8081/api/v2/projects/mr_prober/sensors",
            params={"selectors": f"{{{selector}}}"},
            headers={"Authorization": f"OAuth {self.solomon_token()}"},
            timeout=10,
        )
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["result"]
        return result

    def down(self, *options: str) -> None:
        """Stop and remove everything."""
        self._run(
            "docker-compose",
            *self.files,
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


def is_all_green(client: ApiClient, hosts: int = 2, *, but: str = "") -> bool:
    """Whether every host reports, and every prober, perhaps but one, succeeds on each."""
    seen = grid(client)
    if not seen or len(seen.hosts) != hosts:
        return False
    cells = [
        cell.state for host in seen.hosts for prober, cell in host.cells.items() if prober != but
    ]
    reporting = all(host.presence == "reporting" for host in seen.hosts)
    return reporting and len(cells) == hosts * (4 if but else 5) and set(cells) == {State.SUCCESS}

"""What the demo runs: each part of the product as a command with its environment. Pure."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
SOLOMON_TOKEN = "local"  # noqa: S105 - the stand-in on loopback takes any
DNS_NAME = "target.mr-prober.test"


@dataclass(frozen=True)
class Ports:
    """Ports of everything that listens on loopback."""

    api: int
    solomon: int
    tcp_target: int
    http_target: int
    dns_target: int


@dataclass(frozen=True)
class Folders:
    """Where the project is and the one folder that the demo writes to; both absolute."""

    project: Path
    demo: Path
    configs: Path

    @property
    def data(self) -> Path:
        """MR_PROBER_DATA_DIR of the services."""
        return self.demo / "data"

    @property
    def logs(self) -> Path:
        """A log file per service."""
        return self.demo / "logs"

    @property
    def admin_key(self) -> Path:
        """The key that the API writes at its first start."""
        return self.data / "admin.key"


@dataclass(frozen=True)
class Service:
    """One long-running process of the demo."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def api_url(ports: Ports) -> str:
    """Address of API and page."""
    return f"http://{LOOPBACK}:{ports.api}"


def common_environment(folders: Folders, ports: Ports, *, path: str, home: str) -> dict[str, str]:
    """What every process of the demo gets."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{path}",
        "HOME": home,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(folders.project),
        "PYTHONUNBUFFERED": "1",
        "MR_PROBER_ENVIRONMENT": "local",
        "MR_PROBER_DATA_DIR": str(folders.data),
        "MR_PROBER_DATABASE_URL": f"sqlite:///{folders.demo / 'database.sqlite'}",
        "MR_PROBER_API_HOST": LOOPBACK,
        "MR_PROBER_API_PORT": str(ports.api),
        "MR_PROBER_API_URL": api_url(ports),
        "MR_PROBER_API_KEY_FILE": str(folders.admin_key),
        "MR_PROBER_CONFIGS": str(folders.configs),
        "MR_PROBER_SOLOMON_STAND_IN_HOST": LOOPBACK,
        "MR_PROBER_SOLOMON_STAND_IN_PORT": str(ports.solomon),
        "MR_PROBER_SOLOMON_STAND_IN_DATABASE": str(folders.demo / "solomon_stand_in.sqlite"),
        "MR_PROBER_SOLOMON_TOKEN": SOLOMON_TOKEN,
    }


def services(folders: Folders, ports: Ports, environment: Mapping[str, str]) -> list[Service]:
    """All services, in the order in which they start; they end in the opposite one."""
    targets = (
        "-m", "demo.targets",
        "--tcp", f"{LOOPBACK}:{ports.tcp_target}",
        "--http", f"{LOOPBACK}:{ports.http_target}",
        "--dns", f"{LOOPBACK}:{ports.dns_target}",
        "--dns-name", DNS_NAME,
    )  # fmt: skip
    commands = {
        "targets": targets,
        "solomon_stand_in": (str(folders.project / "solomon_stand_in/main.py"),),
        "api": (str(folders.project / "api/main.py"),),
        "creator": (str(folders.project / "creator/main.py"),),
    }
    return [
        Service(name, (sys.executable, *arguments), environment)
        for name, arguments in commands.items()
    ]

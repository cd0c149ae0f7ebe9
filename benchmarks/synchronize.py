"""Synchronize: how long an author waits for `plan` over 2,000 objects, beside plain GETs of the same pages."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests
from alembic import command
from alembic.config import Config

from benchmarks.api.servers import Server, http_session, running
from benchmarks.measurement import WallMeasurement
from common.processes import start

ROOT = Path(__file__).resolve().parents[1]
# A prober has two configs, a cluster three variables.
_RECIPES, _PROBERS, _CLUSTERS = 50, 350, 225
_LISTS = ("recipes", "probers", "clusters", "variables")
_REPETITIONS = 5
_PROBER = """\
description: prober {number}
owner: team-{team}
command: [python3, probe.py]
defaults:
  interval_seconds: 10
  time_limit_seconds: 3
  variables: {{timeout_seconds: 2}}
configs:
  all:
    clusters: ["*"]
    settings: {{variables: {{number: {number}}}}}
  some:
    clusters: [c1*]
    order: 1
    settings: {{variables: {{number: -1}}}}
"""


def measure() -> list[WallMeasurement]:
    """About half a minute."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = _write_repository(folder / "configs")
        environment = {
            "MR_PROBER_DATABASE_URL": f"sqlite:///{folder / 'database.sqlite'}",
            "MR_PROBER_DATA_DIR": str(folder / "data"),
            "MR_PROBER_API_PORT": "{port}",
        }
        config = Config(ROOT / "alembic.ini")
        config.attributes["database_url"] = environment["MR_PROBER_DATABASE_URL"]
        command.upgrade(config, "head")
        with running([str(ROOT / "api/main.py")], environment, folder) as server:
            key = folder / "data/admin.key"
            made = _seconds(lambda: _synchronize(server, key, folder, "apply"), repetitions=1)
            session = http_session(key.read_text().strip())
            floor = _seconds(lambda: _read_pages(server, session))
            ours = _seconds(lambda: _synchronize(server, key, folder, "plan"))
    return [
        WallMeasurement(
            f"synchronize: plan over {objects:,} objects in {_PROBERS + _CLUSTERS:,} YAML files, no change",
            "GET of the same pages, one after the other, JSON parsed",
            floor,
            ours,
            f"process start included; apply of all of them took {made:.1f} s",
        )
    ]


def _write_repository(root: Path) -> int:
    """The repository; how many objects it describes."""
    for number in range(_RECIPES):
        _write(root / f"recipes/r{number}/main.tf", f"# {number}\n")
    for number in range(_PROBERS):
        _write(root / f"probers/p{number}/probe.py", f"print({number})\n")
        text = _PROBER.format(number=number, team=number % 7)
        _write(root / f"probers/p{number}/prober.yaml", text)
    for number in range(_CLUSTERS):
        text = (
            f"recipe: r{number % _RECIPES}\nvariables: {{hosts: {number}, zone: a, size: small}}\n"
        )
        _write(root / f"environments/local/clusters/c{number}.yaml", text)
    return _RECIPES + 3 * _PROBERS + 4 * _CLUSTERS


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _read_pages(server: Server, session: requests.Session) -> None:
    for kind in _LISTS:
        token = ""
        while True:
            query = {"page_size": "1000", **({"page_token": token} if token else {})}
            page = session.get(f"{server.url}/api/v1/{kind}", params=query, timeout=60).json()
            token = page["next_page_token"]
            if not token:
                break


def _synchronize(server: Server, key: Path, folder: Path, word: str) -> None:
    arguments = [sys.executable, str(ROOT / "tools/synchronize/main.py"), word]
    with (folder / "synchronize.log").open("wb") as log:
        status = start(
            [*arguments, "--configs", str(folder / "configs"), "--api-url", server.url],
            environment={"PYTHONPATH": str(ROOT), "PATH": "", "MR_PROBER_API_KEY_FILE": str(key)},
            cwd=folder,
            stdout=log,
            stderr=log,
        ).wait()
    if status:
        raise RuntimeError((folder / "synchronize.log").read_text())


def _seconds(action: Callable[[], None], *, repetitions: int = _REPETITIONS) -> float:
    """The fastest one: that which the rest of the machine disturbed least."""
    times = []
    for _ in range(repetitions):
        started = time.monotonic()
        action()
        times.append(time.monotonic() - started)
    return min(times)

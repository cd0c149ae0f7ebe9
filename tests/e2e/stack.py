"""The whole product as its users start it, in one temporary folder, and what is seen of it from outside."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests

from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.contracts.agents import Grid
from common.contracts.states import State
from common.errors import ApiError
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 90
_PR_SET_CHILD_SUBREAPER = 36
Seen = TypeVar("Seen")


def adopt_orphans() -> None:
    """Make this process the one to which every orphan below it comes, so that nothing can hide."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def processes_below_us() -> dict[int, str]:
    """Every living process below this one: pid → command line."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                # Ours by adoption: nobody else will take its status.
                os.waitpid(process.pid, os.WNOHANG)
                continue
            found[process.pid] = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, ChildProcessError):
            continue
    return found


def wait_for(what: str, look: Callable[[], Seen | None]) -> Seen:
    """What `look` gives, as soon as it gives something true; AssertionError after a generous time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.2)
    raise AssertionError(f"never seen: {what}")


class Stack:
    """`make demo` on free ports below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.demo_dir = folder / "demo"
        self.configs = folder / "configs"
        self.ports = dict(
            zip(("api", "solomon", "tcp", "http", "dns", "machine"), free_ports(6), strict=True)
        )
        for name in ("home", "tmp"):
            (folder / name).mkdir()
        self._demo: subprocess.Popen[bytes] | None = None
        shutil.copytree(ROOT / "configs", self.configs)
        self._edit_configs_for_this_machine()

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MR_PROBER_DEMO_DIR": str(self.demo_dir),
            "MR_PROBER_DEMO_CONFIGS": str(self.configs),
            "MR_PROBER_API_PORT": str(self.ports["api"]),
            "MR_PROBER_SOLOMON_STAND_IN_PORT": str(self.ports["solomon"]),
            "MR_PROBER_DEMO_TCP_PORT": str(self.ports["tcp"]),
            "MR_PROBER_DEMO_HTTP_PORT": str(self.ports["http"]),
            "MR_PROBER_DEMO_DNS_PORT": str(self.ports["dns"]),
        }

    @property
    def output(self) -> str:
        """What the demo has told so far."""
        return (self.folder / "demo.log").read_text()

    def story(self) -> str:
        """What the demo told and the ends of all logs, for whoever reads a failure."""
        logs = [self.folder / "demo.log", *sorted(self.demo_dir.glob("logs/*.log"))]
        logs += sorted(self.demo_dir.glob("data/machines/*/*/machine.log"))
        return "\n".join(
            f"--- {log.name}\n{log.read_text()[-3000:]}" for log in logs if log.exists()
        )

    def start(self) -> None:
        with (self.folder / "demo.log").open("ab") as output:
            self._demo = subprocess.Popen(
                [sys.executable, "-m", "demo.main"],
                cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the demo and wait for its end; its exit status."""
        assert self._demo
        self._demo.send_signal(number)
        return self._demo.wait(timeout=PATIENCE_SECONDS)

    def end_everything(self) -> None:
        """Whatever happened: no process of this stack outlives the test."""
        if self._demo and self._demo.poll() is None:
            self._demo.send_signal(signal.SIGINT)
            try:
                self._demo.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._demo.kill()
        for pid, command in processes_below_us().items():
            if str(self.folder) in command or str(ROOT) in command:
                os.kill(pid, signal.SIGKILL)

    def synchronize(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tools.synchronize.main", "--configs", str(self.configs), "apply"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
            env=self.environment | {"MR_PROBER_API_URL": self.api_url, "MR_PROBER_API_KEY_FILE": str(self.admin_key_file)},
        )  # fmt: skip

    def on_call(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        """What the engineer on that machine types, and what they read."""
        (folder,) = self.demo_dir.glob(f"data/machines/*/{host}/agent")
        return subprocess.run(
            [sys.executable, "-m", "tools.agent.main", "--dir", str(folder), *words],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
            env=self.environment,
        )  # fmt: skip

    @property
    def admin_key_file(self) -> Path:
        return self.demo_dir / "data" / "admin.key"

    def client(self) -> ApiClient:
        return ApiClient(ApiTransport(self.api_url, self.admin_key_file.read_text().strip()))

    def grid(self) -> Grid | None:
        """The grid of the demo's cluster, None while nobody answers."""
        if not self.admin_key_file.exists():
            return None
        try:
            return self.client().grid("demo")
        except ApiError:
            return None

    def state(self, prober: str) -> set[State]:
        """The states that a prober shows on all hosts."""
        grid = self.grid()
        if not grid:
            return set()
        return {host.cells[prober].state for host in grid.hosts if prober in host.cells}

    def all_green(self) -> Grid | None:
        """The grid, if there are hosts and every cell is green."""
        grid = self.grid()
        cells = [cell for host in grid.hosts for cell in host.cells.values()] if grid else []
        return grid if cells and all(cell.state is State.SUCCESS for cell in cells) else None

    def pids(self, part: str) -> list[int]:
        """Processes of one part: those whose command line holds the text."""
        return [pid for pid, command in processes_below_us().items() if part in command]

    def kill(self, part: str) -> int:
        """SIGKILL to one process of a part; its pid."""
        pid = wait_for(f"a process of {part}", lambda: self.pids(part))[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def series(self, selector: str) -> list[dict[str, Any]]:
        """Series of the stand-in that match, with their labels."""
        result: list[dict[str, Any]] = self._solomon("sensors", selectors=selector)["result"]
        return result

    def newest_point(self) -> float:
        """Unix time of the newest point of any host's heartbeat; 0 while the stand-in is away."""
        try:
            answer = self._solomon("sensors/data", program='{name="mr_prober_agent_heartbeat"}')
        except requests.ConnectionError:
            return 0
        times = [moment for one in answer["vector"] for moment in one["timeseries"]["timestamps"]]
        return max(times, default=0) / 1000

    def _solomon(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = requests.get(
            f"http://127.0.0.1:{self.ports['solomon']}/api/v2/projects/mr_prober/{path}",
            params=parameters, headers={"Authorization": "OAuth local"}, timeout=10,
        )  # fmt: skip
        result: dict[str, Any] = answer.json()
        return result

    def resources_in_terraform_states(self) -> list[Any]:
        states = list(self.demo_dir.glob("data/states/*/terraform.tfstate"))
        assert states
        return [
            resource for state in states for resource in json.loads(state.read_text())["resources"]
        ]

    def listening(self) -> set[int]:
        """Those of our ports on which somebody listens or is bound."""
        bound = {
            connection.laddr.port
            for connection in psutil.net_connections("inet")
            if connection.laddr and (connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE))
        }
        return bound & set(self.ports.values())

    def edit(self, path: str, pattern: str, replacement: str) -> None:
        """Replace in a file of the config repository; the pattern must be there."""
        file = self.configs / path
        text, count = re.subn(pattern, replacement, file.read_text())
        assert count, f"{path} has no {pattern}"
        file.write_text(text)

    def _edit_configs_for_this_machine(self) -> None:
        cluster = "environments/local/clusters/demo.yaml"
        self.edit(cluster, r"hosts: \d+", "hosts: 2")
        self.edit(
            "probers/http-get/prober.yaml",
            r"interval_seconds: 5",
            "interval_seconds: 1\n  allow_overlap: true",
        )
        for name, port in (
            ("tcp", 8091),
            ("http", 8092),
            ("dns", 8093),
            ("machine", 8094),
            ("solomon", 8081),
        ):
            self.edit(cluster, rf"\b{port}\b", str(self.ports[name]))


class HttpTarget:
    """A target of the test's own that can die and come back on the same port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1", "--directory", str(self._folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def stop(self) -> None:
        if self._server:
            self._server.kill()
            self._server.wait()
            self._server = None


@contextmanager
def running(target: HttpTarget) -> Iterator[HttpTarget]:
    """The target, started, and stopped at the end."""
    target.start()
    try:
        yield target
    finally:
        target.stop()

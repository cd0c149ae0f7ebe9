"""The demo from start to end: prepare, start, synchronize, watch, take down."""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from common import processes
from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.atomic_files import read_key
from common.contracts.agents import Grid
from common.contracts.states import State
from common.errors import ApiError
from demo.errors import DemoError
from demo.preconditions import only_demo_in, refuse_taken_ports
from demo.progress import counts, sentence
from demo.services import LOOPBACK, Folders, Ports, api_url, services
from demo.supervisor import Supervisor

_START_LIMIT = timedelta(seconds=60)
_DESTROY_LIMIT = timedelta(minutes=3)


@dataclass(frozen=True)
class Plan:
    """All that the demo needs to know."""

    folders: Folders
    ports: Ports
    environment: dict[str, str]


class Demonstration:
    """One run of the demo; `stopping` is set by Ctrl-C."""

    def __init__(self, plan: Plan, console: Console, stopping: threading.Event) -> None:
        self._plan = plan
        self._console = console
        self._stopping = stopping
        self._started = time.monotonic()
        folders = plan.folders
        self._supervisor = Supervisor(folders.demo, logs=folders.logs, tell=self._tell)

    def run(self) -> None:
        """Everything; DemoError says what went wrong. Whatever happens, no service is left behind."""
        folders = self._plan.folders
        for folder in (folders.demo, folders.data, folders.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = only_demo_in(folders.demo)
        try:
            self._supervisor.end_leftovers()
            refuse_taken_ports(self._plan.ports)
            try:
                self._start()
                self._watch()
                self._take_down()
            finally:
                self._supervisor.stop()
            self._tell("Everything is down. History stays in " + str(folders.demo))
        finally:
            os.close(lock)

    def _start(self) -> None:
        plan = self._plan
        self._run("alembic", "-m", "alembic", "upgrade", "head")
        for service in services(plan.folders, plan.ports, plan.environment):
            self._supervisor.start(service)
        self._wait_for("the API", self._api_answers)
        self._tell(f"Page: {api_url(plan.ports)}/")
        self._tell("Sign in: " + self._run("sign-in link", "api/main.py", "--sign-in-link").strip())
        self._tell(f"Series: http://{LOOPBACK}:{plan.ports.solomon}/ (a stand-in for Solomon)")
        # Machines of a demo that was killed: their state says that they run, so they are powered on again.
        self._run("power on", "configs/recipes/local-processes/machine.py", "power-on", "--all")
        self._synchronize()

    def _synchronize(self) -> None:
        try:
            applied = self._run("synchronize", "-m", "tools.synchronize.main", "apply")
            self._tell(applied.rstrip().splitlines()[-1])
        except DemoError as error:
            # The author mends the file and runs synchronize again; everything else is up.
            self._tell(str(error))
        self._tell("Synchronized. After an edit in configs/:  " + _synchronize_hint(self._plan))

    def _watch(self) -> None:
        told = ""
        green = False
        with self._console.status("waiting for the first result") as status:
            while not self._stopping.wait(0.5):
                self._supervisor.start_ended_again()
                text, grids = self._look()
                if not green and any(counts(grid)[State.SUCCESS] for grid in grids):
                    green = True
                    self._tell(
                        f"First green cell after {self._seconds():.1f} s. Ctrl-C takes everything down."
                    )
                if text != told and (green or not self._console.is_terminal):
                    self._tell(text)
                    told = text
                status.update(text)

    def _look(self) -> tuple[str, list[Grid]]:
        try:
            client = self._client()
            clusters = client.clusters()
            grids = [client.grid(cluster.slug) for cluster in clusters]
        except ApiError as error:
            return str(error), []
        parts = []
        for cluster, grid in zip(clusters, grids, strict=True):
            deployment = cluster.last_deployment
            if deployment and deployment.error:
                parts.append(f"{cluster.slug}: {deployment.error.splitlines()[0]}")
            else:
                parts.append(f"{cluster.slug}: {sentence(grid)}")
        return "; ".join(parts) or "no clusters", grids

    def _take_down(self) -> None:
        self._tell("Taking everything down: clusters are destroyed through terraform")
        self._stopping.clear()  # from here on a second Ctrl-C means: do not wait for terraform
        deadline = time.monotonic() + _DESTROY_LIMIT.total_seconds()
        with self._console.status("destroying clusters") as status:
            while left := self._clusters_left():
                status.update(f"destroying {left}")
                self._supervisor.start_ended_again()
                if self._stopping.wait(0.2) or time.monotonic() > deadline:
                    self._run(
                        "stop machines",
                        "configs/recipes/local-processes/machine.py",
                        "stop",
                        "--all",
                    )
                    raise DemoError(
                        f"{left} could not be destroyed in time; machines are powered off until the next demo"
                    )

    def _clusters_left(self) -> str:
        try:
            client = self._client()
            clusters = client.clusters()
            for cluster in clusters:
                client.delete_cluster(cluster.slug, etag=cluster.etag)
        except ApiError as error:
            return f"clusters ({error})"
        return ", ".join(cluster.slug for cluster in clusters)

    def _client(self) -> ApiClient:
        key = read_key(self._plan.folders.admin_key)
        return ApiClient(ApiTransport(api_url(self._plan.ports), key))

    def _api_answers(self) -> bool:
        if not self._plan.folders.admin_key.exists():
            return False
        try:
            self._client().clusters()
        except ApiError:
            return False
        return True

    def _wait_for(self, what: str, is_there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_LIMIT.total_seconds()
        with self._console.status(f"waiting for {what}"):
            while not is_there():
                logs = self._plan.folders.logs
                for name in ("api", "creator", "solomon_stand_in", "targets"):
                    if self._supervisor.ended(name) is not None:
                        raise DemoError(f"{name} ended at once: {_last_line(logs / f'{name}.log')}")
                if self._stopping.wait(0.05):
                    raise DemoError("stopped before it was up")
                if time.monotonic() > deadline:
                    raise DemoError(f"{what} did not answer in time; look into {logs}")

    def _run(self, what: str, *arguments: str) -> str:
        """Run one of our programs to its end; its output, or DemoError with it."""
        folders = self._plan.folders
        output = folders.logs / f"{what.replace(' ', '_')}.log"
        with output.open("wb") as file:
            process = processes.start(
                (sys.executable, *arguments),
                environment=self._plan.environment,
                cwd=folders.project,
                stdout=file,
                stderr=file,
            )
            status = process.wait()
        text = output.read_text(errors="replace")
        if status:
            raise DemoError(f"{what} failed with status {status}:\n{text}")
        return text

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _tell(self, text: str) -> None:
        self._console.print(
            f"{self._seconds():6.1f} s  {text}", markup=False, highlight=False, soft_wrap=True
        )


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _synchronize_hint(plan: Plan) -> str:
    key = plan.folders.admin_key
    return f"MR_PROBER_API_URL={api_url(plan.ports)} MR_PROBER_API_KEY_FILE={key} yc-mr-prober-synchronize apply"

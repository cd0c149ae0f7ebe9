"""The demo from start to end: prepare, start, synchronize, watch, take down."""

import os
import shlex
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
from demo.leftovers import end_terraforms
from demo.preconditions import only_demo_in, refuse_taken_ports
from demo.progress import counts, in_one_line, sentence
from demo.services import LOOPBACK, Folders, Ports, api_url, services
from demo.supervisor import Supervisor
from demo.terminal import LastingOutput

_START_LIMIT = timedelta(seconds=60)
_DESTROY_LIMIT = timedelta(minutes=3)
_TERRAFORM_GRACE = timedelta(seconds=20)
_MACHINES = "configs/recipes/local-processes/machine.py"


@dataclass(frozen=True)
class Plan:
    """All that the demo needs to know."""

    folders: Folders
    ports: Ports
    environment: dict[str, str]


class Demonstration:
    """One run of the demo; `stopping` is set by Ctrl-C."""

    def __init__(self, plan: Plan, output: LastingOutput, stopping: threading.Event) -> None:
        self._plan = plan
        self._output = output
        self._console = Console(file=output)
        self._stopping = stopping
        self._started = time.monotonic()
        folders = plan.folders
        self._supervisor = Supervisor(folders.demo, logs=folders.logs, tell=self._tell)

    def run(self) -> None:
        """Everything; DemoError says what went wrong. Whatever happens, no process is left behind."""
        folders = self._plan.folders
        try:
            for folder in (folders.demo, folders.data, folders.logs):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = only_demo_in(folders.demo)
        except OSError as error:
            raise DemoError(
                f"{folders.demo} cannot be used ({error.strerror}); MR_PROBER_DEMO_DIR names another folder"
            ) from error
        try:
            self._supervisor.end_leftovers()
            refuse_taken_ports(self._plan.ports)
            self._start()
            self._watch()
            self._take_down()
        finally:
            self._end_processes()
            os.close(lock)
        self._tell(f"Everything is down. History stays in {folders.demo}")

    def _end_processes(self) -> None:
        self._supervisor.stop()
        # After an orderly end there is nothing more: these are for a demo that was stopped or failed halfway,
        # or whose predecessor was killed. Creator goes first, so that no terraform starts machines afterwards.
        end_terraforms(self._plan.folders.data, grace=_TERRAFORM_GRACE)
        try:
            self._run("power off", _MACHINES, "stop", "--all")
        except DemoError as error:
            self._tell(str(error))

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
        try:
            self._run("power on", _MACHINES, "power-on", "--all")
        except DemoError as error:
            self._tell(str(error))  # the grid shows which machine is away; the others work
        self._synchronize()

    def _synchronize(self) -> None:
        try:
            applied = self._run("synchronize", "-m", "tools.synchronize.main", "apply")
            self._tell("Synchronized. " + applied.rstrip().rpartition("\n")[2])
        except DemoError as error:
            # The author mends the file and runs synchronize again; everything else is up.
            self._tell(str(error))
        self._tell(
            f"After an edit in {self._plan.folders.configs}:  {synchronize_hint(self._plan)}"
        )

    def _watch(self) -> None:
        told = ""
        green = False
        with self._console.status("waiting for the first result") as status:
            # With its terminal gone, nobody could end it with Ctrl-C.
            while not (self._output.is_gone or self._stopping.wait(0.5)):
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
                parts.append(f"{cluster.slug}: {in_one_line(deployment.error)}")
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
        # Its end takes down what synchronize manages.
        return ApiClient(ApiTransport(api_url(self._plan.ports), key, manager="*"))

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
                        raise DemoError(
                            f"{name} ended at once: {self._supervisor.last_words(name)}"
                        )
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


def synchronize_hint(plan: Plan) -> str:
    """The line that a person types into a shell of any folder to synchronize again."""
    names = ("MR_PROBER_API_URL", "MR_PROBER_API_KEY_FILE", "MR_PROBER_CONFIGS")
    settings = [f"{name}={shlex.quote(plan.environment[name])}" for name in names]
    program = Path(sys.executable).parent / "yc-mr-prober-synchronize"
    return " ".join([*settings, shlex.quote(str(program)), "apply"])

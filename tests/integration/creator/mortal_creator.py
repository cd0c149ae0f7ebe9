"""A Creator that starts one apply, waits for it, and kills itself at the point that it is told: a program of its own."""

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from creator.steps.adoption import this_machine
from creator.steps.commands import Commands
from creator.steps.detached import Launcher
from creator.steps.launches import Launch
from creator.steps.orders import StepOrder, StepRecord
from creator.steps.records import StepRecords
from creator.steps.steps import Steps
from database.models import now
from database.session import Database

POINTS = (
    "before the row",
    "after the row",
    "wrapper stuck before its claim",
    "after the message",
    "after the start",
    "after the end",
)


class MortalRecords(StepRecords):
    """Dies before or after a row."""

    def begin(
        self, deployment_id: UUID, step: StepRecord, *, require: Callable[[Session], None]
    ) -> None:
        """As it is, unless it dies."""
        die_at("before the row")
        super().begin(deployment_id, step, require=require)
        die_at("after the row")
        if point == "wrapper stuck before its claim":
            # Its wrapper waits for somebody who reads.
            os.mkfifo(step.folder / "stdout")

    def ended(self, step_id: UUID, exit_code: int | None) -> None:
        """As it is, unless it dies."""
        die_at("after the end")
        super().ended(step_id, exit_code)


class MortalLauncher(Launcher):
    """Dies after it has asked the starter."""

    def start(self, launch: Launch) -> None:
        """As it is, unless it dies."""
        if point in {"after the message", "wrapper stuck before its claim"}:
            reading, writing = os.pipe()
            self._send(launch.to_json(), writing)
            die_at(point)
            os.close(reading)
        super().start(launch)
        die_at("after the start")


def die_at(here: str) -> None:
    """End like somebody whom the kernel had to end."""
    if here == point:
        os.kill(os.getpid(), signal.SIGKILL)


url, deployment, folder, terraform, point = sys.argv[1:]
if __name__ == "__main__":
    order = StepOrder(
        kind="apply",
        arguments=(terraform, "apply", "-auto-approve", "-json"),
        folder=Path(folder) / "run",
        working_directory=Path(folder) / "recipe",
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "CHECKPOINT_DISABLE": "1"},
        time_limit=timedelta(minutes=1),
    )
    records = MortalRecords(Database(url), now)
    commands = Commands(MortalLauncher(), this_machine(os.uname().nodename))
    running = Steps(records, commands).start(UUID(deployment), order)
    running.wait(stop=lambda: False, meanwhile=lambda: None)

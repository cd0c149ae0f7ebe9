"""What deployments ask of steps, and what they get: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from creator.steps.state_locks import LockReader

# How long terraform may take to save its state after it was asked to end: providers finish what they are at.
GRACE = timedelta(minutes=5)


@dataclass(frozen=True)
class StepOrder:
    """One terraform command.

    `folder`: below it the step gets a folder of its own, named by its id, for output and records.
    `environment`: all of it, nothing is inherited. `lock`: where the lock shows that the command takes on the state.
    """

    kind: str
    arguments: tuple[str, ...]
    folder: Path
    working_directory: Path
    environment: Mapping[str, str]
    time_limit: timedelta
    grace: timedelta = GRACE
    lock: LockReader | None = None


@dataclass(frozen=True)
class StepRecord:
    """A step as the database knows it; `folder` is its own."""

    id: UUID
    kind: str
    arguments: tuple[str, ...]
    host: str
    boot_id: str
    pid_namespace: str
    folder: Path
    started_at: datetime
    deadline: datetime
    lock_id: str = ""


@dataclass(frozen=True)
class StepEnd:
    """How a command ended, with its output in `output / "stdout"` and `output / "stderr"`.

    A negative `exit_code` is the signal that ended terraform; None = nobody will ever know, or, with an `error`, it
    never started. `interrupted` = at its time limit; `killed` = it did not even listen to that.
    """

    exit_code: int | None
    interrupted: bool
    killed: bool
    output: Path
    error: str = ""


@dataclass(frozen=True)
class Unreachable:
    """A step on another machine, or behind a wall on this one: nobody can tell how it is until that moment has passed."""

    until: datetime

"""Read: how a step is that somebody started, maybe not we: who lives, and what the folder says."""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from creator.steps.orders import StepEnd, StepRecord
from creator.steps.process_table import ProcessIdentity, has_processes, is_alive, kill_step
from creator.steps.run_folder import RunFolder

# A wrapper may start so late after its row, needs a moment to kill, and clocks of machines differ.
TAKE_OVER_MARGIN = timedelta(minutes=1)
_NEVER_STARTED = "Creator ended before it started"
_GIVEN_UP = "it did not start in time, and was given up"


@dataclass(frozen=True)
class Here:
    """This machine since its last boot, and the namespace whose pids we see."""

    host: str
    boot_id: str
    pid_namespace: str


@dataclass(frozen=True)
class Wrapped:
    """A wrapper lives and looks after terraform."""

    wrapper: ProcessIdentity


@dataclass(frozen=True)
class Orphaned:
    """terraform lives, and somebody killed its wrapper."""

    terraform: ProcessIdentity


def this_machine(host: str) -> Here:
    """Where we are; `host` is what people call it."""
    return Here(
        host=host,
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        pid_namespace=os.readlink("/proc/self/ns/pid"),  # noqa: PTH115 - no path, but "pid:[4026531836]"
    )


def situation(step: StepRecord, here: Here) -> Wrapped | Orphaned | StepEnd | None:
    """How the step is now; one that has not begun by now never will. None: that cannot be seen from here. OSError."""
    folder = RunFolder(step.folder)
    is_same_boot = step.boot_id == here.boot_id
    is_same_namespace = is_same_boot and step.pid_namespace == here.pid_namespace
    if not folder.exists():
        # Somebody cleaned up too early, or another machine has the same name: only a search can tell.
        is_over = is_same_namespace and not has_processes(folder.path.name)
        return unknown_end(folder) if is_over else None
    if not is_same_boot and step.host != here.host:
        return None
    if end := _end_without_asking(folder):
        return end
    if is_same_namespace:
        return _in_sight(folder)
    # Nothing survives a boot; in another namespace only the lock tells.
    is_dead = not is_same_boot or folder.is_surely_dead()
    return (_recorded_end(folder) or unknown_end(folder)) if is_dead else None


def lives_here(folder: RunFolder) -> bool:
    """Whether terraform or its wrapper lives among the processes that we see. OSError."""
    return any(
        process is not None and is_alive(process)
        for process in (folder.wrapper(), folder.terraform())
    )


def unknown_end(folder: RunFolder, *, killed: bool = False) -> StepEnd:
    """The end of a step whose wrapper did not live to see it."""
    interrupted = folder.interrupted_at_seconds() is not None
    return StepEnd(None, interrupted, killed, folder.path)


def _end_without_asking(folder: RunFolder) -> StepEnd | None:
    """The end that can be told without knowing who lives."""
    if end := _recorded_end(folder):
        return end
    if folder.abandon():
        return StepEnd(None, False, False, folder.path, error=_NEVER_STARTED)
    if folder.wrapper() is None:
        return StepEnd(None, False, False, folder.path, error=_GIVEN_UP)
    return None


def _in_sight(folder: RunFolder) -> Wrapped | Orphaned | StepEnd:
    wrapper = folder.wrapper()
    if wrapper is not None and is_alive(wrapper):
        return Wrapped(wrapper)
    # It may have come to its end since the first look.
    if end := _recorded_end(folder):
        return end
    terraform = folder.terraform()
    if terraform is not None and is_alive(terraform):
        return Orphaned(terraform)
    if wrapper is not None:
        kill_step(wrapper.pid, folder.path.name)
    return unknown_end(folder)


def _recorded_end(folder: RunFolder) -> StepEnd | None:
    """What the wrapper wrote down at its end."""
    end = folder.exit()
    if end is None:
        return None
    return StepEnd(end.exit_code, end.interrupted, end.killed, folder.path, error=end.error)

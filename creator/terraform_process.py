"""Act: one terraform command as a process that outlives us: own session, output into files, explicit environment."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import BinaryIO

from common import processes
from creator.errors import CreatorStopsError
from creator.process_table import RunningProcess, session_members

# How long terraform may take to save its state after it was asked to end.
GRACE = timedelta(seconds=30)
_FIRST_LOOK = 0.005
_LONGEST_PAUSE = 0.1


@dataclass(frozen=True)
class Command:
    """What to run and where its output goes; without `answer`, all of it goes to `log`."""

    arguments: Sequence[str]
    working_directory: Path
    log: Path
    answer: Path | None = None


@dataclass(frozen=True)
class Ended:
    """How a command ended; `interrupted` = at its time limit, `killed` = it did not even listen to that."""

    exit_code: int
    interrupted: bool = False
    killed: bool = False


class TerraformProcess:
    """A started terraform; one thread waits for it."""

    def __init__(self, command: Command, environment: Mapping[str, str]) -> None:
        """Start it; OSError if that is not possible."""
        with contextlib.ExitStack() as files:
            log = files.enter_context(_open(command.log))
            stdout = files.enter_context(_open(command.answer)) if command.answer else log
            self._process = processes.start(
                command.arguments,
                environment=environment,
                cwd=command.working_directory,
                stdout=stdout,
                stderr=log,
            )

    @property
    def identity(self) -> RunningProcess:
        """By what another Creator recognizes it."""
        pid = self._process.pid
        # Not reaped yet, so /proc knows it even if it has ended.
        return RunningProcess(pid, processes.start_ticks(pid) or 0)

    def wait(self, time_limit: timedelta, *, stop: Event, meanwhile: Callable[[], None]) -> Ended:
        """Wait for its end, then kill what is left of its session; calls `meanwhile` at every look.

        At the time limit it gets one SIGINT, to save what it has done, and after GRACE the kill of its whole session.
        CreatorStopsError when `stop` is set: it goes on without us.
        """
        if self._has_ended(time_limit, stop=stop, meanwhile=meanwhile):
            return Ended(self._reap())
        interrupt(self._process.pid)
        if self._has_ended(GRACE, stop=stop, meanwhile=meanwhile):
            return Ended(self._reap(), interrupted=True)
        kill_group(self._process.pid)
        self._has_ended(GRACE, stop=stop, meanwhile=meanwhile)
        return Ended(self._reap(), killed=True)

    def _has_ended(
        self, time_limit: timedelta, *, stop: Event, meanwhile: Callable[[], None]
    ) -> bool:
        limit = time.monotonic() + time_limit.total_seconds()
        pause = _FIRST_LOOK
        # WNOWAIT: as long as nobody reaps it, its pid cannot name another session.
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, self._process.pid, look) is None:
            if time.monotonic() > limit:
                return False
            meanwhile()
            if stop.wait(pause):
                raise CreatorStopsError
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        return True

    def _reap(self) -> int:
        sweep_session(self._process.pid)
        return self._process.wait()


def interrupt(pid: int) -> None:
    """Ask terraform alone to end; a second time it would end at once and lose what it did."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)


def kill_group(pid: int) -> None:
    """End terraform and its children without asking."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def sweep_session(leader: int) -> None:
    """Kill what an ended terraform left behind in its session; a daemon with a session of its own stays."""
    for pid in session_members(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _open(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "ab")

"""One running prober: its process, its pipes, its end: *act*. No decision about time is made here."""

import contextlib
import os
import selectors
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO

from agent.plan import RunSpec
from agent.results import Cost
from agent.running.capture import Capture
from agent.running.orphans import kill_group
from common import processes

_READ_BYTES = 64 * 1024
# One flooding prober gets so many reads, then the others have their turn.
_READS_PER_EVENT = 4
# A pipe holds 64 KiB, an orphan may refill it for ever.
_READS_AT_THE_END = 8

Callback = Callable[[int], None]


class EndCause(StrEnum):
    """Why we decided to end a run."""

    TIME_LIMIT = "time_limit"
    NOT_WANTED = "not_wanted"


@dataclass(eq=False)
class RunningProcess:
    """A started program; times are nanoseconds of the scheduler's clock."""

    spec: RunSpec
    process: processes.Process
    temporary: Path
    due_ns: int
    started_ns: int
    pidfd: int
    # Which of the runner's deadlines is this run's; all earlier ones are void.
    deadline_number: int = 0
    stdout: Capture = field(default_factory=Capture)
    stderr: Capture = field(default_factory=Capture)
    cause: EndCause | None = None
    killed: bool = False
    exit_code: int | None = None
    # The verdict has been given although the process could not be killed.
    abandoned: bool = False

    def watch(self, selector: selectors.BaseSelector, on_exit: Callback) -> None:
        """Have the selector call us when something is printed, and `on_exit` when the process has ended."""
        selector.register(self.pidfd, selectors.EVENT_READ, on_exit)
        for pipe, capture in self._pipes():
            os.set_blocking(pipe.fileno(), False)
            reader = _PipeReader(selector, pipe, capture)
            selector.register(pipe, selectors.EVENT_READ, reader.read_some)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group."""
        if self.exit_code is None:
            kill_group(self.process.pid, number)

    def collect(self, selector: selectors.BaseSelector) -> Cost:
        """After the exit: kill what is left of the group, take status and cost, read the rest, let go of everything."""
        # Before the wait: as long as nobody waited, the number of the group cannot belong to somebody else.
        kill_group(self.process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.exit_code = self.process.returncode = os.waitstatus_to_exitcode(status)
        self.close_pipes(selector)
        selector.unregister(self.pidfd)
        os.close(self.pidfd)
        return Cost(usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024)

    def close_pipes(self, selector: selectors.BaseSelector) -> None:
        """Read what is there, then close, even if an orphan holds the other end."""
        for pipe, capture in self._pipes():
            if not pipe.closed:
                _PipeReader(selector, pipe, capture).read_rest()

    def _pipes(self) -> list[tuple[IO[bytes], Capture]]:
        pairs = ((self.process.stdout, self.stdout), (self.process.stderr, self.stderr))
        return [(pipe, capture) for pipe, capture in pairs if pipe]


@dataclass(frozen=True)
class _PipeReader:
    selector: selectors.BaseSelector
    pipe: IO[bytes]
    capture: Capture

    def read_some(self, now_ns: int) -> None:
        del now_ns
        # The exit of the process may have come in the same round of events, before this one.
        if not self.pipe.closed and self._read(_READS_PER_EVENT):
            self._close()

    def read_rest(self) -> None:
        self._read(_READS_AT_THE_END)
        self._close()

    def _read(self, times: int) -> bool:
        """Whether the stream is at its end."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(times):
                chunk = os.read(self.pipe.fileno(), _READ_BYTES)
                if not chunk:
                    return True
                self.capture.feed(chunk)
        return False

    def _close(self) -> None:
        self.selector.unregister(self.pipe)
        self.pipe.close()

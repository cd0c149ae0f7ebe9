"""One running prober as the agent sees it: its pipes and how its end came about: *act*. No decision about time is made here."""

import fcntl
import os
import selectors
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from agent.plan import RunSpec
from agent.running.capture import KEPT_BYTES, Capture

_READ_BYTES = 64 * 1024
# One flooding prober gets so many reads, then the others have their turn.
_READS_PER_EVENT = 4
# A pipe holds 64 KiB, an orphan may refill it for ever.
_READS_AT_THE_END = 8


class EndCause(StrEnum):
    """Why we decided to end a run."""

    TIME_LIMIT = "time_limit"
    OUTPUT_LIMIT = "output_limit"
    NOT_WANTED = "not_wanted"


class Holder(Protocol):
    """Who has started runs and can end them: a launcher, or a server that answers for them."""

    def signal(self, number: int, which: signal.Signals) -> None:
        """End a run, the first time politely; nothing happens if it has just ended."""

    def is_stopped(self) -> bool:
        """Whether somebody keeps it from doing anything."""

    def kill(self) -> None:
        """End it with all of its runs."""


class Pipe:
    """One of the program's two streams."""

    __slots__ = ("_descriptor", "_is_watched", "capture")

    def __init__(self, descriptor: int | None, *, kept_bytes: int = KEPT_BYTES) -> None:
        """None: somebody else feeds the capture."""
        self._descriptor = descriptor
        self._is_watched = False
        self.capture = Capture(kept_bytes=kept_bytes)

    def watch(self, selector: selectors.BaseSelector, on_read: Callable[[int], None]) -> None:
        """Have the selector call us when something is printed."""
        if self._descriptor is None:
            return

        def read_some(now_ns: int) -> None:
            # The end of the run may have come in the same round of events, before this one.
            if self._descriptor is not None and self._read(_READS_PER_EVENT):
                self.close(selector)
            on_read(now_ns)

        selector.register(self._descriptor, selectors.EVENT_READ, read_some)
        self._is_watched = True

    def read_rest(self, selector: selectors.BaseSelector) -> None:
        """Read what is there, then close, even if an orphan holds the other end."""
        if self._descriptor is not None:
            self._read(_READS_AT_THE_END)
            self.close(selector)

    def close(self, selector: selectors.BaseSelector) -> None:
        """Read no more."""
        if self._descriptor is not None:
            if self._is_watched:
                selector.unregister(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self, times: int) -> bool:
        """Whether the stream is at its end."""
        if self._descriptor is None:
            return True
        try:
            for _ in range(times):
                chunk = os.read(self._descriptor, _READ_BYTES)
                if not chunk:
                    return True
                self.capture.feed(chunk)
        except BlockingIOError:  # that is all there is now
            pass
        return False


@dataclass(eq=False, slots=True)
class Run:
    """A program that was asked for; times are nanoseconds of the scheduler's clock."""

    number: int
    spec: RunSpec
    launcher: Holder
    stdout: Pipe
    stderr: Pipe
    due_ns: int
    started_ns: int
    # Which of the runner's deadlines is this run's; all earlier ones are void.
    deadline_number: int = 0
    cause: EndCause | None = None
    killed: bool = False
    is_watched: bool = False
    is_overtime: bool = False
    counted: bool = True
    exit_code: int | None = None
    breach: str = ""

    @property
    def printed_bytes(self) -> int:
        """How much it has printed so far."""
        return self.stdout.capture.fed_bytes + self.stderr.capture.fed_bytes

    def close_pipes(self, selector: selectors.BaseSelector) -> None:
        """Read what is there, then let go."""
        self.stdout.read_rest(selector)
        self.stderr.read_rest(selector)


class Pipes:
    """Two pipes; the program's ends are closed here unless somebody else does it, ours only if something fails."""

    def __enter__(self) -> "Pipes":
        self.out, its_out = os.pipe2(os.O_CLOEXEC)
        try:
            self.err, its_err = os.pipe2(os.O_CLOEXEC)
        except OSError:
            os.close(self.out)
            os.close(its_out)
            raise
        # Not `os.set_blocking`, which asks first.
        fcntl.fcntl(self.out, fcntl.F_SETFL, os.O_NONBLOCK)
        fcntl.fcntl(self.err, fcntl.F_SETFL, os.O_NONBLOCK)
        self.its_ends: tuple[int, ...] = (its_out, its_err)
        return self

    def hand_over(self) -> tuple[int, ...]:
        """The program's ends, which the caller closes."""
        ends, self.its_ends = self.its_ends, ()
        return ends

    def __exit__(self, kind: object, *rest: object) -> None:
        for end in self.its_ends if kind is None else (*self.its_ends, self.out, self.err):
            os.close(end)

"""Act: wait for a step without asking all the time: the kernel says when a process has ended."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from creator.errors import CreatorStopsError
from creator.steps.adoption import Here, Orphaned, Wrapped, situation, unknown_end
from creator.steps.orders import StepEnd, StepRecord
from creator.steps.process_table import ProcessIdentity, kill, kill_step, open_living
from creator.steps.run_folder import RunFolder

# How soon `stop` and `meanwhile` are asked again while nothing happens.
PAUSE = timedelta(milliseconds=500)


def wait_for_end(
    step: StepRecord,
    here: Here,
    *,
    grace: timedelta,
    stop: Callable[[], bool],
    meanwhile: Callable[[], timedelta],
) -> StepEnd:
    """How the step ended, which is within sight, whoever started it; a killed wrapper's work is done for it.

    `meanwhile` is called now and then and says when it wants to be called again. CreatorStopsError, OSError.
    """
    folder = RunFolder(step.folder)
    has_killed = False
    while True:
        found = situation(step, here)
        match found:
            case Wrapped(wrapper):
                _wait_for(wrapper, stop=stop, meanwhile=meanwhile)
            case Orphaned(terraform):
                guardian = _Guardian(terraform, folder, step.deadline, grace)

                def look(guardian: _Guardian = guardian) -> timedelta:
                    guardian.look(datetime.now(UTC))
                    return meanwhile()

                _wait_for(terraform, stop=stop, meanwhile=look)
                has_killed = guardian.has_killed
            case StepEnd():
                return unknown_end(folder, killed=True) if has_killed else found
            case None:
                return unknown_end(folder)


def kill_now(folder: RunFolder) -> None:
    """Kill a command that changes nothing, with all that belongs to it; its wrapper writes down how it ended."""
    terraform = folder.terraform()
    if terraform is not None:
        kill([terraform])


def _wait_for(
    process: ProcessIdentity, *, stop: Callable[[], bool], meanwhile: Callable[[], timedelta]
) -> None:
    with _ended(process) as has_ended:
        while not has_ended(min(PAUSE, meanwhile())):
            if stop():
                raise CreatorStopsError


@contextmanager
def _ended(process: ProcessIdentity) -> Iterator[Callable[[timedelta], bool]]:
    """A question that is answered as soon as the process has ended, or with False after the time given."""
    descriptor = open_living(process)
    if descriptor is None:
        yield lambda _: True
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        yield lambda longest: bool(poll.poll(longest.total_seconds() * 1000))
    finally:
        os.close(descriptor)


class _Guardian:
    """Does for a terraform what its wrapper would have done, had nobody killed it."""

    def __init__(
        self, terraform: ProcessIdentity, folder: RunFolder, deadline: datetime, grace: timedelta
    ) -> None:
        self._terraform = terraform
        self._folder = folder
        self._deadline = deadline
        self._grace = grace
        self.has_killed = False

    def look(self, now: datetime) -> None:
        """After the deadline one SIGINT, whoever sends it; after the grace the kill."""
        if now < self._deadline:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._folder.mark_interrupted():
                os.kill(self._terraform.pid, signal.SIGINT)
                return
            asked_at = self._folder.interrupted_at_seconds() or 0.0
            if time.time() >= asked_at + self._grace.total_seconds():
                self.has_killed = True
                os.kill(self._terraform.pid, signal.SIGKILL)
                wrapper = self._folder.wrapper()
                if wrapper is not None:
                    kill_step(wrapper.pid, self._folder.path.name)

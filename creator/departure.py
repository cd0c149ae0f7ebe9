"""Act: when told to end, end in time, whatever the database does. terraforms that run go on, and the next Creator takes them over.

The first signal drains, the second one leaves everything as it is.
"""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from time import monotonic, sleep
from typing import NoReturn

from creator.command_line import ExitCode

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 0.25


@dataclass(frozen=True)
class Terms:
    """For what Creator stays after it was told to end."""

    waits: bool  # for the terraforms that it looks after
    time_limit: timedelta  # of that waiting
    patience: timedelta  # with a database that does not answer


def still_waits(terms: Terms, *, waited: timedelta, unanswered: timedelta, runs_here: bool) -> bool:
    """Whether there is still something to wait for: a terraform, or a database that answered a moment ago. Pure."""
    if not terms.waits or waited >= terms.time_limit:
        return False
    return runs_here or unanswered < terms.patience


class Departure:
    """What people have asked for, and the care that it happens."""

    def __init__(self, *, at_once: bool = False) -> None:
        """`at_once`: the first signal leaves everything as it is."""
        self.stop = Event()  # leave everything as it is
        self.drain = self.stop if at_once else Event()  # begin nothing new
        self._answered_at_seconds = monotonic()

    def listen(self) -> None:
        """Hear signals from now on."""

        def hear(*_: object) -> None:
            (self.stop if self.drain.is_set() else self.drain).set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, hear)

    def answered(self) -> None:
        """The database has answered just now."""
        self._answered_at_seconds = monotonic()

    def see_to_it(self, terms: Terms, runs_here: Callable[[], bool]) -> None:
        """Have a thread end this process in time: even one whose other threads hang in a database that says nothing."""

        def watch() -> None:
            self.drain.wait()
            self._wait(terms, runs_here)
            self.stop.set()
            # Who is not gone by then hangs in the database: it ends like one that was killed, which harms nothing.
            sleep(terms.patience.total_seconds())
            log.error("the database does not answer, Creator ends without it")
            _end()

        Thread(target=watch, name="departure", daemon=True).start()

    def _wait(self, terms: Terms, runs_here: Callable[[], bool]) -> None:
        began_at = monotonic()
        is_said = False
        while not self.stop.wait(_SECONDS_BETWEEN_LOOKS):
            now = monotonic()
            unanswered = timedelta(seconds=now - self._answered_at_seconds)
            waited = timedelta(seconds=now - began_at)
            runs = runs_here()
            if not still_waits(terms, waited=waited, unanswered=unanswered, runs_here=runs):
                return
            if unanswered >= terms.patience and not is_said:
                log.warning("without a database Creator waits for a terraform that runs here")
                is_said = True


def _end() -> NoReturn:
    logging.shutdown()
    os._exit(ExitCode.WENT_WRONG)

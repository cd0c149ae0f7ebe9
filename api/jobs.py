"""Work that one API process at a time does for all, in a thread of its own: publishing, cleaning up."""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from common.errors import MrProberError
from database.leases import HeldLease

log = logging.getLogger(__name__)

LEASE = "api-jobs"
_PAUSE_SECONDS = 1.0
_PAUSE_AFTER_TROUBLE_SECONDS = 10.0


class Job(Protocol):
    """One piece of work; it is asked once a second and decides itself whether anything is due."""

    def run(self, lease: HeldLease) -> None:
        """Do what is due, in short transactions; `lease.keep()` and `lease.require()` between them.

        SQLAlchemyError and MrProberError are logged, and it is asked again a little later.
        """


class Jobs:
    """The thread; whoever holds the lease works, the others look whether it is free."""

    def __init__(self, lease: HeldLease, jobs: Sequence[Job]) -> None:
        self._lease = lease
        self._jobs = jobs
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Finish the step that goes on, and let another process begin at once."""
        self._stopping.set()
        self._thread.join(timeout=10)

    def run_once(self) -> bool:
        """Ask each job once, if the lease is ours; whether all went well."""
        well = True
        try:
            if not self._lease.keep():
                return True
        except SQLAlchemyError as error:
            log.warning("jobs wait: %s", error)
            return False
        for job in self._jobs:
            try:
                job.run(self._lease)
            except (SQLAlchemyError, MrProberError) as error:
                log.warning("a job is to be repeated job=%s: %s", type(job).__name__, error)
                well = False
            # This thread must live: without it nothing is ever published again.
            except Exception:
                log.exception("a job failed job=%s", type(job).__name__)
                well = False
        return well

    def _run(self) -> None:
        while not self._stopping.is_set():
            well = self.run_once()
            self._stopping.wait(_PAUSE_SECONDS if well else _PAUSE_AFTER_TROUBLE_SECONDS)
        try:
            self._lease.give_up()
        except SQLAlchemyError as error:
            log.warning("the lease runs out by itself: %s", error)

"""Act: the steps of deployments, each a terraform command that its row announces and that outlives whoever started it.

`Steps.start` commits the row and starts a wrapper; whoever holds the cluster's lease afterwards, this Creator or another one
on this machine, waits for the step with `Steps.resume`.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from common.contracts.deployments import StateLock
from creator.errors import StepUnclearError, TerraformNotStartedError
from creator.steps.adoption import TAKE_OVER_MARGIN, Here, situation
from creator.steps.commands import Commands, new_step
from creator.steps.orders import GRACE, StepEnd, StepOrder, StepRecord, Unreachable
from creator.steps.process_table import is_alive
from creator.steps.records import StepRecords
from creator.steps.run_folder import RunFolder
from creator.steps.state_locks import LockReader, first_sign_of_the_lock, is_held_by, may_be_freed
from creator.steps.watch import PAUSE, wait_for_end
from database.leases import LeaseLostError

log = logging.getLogger(__name__)

_LOOKS_AT_A_STRANGE_LOCK = 10


def _nobody_objects(_: Session) -> None:
    return None


class Steps:
    """All steps of this Creator; thread-safe. Every method may raise SQLAlchemy's errors and OSError."""

    def __init__(self, records: StepRecords, commands: Commands) -> None:
        self._records = records
        self._commands = commands

    def start(
        self,
        deployment_id: UUID,
        order: StepOrder,
        *,
        require: Callable[[Session], None] = _nobody_objects,
    ) -> "RunningStep":
        """Commit the row, unless `require` (of the lease) objects in that transaction, and start terraform.

        TerraformNotStartedError: it did not start and never will. StepUnclearError: only `resume` can tell.
        """
        step = new_step(order, self._commands.here, self._records.now())
        folder = RunFolder(step.folder)
        # Before the row: by its folder a machine knows its own steps after a boot.
        folder.make()
        try:
            self._records.begin(deployment_id, step, require=require)
        except LeaseLostError:  # of all errors the one after which the row is surely not there
            folder.path.rmdir()
            raise
        try:
            self._commands.start(order, step)
        except TerraformNotStartedError:
            self._records.ended(step.id, None)
            raise
        except OSError as error:
            raise StepUnclearError(step.id, error) from error
        return self._running(step, grace=order.grace, lock=order.lock)

    def resume(
        self, step: StepRecord, *, grace: timedelta = GRACE, lock: LockReader | None = None
    ) -> "RunningStep | StepEnd | Unreachable":
        """Go on with a step whose Creator is gone: adopt it, bury it with its result, or say until when nobody can tell.

        An unreachable step may be given up (`give_up`) after that moment, if nobody locks the state.
        """
        found = situation(step, self._commands.here)
        if found is None:
            return Unreachable(step.deadline + grace + TAKE_OVER_MARGIN)
        if isinstance(found, StepEnd):
            self._records.ended(step.id, found.exit_code)
            return found
        return self._running(step, grace=grace, lock=lock)

    def give_up(self, step: StepRecord) -> None:
        """Close an unreachable step's row; its lock is not ours to free any more."""
        self._records.given_up(step.id)

    def may_free(self, lock: StateLock) -> bool:
        """Whether a lock is one that steps of ours took which are proven dead: nobody needs to be asked."""
        return may_be_freed(lock, self._records.holders_of(lock.id))

    def _running(
        self, step: StepRecord, *, grace: timedelta, lock: LockReader | None
    ) -> "RunningStep":
        watch = _LockWatch(step, self._records, lock) if lock and not step.lock_id else None
        return RunningStep(step, self._records, self._commands.here, grace=grace, watch=watch)


class RunningStep:
    """A step that was started or adopted; one thread waits for it."""

    def __init__(
        self,
        step: StepRecord,
        records: StepRecords,
        here: Here,
        *,
        grace: timedelta,
        watch: "_LockWatch | None",
    ) -> None:
        self._step = step
        self._records = records
        self._here = here
        self._grace = grace
        self._watch = watch

    @property
    def id(self) -> UUID:
        """Of its row."""
        return self._step.id

    @property
    def output(self) -> RunFolder:
        """Where its output grows."""
        return RunFolder(self._step.folder)

    def wait(self, *, stop: Callable[[], bool], meanwhile: Callable[[], None]) -> StepEnd:
        """Wait for its end and record it; calls `meanwhile` now and then, at least every half second.

        CreatorStopsError if `stop` says so: it goes on without us.
        """

        def look() -> timedelta:
            meanwhile()
            return self._watch.look() if self._watch else PAUSE

        end = wait_for_end(self._step, self._here, grace=self._grace, stop=stop, meanwhile=look)
        self._records.ended(self.id, end.exit_code)
        return end


class _LockWatch:
    """Records the id of the lock that a step holds, as soon as it is proven to be the step's."""

    def __init__(self, step: StepRecord, records: StepRecords, reader: LockReader) -> None:
        self._step = step
        self._records = records
        self._reader = reader
        self._folder = RunFolder(step.folder)
        self._looks_left = _LOOKS_AT_A_STRANGE_LOCK

    def look(self) -> timedelta:
        """Look once; how long to wait before the next look."""
        if not self._looks_left:
            return PAUSE
        try:
            self._look()
        except (OSError, OperationalError) as error:
            log.warning("cannot record the lock of a step step=%s: %s", self._step.id, error)
        return self._reader.pause

    def _look(self) -> None:
        with self._folder.stdout.open("rb") as events:
            sign_at = first_sign_of_the_lock(events)
        if sign_at is None:
            return
        self._looks_left -= 1
        lock = self._reader.read()
        # Asked only now: a terraform that still runs had not given its lock back before.
        terraform = self._folder.terraform()
        if lock is None or terraform is None or not is_alive(terraform):
            return
        started_at = self._step.started_at
        if is_held_by(lock, host=self._step.host, started_at=started_at, sign_at=sign_at):
            self._records.holds_lock(self._step.id, lock.id)
            self._looks_left = 0

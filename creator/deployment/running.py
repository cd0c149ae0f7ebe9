"""Act: the terraform commands of a deployment: recorded steps with a live log, and questions that change nothing."""

import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Event

from sqlalchemy.exc import OperationalError

from common.contracts.deployments import ResourceChange, StateLock
from creator.deployment.attempts import Attempt
from creator.deployment.backends import States
from creator.deployment.deployment_records import DeploymentRecords
from creator.deployment.events import Events, is_stale, needs_init
from creator.deployment.procedure import StepResult
from creator.deployment.step_output import StepOutput
from creator.deployment.terraform import Arguments, Kind, error_in
from creator.errors import CreatorStopsError, TerraformNotStartedError, TerraformRefusedError
from creator.steps.commands import Commands
from creator.steps.orders import StepEnd, StepOrder, StepRecord, Unreachable
from creator.steps.state_locks import LockReader, lock_in_the_way
from creator.steps.steps import RunningStep, Steps

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 2.0


@dataclass(frozen=True)
class Engine:
    """How terraform is started here."""

    arguments: Arguments
    environment: Mapping[str, str]
    step_time_limit: timedelta


@dataclass(frozen=True)
class Terraform:
    """What runs commands."""

    engine: Engine
    steps: Steps
    commands: Commands
    states: States
    stop: Event


class Runner:
    """Runs the commands of deployments; may be used by several threads."""

    def __init__(self, terraform: Terraform, records: DeploymentRecords) -> None:
        self._terraform = terraform
        self._records = records

    @property
    def arguments(self) -> Arguments:
        """The words of terraform."""
        return self._terraform.engine.arguments

    def step(self, attempt: Attempt, kind: Kind, arguments: Sequence[str]) -> StepResult:
        """Start a recorded command and wait for its end; TerraformNotStartedError, StepUnclearError, CreatorStopsError, OSError."""
        if self._terraform.stop.is_set():
            raise CreatorStopsError
        attempt.log.add(header(arguments))
        order = self._order(attempt, kind, arguments)
        running = self._terraform.steps.start(attempt.id, order, require=attempt.lease.require)
        end = self._watched(attempt, running)
        if end.exit_code is None and end.error:
            raise TerraformNotStartedError(end.error)
        return self._result(attempt, kind, end)

    def resumed(self, attempt: Attempt, step: StepRecord) -> StepResult | Unreachable | None:
        """Wait for a command that another Creator started; None if it never ran."""
        kind = Kind(step.kind)
        found = self._terraform.steps.resume(step, lock=self._lock_to_record(attempt))
        if isinstance(found, Unreachable):
            return found
        attempt.log.add(header(step.arguments))
        end = self._watched(attempt, found) if isinstance(found, RunningStep) else found
        if end.exit_code is None and end.error:
            attempt.log.add(end.error)
            return None
        return self._result(attempt, kind, end, was_watched=isinstance(found, RunningStep))

    def lock(self, attempt: Attempt) -> StateLock | None:
        """Who seems to work on the state, as far as can be seen from here."""
        reader = self._lock_reader(attempt)
        return reader.read() if reader else None

    def give_up(self, step: StepRecord) -> None:
        """Nobody will ever know how it ended."""
        self._terraform.steps.give_up(step)

    def answer(self, attempt: Attempt, kind: Kind, arguments: Sequence[str]) -> bytes:
        """What a command prints that changes nothing; it may hold secrets and goes nowhere else. TerraformRefusedError, OSError."""
        end = self._terraform.commands.run(
            self._order(attempt, kind, arguments), stop=self._terraform.stop.is_set
        )
        try:
            if end.exit_code != 0:
                said = (end.output / "stderr").read_text(errors="replace")
                raise TerraformRefusedError(
                    kind.value, end.exit_code or -1, error_in(said) or said.strip()
                )
            return (end.output / "stdout").read_bytes()
        finally:
            shutil.rmtree(end.output, ignore_errors=True)

    def _order(self, attempt: Attempt, kind: Kind, arguments: Sequence[str]) -> StepOrder:
        engine = self._terraform.engine
        return StepOrder(
            kind=kind.value,
            arguments=tuple(arguments),
            folder=attempt.workspace.run,
            working_directory=attempt.workspace.recipe,
            environment=engine.environment,
            time_limit=engine.step_time_limit,
            lock=self._lock_to_record(attempt),
        )

    def _lock_to_record(self, attempt: Attempt) -> LockReader | None:
        """One that goes with its holder needs no proof of whose it was, and looking for it costs."""
        reader = self._lock_reader(attempt)
        return reader if reader is not None and reader.stays else None

    def _lock_reader(self, attempt: Attempt) -> LockReader | None:
        states, cluster = self._terraform.states, attempt.cluster
        # The key that this very deployment has chosen is not in a cluster that was read before it.
        return states.lock_reader(cluster.id, cluster.state_key or states.key_for(cluster.id))

    def _watched(self, attempt: Attempt, running: RunningStep) -> StepEnd:
        output = StepOutput(running.output.path, attempt.events, attempt.log)
        attempt.events.begin_step()
        attempt.is_running = True
        end = running.wait(stop=self._terraform.stop.is_set, meanwhile=self._live(attempt, output))
        attempt.is_running = False
        output.read_to_end()
        attempt.complaint = _complaint(attempt, output)
        return end

    def _result(
        self, attempt: Attempt, kind: Kind, end: StepEnd, *, was_watched: bool = True
    ) -> StepResult:
        if not was_watched:
            output = StepOutput(end.output, attempt.events, attempt.log)
            attempt.events.begin_step()
            output.read_to_end()
            attempt.complaint = _complaint(attempt, output)
        errors = attempt.events.errors
        return StepResult(
            kind=kind,
            exit_code=end.exit_code,
            interrupted=end.interrupted,
            killed=end.killed,
            needs_init=needs_init(errors),
            is_stale=is_stale(errors),
            lock_was_freed=self._freed(attempt),
        )

    def _freed(self, attempt: Attempt) -> bool:
        """Whether a lock was in the way that a dead step of ours had left, and is no more."""
        lock = lock_in(attempt)
        if lock is None or not self._terraform.steps.may_free(lock):
            return False
        attempt.log.add(f"The lock {lock.id} is of a step that is dead.")
        return self._unlocked(attempt, self.arguments.force_unlock(lock.id))

    def _unlocked(self, attempt: Attempt, arguments: Sequence[str]) -> bool:
        attempt.log.add(header(arguments))
        order = replace(self._order(attempt, Kind.UNLOCK, arguments), lock=None)
        running = self._terraform.steps.start(attempt.id, order, require=attempt.lease.require)
        attempt.is_running = True
        end = running.wait(stop=self._terraform.stop.is_set, meanwhile=attempt.lease.require)
        attempt.is_running = False
        # Its words are for the log alone: the errors are still those of the command that met the lock.
        StepOutput(running.output.path, Events(), attempt.log).read_to_end()
        return end.exit_code == 0

    def _live(self, attempt: Attempt, output: StepOutput) -> Callable[[], None]:
        """Stores log and progress now and then; a database that is away is no reason to stop."""
        next_time = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        stored: list[ResourceChange] = list(attempt.events.changes.values())

        def look() -> None:
            nonlocal next_time, stored
            attempt.lease.require()  # terraform goes on without us, and whoever has the lease with it
            if time.monotonic() < next_time:
                return
            next_time = time.monotonic() + _SECONDS_BETWEEN_LOOKS
            output.read()
            changes = list(attempt.events.changes.values())
            try:
                attempt.log.flush()
                if changes != stored:
                    self._records.changes_went_on(attempt.id, attempt.lease, shown_changes(attempt))
                    stored = changes
            except OperationalError as error:
                log.warning("cannot store a log deployment=%s: %s", attempt.id, error)

        return look


def header(arguments: Sequence[str]) -> str:
    """The line of a log with which a command begins."""
    return f"$ {' '.join(arguments)}"


def lock_in(attempt: Attempt) -> StateLock | None:
    """Whose lock stopped the newest command."""
    found = (lock_in_the_way(f"{one.summary}\n{one.detail}") for one in attempt.events.errors)
    return next((lock for lock in found if lock is not None), None)


def shown_changes(attempt: Attempt) -> list[ResourceChange]:
    """The changes of the plan by address, without what could be secret in a key; terraform tells them in any order."""
    hide = attempt.log.without_secrets
    changes = sorted(attempt.events.changes.values(), key=lambda change: change.address)
    return [change.model_copy(update={"address": hide(change.address)}) for change in changes]


def _complaint(attempt: Attempt, output: StepOutput) -> str:
    if errors := attempt.events.errors:
        return "\n\n".join(error.text() for error in errors)
    said = "\n".join(output.said)
    return error_in(said) or said.strip()

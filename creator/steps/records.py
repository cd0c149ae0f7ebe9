"""Record: the rows of steps, each call one transaction. A row is there before its step starts."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from creator.steps.orders import StepRecord
from creator.steps.state_locks import LockHolder
from database.models import DeploymentStep, table_of
from database.session import Database

_STEPS = table_of(DeploymentStep)
# Made once: they cost more than their execution.
_ANNOUNCE = insert(_STEPS)
_UNFINISHED = update(_STEPS).where(
    _STEPS.c.id == bindparam("of_id"), _STEPS.c.finished_at.is_(None)
)


class StepRecords:
    """All of it behind verbs; may raise SQLAlchemy's errors."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> datetime:
        """Now, as rows have it."""
        return self._clock()

    def begin(
        self, deployment_id: UUID, step: StepRecord, *, require: Callable[[Session], None]
    ) -> None:
        """The step is about to start, unless `require` objects."""
        row = {
            "id": step.id,
            "deployment_id": deployment_id,
            "kind": step.kind,
            "arguments": list(step.arguments),
            "host": step.host,
            "boot_id": step.boot_id,
            "pid_namespace": step.pid_namespace,
            "workspace": str(step.folder),
            "deadline": step.deadline,
            "started_at": step.started_at,
        }
        with self._database.writing() as session:
            require(session)
            session.execute(_ANNOUNCE, row)

    def holds_lock(self, step_id: UUID, lock_id: str) -> None:
        """The step holds this lock on the state."""
        with self._database.writing() as session:
            row = update(DeploymentStep).where(DeploymentStep.id == step_id)
            session.execute(row.values(lock_id=lock_id))

    def ended(self, step_id: UUID, exit_code: int | None) -> None:
        """The step is proven dead; None = nobody saw how it ended. The first who says so is right."""
        self._finish(step_id, exit_code=exit_code)

    def given_up(self, step_id: UUID) -> None:
        """Nobody will ever know whether the step is dead: its lock is not ours to free any more."""
        self._finish(step_id, lock_id="")

    def holders_of(self, lock_id: str) -> list[LockHolder]:
        """The steps of ours that recorded this lock; a row is finished only when its step is proven dead, or given up."""
        query = select(DeploymentStep.finished_at).where(DeploymentStep.lock_id == lock_id)
        with self._database.reading() as session:
            ends = session.scalars(query).all()
        return [LockHolder(lock_id, is_dead=end is not None) for end in ends]

    def _finish(self, step_id: UUID, **values: object) -> None:
        with self._database.writing() as session:
            unfinished = {"of_id": step_id, "finished_at": self._clock(), **values}
            session.execute(_UNFINISHED, unfinished)


def step_record(row: DeploymentStep) -> StepRecord:
    """The row as a value."""
    return StepRecord(
        id=row.id,
        kind=row.kind,
        arguments=tuple(row.arguments),
        host=row.host,
        boot_id=row.boot_id,
        pid_namespace=row.pid_namespace,
        folder=Path(row.workspace),
        started_at=row.started_at,
        deadline=row.deadline or row.started_at,
        lock_id=row.lock_id,
    )

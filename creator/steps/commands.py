"""Act: start terraform commands, each in a folder of its own; run those to their end that change nothing and need no row."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from common.contracts.identifiers import new_id
from creator.errors import CreatorStopsError
from creator.steps.adoption import Here
from creator.steps.detached import Launcher
from creator.steps.launches import Launch, User
from creator.steps.orders import StepEnd, StepOrder, StepRecord
from creator.steps.run_folder import RunFolder
from creator.steps.watch import PAUSE, kill_now, wait_for_end

# Less than the third of a lease that is left at least: nobody else can have begun with the cluster by then.
START_WITHIN = timedelta(seconds=10)


@dataclass(frozen=True)
class Commands:
    """Starts terraform here, as `user` if that is another one than ours; for any number of threads."""

    launcher: Launcher
    here: Here
    user: User | None = None

    def start(self, order: StepOrder, step: StepRecord) -> None:
        """Start what was ordered in the step's folder, which is there; TerraformNotStartedError."""
        launch = Launch(
            folder=str(step.folder),
            arguments=order.arguments,
            working_directory=str(order.working_directory),
            environment=dict(order.environment),
            time_limit_seconds=order.time_limit.total_seconds(),
            grace_seconds=order.grace.total_seconds(),
            # Not from now: we may have slept since the step was announced.
            start_before_seconds=(step.started_at + START_WITHIN).timestamp(),
            user=self.user,
        )
        self.launcher.start(launch)

    def run(self, order: StepOrder, *, stop: Callable[[], bool]) -> StepEnd:
        """Run to its end a command that changes nothing; TerraformNotStartedError, OSError.

        Unlike a step of a deployment it is killed if `stop` says so (CreatorStopsError), and nobody asks for it after a crash.
        Its output may hold secrets: the caller removes it.
        """
        step = new_step(order, self.here, datetime.now(UTC))
        RunFolder(step.folder).make()
        self.start(order, step)
        try:
            return wait_for_end(
                step, self.here, grace=order.grace, stop=stop, meanwhile=lambda: PAUSE
            )
        except CreatorStopsError:
            kill_now(RunFolder(step.folder))
            raise


def new_step(order: StepOrder, here: Here, now: datetime) -> StepRecord:
    """A step that is to begin here and now, with a new id."""
    step_id = new_id()
    try:
        deadline = now + order.time_limit
    except OverflowError:
        deadline = datetime.max.replace(tzinfo=UTC)
    return StepRecord(
        id=step_id,
        kind=order.kind,
        arguments=order.arguments,
        host=here.host,
        boot_id=here.boot_id,
        pid_namespace=here.pid_namespace,
        folder=order.folder / str(step_id),
        started_at=now,
        deadline=deadline,
    )

"""Foreseen mishaps of Creator.

MrProberError
├── CannotStartError            Creator ends at once, with one line
└── DeploymentError             ends a deployment; its text is for the author of recipe and values
    ├── ApprovedPlanGoneError   another plan takes its place: `superseded`
    ├── DeploymentFailedError   what terraform or the recipe did is known: `failed`
    └── DeploymentUnknownError  nobody knows how far terraform came: `unknown`

StepUnclearError ends no deployment: whoever takes its cluster next goes on with the step.
CreatorStopsError is no mishap: it unwinds a worker when Creator has been told to end.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from common.errors import MrProberError


class CannotStartError(MrProberError):
    """Creator cannot work here."""


class OtherStatesError(CannotStartError):
    """Another Creator works with other states of terraform: each would build what the other one has built."""

    def __init__(self, host: str, state_store: str, gone_at: datetime) -> None:
        super().__init__(
            f"a Creator on {host} works with terraform's states in {state_store}, this one would use others:"
            " to run Creators on several machines set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY for all of them;"
            " on one machine give them the same MR_PROBER_DATA_DIR."
            f" If that one is gone for good, try again after {gone_at:%Y-%m-%d %H:%M:%S} UTC"
        )


class DatabaseMissingError(CannotStartError):
    """There is no file with a database."""

    def __init__(self, path: object) -> None:
        super().__init__(
            f"there is no database {path}: run `PYTHONPATH=. alembic upgrade head`, or set MR_PROBER_DATABASE_URL"
        )


class TerraformMissingError(CannotStartError):
    """There is no usable terraform."""

    def __init__(self, executable: str, reason: object) -> None:
        super().__init__(
            f"terraform ({executable}) does not run: {reason}; install it or name it with MR_PROBER_TERRAFORM"
        )


class DeploymentError(MrProberError):
    """A deployment ends here; the text becomes its `error`."""


class DeploymentFailedError(DeploymentError):
    """The deployment failed, and it is known how."""


class TerraformRefusedError(DeploymentFailedError):
    """A terraform command ended with an error; `message` is terraform's own."""

    def __init__(self, kind: str, exit_code: int, message: str) -> None:
        super().__init__(
            message
            or f"terraform {kind} ended with exit code {exit_code} and said nothing of an error"
        )
        self.exit_code = exit_code


class TerraformNotStartedError(DeploymentFailedError):
    """terraform did not start, and never will."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"terraform cannot be started: {reason}")


class TerraformInterruptedError(DeploymentFailedError):
    """terraform reached its time limit and ended in order when it was asked to."""

    def __init__(self, kind: str, time_limit: timedelta) -> None:
        super().__init__(
            f"terraform {kind} was interrupted after {time_limit.total_seconds():g} seconds,"
            " its time limit; it saved what it had done"
        )


class FileContentError(DeploymentFailedError):
    """A file of the recipe cannot be had as it was stored."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"file {path} of the recipe: {reason}")


class ApprovedPlanGoneError(DeploymentError):
    """The plan that a person approved cannot be applied as it was approved."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the approved plan is not applied: {reason}; it is planned again")


class StateElsewhereError(DeploymentFailedError):
    """The state of a cluster is in a place that this Creator does not use."""

    def __init__(self, state_key: str, remedy: str) -> None:
        where = "in a file of Creator's data folder" if state_key == "local" else f"at {state_key}"
        super().__init__(f"the state of this cluster is {where}, and nothing moves it: {remedy}")


class StateMissingError(DeploymentFailedError):
    """Something was applied, and its state is gone: terraform would make everything a second time, and destroy nothing."""

    def __init__(self, slug: str, state_key: str) -> None:
        where = "in this Creator's data folder" if state_key == "local" else f"at {state_key}"
        super().__init__(
            f"the state of this cluster is missing or empty {where}, and it was there before: bring it back,"
            " or give Creator the data folder or bucket that has it; only if nothing of the cluster exists"
            f" any more, say so: creator/break_glass/main.py forget-state {slug}"
        )


class SnapshotMissingError(DeploymentFailedError):
    """What was applied last cannot be had."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the recipe and values that were applied last are missing in object storage ({key})"
        )


class HostsOutputError(DeploymentFailedError):
    """The output `mr_prober_hosts` does not describe hosts."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__(
            "the output mr_prober_hosts is not {host = {address = string, labels = map(string)}}: "
            + "; ".join(mistakes)
        )


class DeploymentUnknownError(DeploymentError):
    """How far terraform came is not known; the next pass plans again."""


class TerraformKilledError(DeploymentUnknownError):
    """terraform did not end when it was asked to."""

    def __init__(self, kind: str, time_limit: timedelta) -> None:
        super().__init__(
            f"terraform {kind} was killed: it did not end after its time limit of"
            f" {time_limit.total_seconds():g} seconds, and not when it was asked to; the next pass plans again"
        )


class StepUnclearError(MrProberError):
    """A step was announced, and the machine does not let us see whether it has begun."""

    def __init__(self, step_id: UUID, reason: object) -> None:
        super().__init__(f"cannot tell whether step {step_id} has begun: {reason}")


class CreatorStopsError(Exception):
    """Creator was told to end: leave a running terraform to itself and return."""

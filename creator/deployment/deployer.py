"""Act: carry a deployment out, step by step, as `procedure.py` decides; or go on with one that another Creator began."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from common.contracts.clusters import DeploymentState
from common.encryption import EncryptionError
from common.object_storage import ObjectStorageError
from creator.deployment.applying import Applying
from creator.deployment.attempts import Attempt, Outcome, outcome
from creator.deployment.beginning import Beginnings
from creator.deployment.deployment_records import DeploymentRecords, Ending
from creator.deployment.descriptions import Description
from creator.deployment.judging import Judging
from creator.deployment.leased import Lease
from creator.deployment.preparation import Preparation, has_own_lock
from creator.deployment.procedure import Move, StepResult, next_move, with_result
from creator.deployment.records import ClusterRecord
from creator.deployment.running import Runner, lock_in
from creator.deployment.terraform import MAX_ERROR_LENGTH, Kind, shortened
from creator.deployment.workspaces import remove
from creator.errors import (
    ApprovedPlanGoneError,
    DeploymentError,
    DeploymentUnknownError,
    TerraformInterruptedError,
    TerraformKilledError,
    TerraformRefusedError,
)
from creator.planner import Decision
from creator.steps.orders import StepRecord, Unreachable
from creator.steps.state_locks import how_to_unlock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What a deployer works with."""

    records: DeploymentRecords
    beginnings: Beginnings
    preparation: Preparation
    runner: Runner
    judging: Judging
    applying: Applying
    clock: Callable[[], datetime]


class Deployer:
    """Carries decisions out; may be used by several threads, never by two for one cluster.

    All calls are for the holder of the cluster's lease: LeaseLostError as soon as somebody else has it.
    CreatorStopsError leaves a deployment as it is, for `resume`.
    """

    def __init__(self, parts: Parts) -> None:
        self._records = parts.records
        self._beginnings = parts.beginnings
        self._preparation = parts.preparation
        self._runner = parts.runner
        self._judging = parts.judging
        self._applying = parts.applying
        self._clock = parts.clock

    def deploy(
        self,
        description: Description,
        decision: Decision,
        lease: Lease,
        *,
        terraform_is_over: Callable[[], None] = lambda: None,
    ) -> DeploymentState | None:
        """Check, deploy, apply an approved plan or destroy; the deployment's state, None if it left no row.

        `terraform_is_over` is told when all that is left is to write down how it ended.
        """
        attempt = self._beginnings.begin(description, decision, lease)
        if attempt is None:
            return None
        return self._carried_out(attempt, self._beginnings.prepare, terraform_is_over)

    def resume(self, deployment_id: UUID, lease: Lease) -> DeploymentState | Unreachable | None:
        """Go on with a deployment that another Creator began; Unreachable: its step is on another machine."""
        attempt, left = self._beginnings.resumed(deployment_id, lease)
        if left is not None:
            result = self._runner.resumed(attempt, left.record)
            if isinstance(result, Unreachable):
                return self._given_up(attempt, left.record, result)
            if result is not None:
                self._ended(attempt, result)
        return self._carried_out(attempt, self._beginnings.prepare_again)

    def finish_destroy(self, cluster: ClusterRecord, lease: Lease) -> None:
        """The cluster has nothing (left) to destroy."""
        if not self._records.cluster_destroyed(cluster.id, lease):
            return
        self._applying.forget(cluster)
        self._judging.remove_obsolete_plans(cluster.id, lease)
        remove(self._beginnings.workspaces.of(cluster.id))
        log.info("destroyed cluster=%s", cluster.slug)

    def _carried_out(
        self,
        attempt: Attempt,
        prepare: Callable[[Attempt], None],
        terraform_is_over: Callable[[], None] = lambda: None,
    ) -> DeploymentState | None:
        try:
            prepare(attempt)
            result = self._moved_on(attempt)
        except DeploymentUnknownError as error:
            result = outcome(DeploymentState.UNKNOWN, str(error))
        except ApprovedPlanGoneError as error:
            result = outcome(DeploymentState.SUPERSEDED, str(error))
        except (DeploymentError, ObjectStorageError, EncryptionError) as error:
            result = outcome(DeploymentState.FAILED, str(error))
        except OSError as error:  # disk full, no right to write
            if attempt.is_running:
                raise  # its deployment is not over: it is gone on with
            text = f"Creator's workspace cannot be used: {error}"
            result = outcome(DeploymentState.FAILED, text)
        terraform_is_over()
        self._finish(attempt, result)
        return result.state

    def _moved_on(self, attempt: Attempt) -> Outcome:
        """Move after move until there is an outcome; `procedure.py` has an end for each way."""
        while True:
            done = self._made(next_move(attempt.progress), attempt)
            if done is not None:
                return done

    def _made(self, move: Move, attempt: Attempt) -> Outcome | None:
        """Make the move; its outcome, if it ends the deployment."""
        if move is Move.INIT:
            self._init(attempt)
        elif move is Move.PLAN:
            self._plan(attempt)
        elif move is Move.JUDGE:
            return self._judging.judged(attempt) or self._apply(attempt)
        elif move is Move.RECORD_UNCHANGED:
            return self._applying.unchanged(attempt)
        elif move is Move.RECORD_APPLIED:
            return self._applying.applied(attempt)
        else:
            return self._failure(attempt, move)
        return None

    def _init(self, attempt: Attempt) -> None:
        self._preparation.not_initialized(attempt)
        material = attempt.material
        given = bool(material.dependency_lock) and not has_own_lock(material)
        self._step(attempt, Kind.INIT, self._runner.arguments.init(lock_is_given=given))
        if attempt.steps[-1].exit_code == 0:
            self._preparation.initialized(attempt)

    def _plan(self, attempt: Attempt) -> None:
        saved = attempt.workspace.saved_plan
        saved.unlink(missing_ok=True)
        attempt.events.begin_plan()
        replace = () if attempt.is_destroy else attempt.cluster.replace_addresses
        arguments = self._runner.arguments.plan(saved, destroy=attempt.is_destroy, replace=replace)
        self._step(attempt, Kind.PLAN, arguments)

    def _apply(self, attempt: Attempt) -> Outcome | None:
        if refused := self._applying.begin(attempt):
            return refused
        kind = Kind.DESTROY if attempt.is_destroy else Kind.APPLY
        self._step(attempt, kind, self._runner.arguments.apply(attempt.workspace.saved_plan))
        return None

    def _step(self, attempt: Attempt, kind: Kind, arguments: list[str]) -> None:
        self._ended(attempt, self._runner.step(attempt, kind, arguments))

    def _ended(self, attempt: Attempt, result: StepResult) -> None:
        attempt.steps = with_result(attempt.steps, result)
        if next_move(attempt.progress) is Move.RECORD_APPLIED:
            return  # which tells the changes, and then the end the whole log
        attempt.log.flush()
        if result.kind is Kind.PLAN or attempt.events.changes:
            self._judging.record_changes(attempt)

    def _failure(self, attempt: Attempt, move: Move) -> Outcome:
        last = attempt.steps[-1]
        kind, limit = last.kind.value, self._applying.step_time_limit
        if last.killed:
            raise TerraformKilledError(kind, limit)
        if move is Move.REPLACE:
            text = "the approved plan is stale: somebody has changed the state since; it is planned again"
            return outcome(DeploymentState.SUPERSEDED, text)
        if move is Move.UNKNOWN:
            raise DeploymentUnknownError(_how_it_ended(last))
        if last.interrupted:
            raise TerraformInterruptedError(kind, limit)
        return self._applying.failed(attempt, self._complaint(attempt, last))

    def _complaint(self, attempt: Attempt, last: StepResult) -> str:
        lock = lock_in(attempt)
        said = how_to_unlock(lock) if lock else attempt.complaint
        return str(TerraformRefusedError(last.kind.value, last.exit_code or 0, said))

    def _given_up(
        self, attempt: Attempt, step: StepRecord, found: Unreachable
    ) -> DeploymentState | Unreachable:
        """A step on another machine: once its time is over it is of no concern, and its lock, if it stayed, for a person."""
        if self._clock() < found.until:
            return found
        self._runner.give_up(step)
        text = "it ran on another machine, which is silent; the next pass plans again"
        lock = self._runner.lock(attempt)
        if lock is not None:
            # To wait for it here would be for ever, and nobody would be told: terraform itself respects the lock.
            text = f"{text}\n\n{how_to_unlock(lock)}"
        self._finish(attempt, Outcome(Ending(DeploymentState.UNKNOWN, text, lock=lock)))
        return DeploymentState.UNKNOWN

    def _finish(self, attempt: Attempt, result: Outcome) -> None:
        try:
            attempt.workspace.saved_plan.unlink(missing_ok=True)
        except OSError as error:  # the next deployment clears the folder
            log.warning("a saved plan stays cluster=%s: %s", attempt.cluster.slug, error)
        if result.ending is None:
            self._records.forget(attempt.id, attempt.lease)
            log.info("checked cluster=%s", attempt.cluster.slug)
        else:
            self._close(attempt, result.ending)
        self._judging.remove_obsolete_plans(attempt.cluster.id, attempt.lease)
        if attempt.is_destroy and result.state is DeploymentState.SUCCEEDED:
            self.finish_destroy(attempt.cluster, attempt.lease)

    def _close(self, attempt: Attempt, ending: Ending) -> None:
        error = shortened(attempt.log.without_secrets(ending.error), MAX_ERROR_LENGTH)
        ending = replace(ending, error=error.replace("\0", ""))
        cluster, text = attempt.cluster, attempt.log.text()
        self._records.close(attempt.id, attempt.lease, cluster.id, ending, text)
        log.log(
            logging.WARNING if error else logging.INFO,
            "deployment %s cluster=%s deployment=%s cause=%r error=%r",
            ending.state.value,
            cluster.slug,
            attempt.id,
            attempt.cause,
            error.partition("\n")[0],
        )


def _how_it_ended(last: StepResult) -> str:
    if last.exit_code is not None and last.exit_code < 0:
        return (
            f"terraform {last.kind} was killed by signal {-last.exit_code}, not by Creator;"
            " the next pass plans again"
        )
    return f"nobody saw how terraform {last.kind} ended; the next pass plans again"

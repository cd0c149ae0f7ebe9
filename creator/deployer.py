"""Act: one deployment from its row to its outcome: workspace, init, plan, apply of the saved plan, outputs."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from uuid import UUID

from sqlalchemy.exc import OperationalError

from common.contracts.clusters import (
    DeploymentState,
    DeployPolicy,
    HostDescription,
    PlannedChanges,
    PlanSummary,
)
from common.object_storage import ObjectStorageError
from creator.descriptions import Description, Descriptions
from creator.errors import (
    CreatorStopsError,
    DeploymentError,
    DeploymentFailedError,
    DeploymentUnknownError,
    TerraformInterruptedError,
    TerraformKilledError,
    TerraformRefusedError,
)
from creator.logs import DeploymentLog
from creator.planner import Action, Decision, Ruling, may_apply_as_approved
from creator.records import ClusterRecord, Records
from creator.terraform import (
    EXIT_CODE_WITH_CHANGES,
    MAX_ERROR_LENGTH,
    Arguments,
    Kind,
    error_in,
    hosts_output,
    plan_summary,
    planned_changes,
    shortened,
)
from creator.terraform_process import Command, Ended, TerraformProcess
from creator.workspaces import (
    Workspace,
    Workspaces,
    keep_secrets,
    known_secrets,
    prepare,
    remove,
)

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LIVE_LOGS = 2.0
_NO_CHANGES = PlanSummary()


@dataclass(frozen=True)
class Engine:
    """How terraform is started here."""

    arguments: Arguments
    environment: Mapping[str, str]
    step_time_limit: timedelta


@dataclass(frozen=True)
class Attempt:
    """One deployment under way."""

    id: UUID
    description: Description
    decision: Decision
    workspace: Workspace
    log: DeploymentLog

    @property
    def cluster_id(self) -> UUID:
        """The cluster that is deployed."""
        return self.description.cluster.id

    @property
    def is_destroy(self) -> bool:
        """Whether everything is to go."""
        return self.decision.action is Action.DESTROY


@dataclass(frozen=True)
class Outcome:
    """How a deployment ended; without a state it leaves no row, since it found nothing to say."""

    state: DeploymentState | None
    error: str = ""


class Deployer:
    """Carries decisions out; may be used by several threads, never by two for one cluster."""

    def __init__(
        self,
        records: Records,
        descriptions: Descriptions,
        workspaces: Workspaces,
        engine: Engine,
        stop: Event,
    ) -> None:
        self._records = records
        self._descriptions = descriptions
        self._workspaces = workspaces
        self._engine = engine
        self._stop = stop

    def deploy(self, description: Description, decision: Decision) -> DeploymentState | None:
        """Check, deploy or destroy; the deployment's state, None if it left no row.

        CreatorStopsError leaves it as it is, for the next Creator.
        """
        cluster = description.cluster
        deployment_id = self._records.begin(
            cluster,
            description.revision.id,
            cause=decision.reason,
            fingerprint=description.fingerprint,
        )
        workspace = self._workspaces.of(cluster.id)
        path = workspace.deployment_log(deployment_id)
        # A plan shows values as they were, too.
        secrets = (*description.secrets, *known_secrets(workspace))
        attempt = Attempt(
            id=deployment_id,
            description=description,
            decision=decision,
            workspace=workspace,
            log=DeploymentLog(path, secrets),
        )
        outcome = self._outcome(attempt)
        self._finish(attempt, outcome)
        return outcome.state

    def finish_destroy(self, cluster: ClusterRecord) -> None:
        """The cluster has nothing (left) to destroy."""
        if not self._records.cluster_destroyed(cluster.id):
            return
        remove(self._workspaces.of(cluster.id))
        log.info("destroyed cluster=%s", cluster.slug)

    def _outcome(self, attempt: Attempt) -> Outcome:
        try:
            self._prepare(attempt)
            summary = self._plan(attempt)
            if summary is None:
                return self._without_changes(attempt)
            return self._with_changes(attempt, summary)
        except DeploymentUnknownError as error:
            return Outcome(DeploymentState.UNKNOWN, str(error))
        except (DeploymentError, ObjectStorageError) as error:
            return Outcome(DeploymentState.FAILED, str(error))
        except OSError as error:  # disk full, no right to write
            return Outcome(DeploymentState.FAILED, f"Creator's workspace cannot be used: {error}")

    def _finish(self, attempt: Attempt, outcome: Outcome) -> None:
        cluster = attempt.description.cluster
        attempt.workspace.saved_plan.unlink(missing_ok=True)
        if outcome.state is None:
            self._records.forget(attempt.id)
            log.info("checked cluster=%s", cluster.slug)
            return
        error = shortened(attempt.log.without_secrets(outcome.error), MAX_ERROR_LENGTH)
        self._records.close(attempt.id, outcome.state, error=error, log=attempt.log.text())
        level = logging.INFO if not error else logging.WARNING
        log.log(
            level,
            "deployment %s cluster=%s deployment=%s cause=%r error=%r",
            outcome.state.value,
            cluster.slug,
            attempt.id,
            attempt.decision.reason,
            error.partition("\n")[0],
        )
        if attempt.is_destroy and outcome.state is DeploymentState.SUCCEEDED:
            self.finish_destroy(cluster)

    def _prepare(self, attempt: Attempt) -> None:
        description = attempt.description
        files, contents = self._descriptions.recipe(description.revision)
        keep_secrets(attempt.workspace, attempt.log.secrets)
        prepare(attempt.workspace, files, contents, description.values.declared)
        if undeclared := description.values.undeclared:
            names = ", ".join(undeclared)
            attempt.log.add(
                f"The recipe does not declare these variables, they are for probers: {names}"
            )

    def _plan(self, attempt: Attempt) -> PlanSummary | None:
        """What would change, or None."""
        arguments, saved = self._engine.arguments, attempt.workspace.saved_plan
        self._step(attempt, Kind.INIT, arguments.init())
        planned = self._step(
            attempt,
            Kind.PLAN,
            arguments.plan(saved, destroy=attempt.is_destroy),
            accepted=(0, EXIT_CODE_WITH_CHANGES),
        )
        if planned == 0:
            return None
        shown = self._answer(attempt, arguments.show(saved))
        summary = plan_summary(shown)
        changes = planned_changes(shown, attempt.log.without_secrets)
        self._records.planned(attempt.id, summary, changes)
        return summary

    def _without_changes(self, attempt: Attempt) -> Outcome:
        if attempt.is_destroy:
            return Outcome(DeploymentState.SUCCEEDED)
        self._record_deployed(attempt)
        if attempt.decision.action is Action.CHECK:
            self._records.waiting_is_pointless(attempt.cluster_id)
            return Outcome(None)
        self._records.planned(attempt.id, _NO_CHANGES, PlannedChanges())
        return Outcome(DeploymentState.SUCCEEDED)

    def _with_changes(self, attempt: Attempt, summary: PlanSummary) -> Outcome:
        policy = attempt.description.cluster.deploy_policy
        # Who deletes a cluster has decided that it goes, whatever its policy.
        if attempt.is_destroy or policy is DeployPolicy.AUTOMATIC:
            return self._apply(attempt)
        if policy is DeployPolicy.APPROVE and (ruling := _approval(attempt, summary)):
            return self._apply(attempt, ruling)
        state = DeploymentState.SUCCEEDED
        if policy is DeployPolicy.APPROVE:
            state = DeploymentState.WAITING_FOR_APPROVAL
        self._records.cluster_planned(attempt.cluster_id)
        return Outcome(None if _says_nothing_new(attempt, summary, state) else state)

    def _apply(self, attempt: Attempt, ruling: Ruling | None = None) -> Outcome:
        reason = self._records.begin_apply(
            attempt.cluster_id, attempt.id, destroys=attempt.is_destroy
        )
        if reason:
            return Outcome(DeploymentState.SUPERSEDED, f"the plan was not applied: {reason}")
        if ruling:
            self._records.approved(attempt.id, ruling)
        kind = Kind.DESTROY if attempt.is_destroy else Kind.APPLY
        self._step(attempt, kind, self._engine.arguments.apply(attempt.workspace.saved_plan))
        if not attempt.is_destroy:
            self._record_deployed(attempt, was_applied=True)
        return Outcome(DeploymentState.SUCCEEDED)

    def _record_deployed(self, attempt: Attempt, *, was_applied: bool = False) -> None:
        description = attempt.description
        known = description.cluster.situation.deployed_fingerprint == description.fingerprint
        hosts = None if known and not was_applied else self._hosts(attempt)
        self._records.cluster_deployed(attempt.cluster_id, description.fingerprint, hosts)
        keep_secrets(attempt.workspace, description.secrets)

    def _hosts(self, attempt: Attempt) -> Mapping[str, HostDescription]:
        answer = self._answer(attempt, self._engine.arguments.output())
        hide = attempt.log.without_secrets
        return {
            name: HostDescription(
                address=hide(host.address),
                labels={label: hide(value) for label, value in host.labels.items()},
            )
            for name, host in (hosts_output(answer) or {}).items()
        }

    def _step(
        self,
        attempt: Attempt,
        kind: Kind,
        arguments: Sequence[str],
        *,
        accepted: Sequence[int] = (0,),
    ) -> int:
        """Run one recorded command; its exit code, if it is an accepted one."""
        if self._stop.is_set():
            raise CreatorStopsError
        begin = attempt.log.add(f"$ {' '.join(arguments)}")
        step_id = self._records.begin_step(attempt.id, kind, arguments)
        command = Command(arguments, attempt.workspace.recipe, attempt.log.path)
        try:
            process = TerraformProcess(command, self._engine.environment)
        except OSError as error:
            self._records.step_ended(step_id, None)
            raise DeploymentFailedError(f"terraform cannot be started: {error}") from error
        self._records.step_started(step_id, process.identity)
        ended = process.wait(
            self._engine.step_time_limit, stop=self._stop, meanwhile=self._live_log(attempt)
        )
        self._records.step_ended(step_id, ended.exit_code)
        self._records.store_log(attempt.id, attempt.log.text())
        self._refuse_bad_end(kind, ended, accepted, attempt.log.text_from(begin))
        return ended.exit_code

    def _refuse_bad_end(
        self, kind: Kind, ended: Ended, accepted: Sequence[int], output: str
    ) -> None:
        if ended.killed:
            raise TerraformKilledError(kind.value, self._engine.step_time_limit)
        if ended.exit_code in accepted:
            return
        if ended.interrupted:
            raise TerraformInterruptedError(kind.value, self._engine.step_time_limit)
        if ended.exit_code < 0:
            raise DeploymentUnknownError(
                f"terraform {kind.value} was killed by signal {-ended.exit_code}, not by Creator;"
                " the next pass plans again"
            )
        raise TerraformRefusedError(kind.value, ended.exit_code, error_in(output) or output.strip())

    def _answer(self, attempt: Attempt, arguments: Sequence[str]) -> bytes:
        """What a command that changes nothing prints on stdout; it may hold secrets and goes nowhere else."""
        path = attempt.workspace.answer
        path.unlink(missing_ok=True)
        begin = attempt.log.add(f"$ {' '.join(arguments)}")
        command = Command(arguments, attempt.workspace.recipe, attempt.log.path, answer=path)
        try:
            process = TerraformProcess(command, self._engine.environment)
            ended = process.wait(
                self._engine.step_time_limit, stop=self._stop, meanwhile=lambda: None
            )
            if ended.exit_code != 0:
                output = attempt.log.text_from(begin)
                raise TerraformRefusedError(arguments[1], ended.exit_code, error_in(output))
            return path.read_bytes()
        finally:
            path.unlink(missing_ok=True)

    def _live_log(self, attempt: Attempt) -> Callable[[], None]:
        """Stores the log now and then while a command runs; a database that is away is no reason to stop."""
        next_time = time.monotonic() + _SECONDS_BETWEEN_LIVE_LOGS
        stored = -1

        def store_now_and_then() -> None:
            nonlocal next_time, stored
            if time.monotonic() < next_time:
                return
            next_time = time.monotonic() + _SECONDS_BETWEEN_LIVE_LOGS
            size = attempt.log.size()
            if size != stored:
                try:
                    self._records.store_log(attempt.id, attempt.log.text())
                    stored = size
                except OperationalError as error:
                    log.warning("cannot store a log deployment=%s: %s", attempt.id, error)

        return store_now_and_then


def _approval(attempt: Attempt, summary: PlanSummary) -> Ruling | None:
    """Who approved this very plan."""
    attempts = attempt.description.cluster.situation.attempts
    newest = attempts[0] if attempts else None
    if newest and may_apply_as_approved(newest, attempt.description.fingerprint, summary):
        return newest.ruling
    return None


def _says_nothing_new(attempt: Attempt, summary: PlanSummary, state: DeploymentState) -> bool:
    """Whether a check found the very difference that the newest deployment shows already."""
    attempts = attempt.description.cluster.situation.attempts
    newest = attempts[0] if attempts else None
    return (
        attempt.decision.action is Action.CHECK
        and newest is not None
        and (newest.state is state or newest.is_rejected)
        and newest.fingerprint == attempt.description.fingerprint
        and newest.summary == summary
    )

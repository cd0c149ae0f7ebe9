"""Act: what to do about deployments that another Creator left behind: wait for its terraform, then say that nobody saw the end."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from common.contracts.clusters import DeploymentState
from creator.deployment.logs import DeploymentLog
from creator.deployment.records import Records, UnfinishedDeployment, UnfinishedStep
from creator.deployment.workspaces import Workspace, Workspaces
from creator.process_table import RunningProcess, find, is_running
from creator.terraform_process import GRACE, interrupt, kill_group, sweep_session

log = logging.getLogger(__name__)


class Recovery:
    """Settles unfinished deployments, one look at a time; for one thread."""

    def __init__(
        self,
        records: Records,
        workspaces: Workspaces,
        clock: Callable[[], datetime],
        *,
        step_time_limit: timedelta,
    ) -> None:
        self._records = records
        self._workspaces = workspaces
        self._clock = clock
        self._step_time_limit = step_time_limit
        self._interrupted_at: dict[UUID, datetime] = {}

    def settle(self, deployment: UnfinishedDeployment, secrets: Sequence[str]) -> bool:
        """Whether it is settled; as long as its terraform runs it is not, and nothing else may touch the cluster."""
        workspace = self._workspaces.of(deployment.cluster_id)
        shown = DeploymentLog(workspace.deployment_log(deployment.id), secrets)
        step = deployment.step
        if step is not None:
            process = self._process(step, workspace)
            if process is not None and is_running(process):
                self._look_after(step, process)
                self._records.store_log(deployment.id, shown.text())
                return False
            if process is not None:
                sweep_session(process.pid)
            self._records.step_ended(step.id, None)
            self._interrupted_at.pop(step.id, None)
        workspace.saved_plan.unlink(missing_ok=True)
        workspace.answer.unlink(missing_ok=True)
        error = _explanation(step)
        self._records.close(deployment.id, DeploymentState.UNKNOWN, error=error, log=shown.text())
        log.warning(
            "deployment unknown cluster=%s deployment=%s: %s",
            deployment.cluster,
            deployment.id,
            error,
        )
        return True

    def _process(self, step: UnfinishedStep, workspace: Workspace) -> RunningProcess | None:
        if step.process is not None:
            return step.process
        # Creator died between start and record: the process is known by its folder and its words.
        found = find(workspace.recipe, step.arguments[1:])
        if found is not None:
            self._records.step_started(step.id, found)
        return found

    def _look_after(self, step: UnfinishedStep, process: RunningProcess) -> None:
        """The time limit holds for a terraform without its Creator, too: one SIGINT, then the kill."""
        now = self._clock()
        if now < step.started_at + self._step_time_limit:
            return
        if step.id not in self._interrupted_at:
            self._interrupted_at[step.id] = now
            interrupt(process.pid)
        elif now >= self._interrupted_at[step.id] + GRACE:
            kill_group(process.pid)


def _explanation(step: UnfinishedStep | None) -> str:
    if step is None:
        return "Creator ended in the middle of this deployment, between two steps; the next pass plans again"
    return (
        f"Creator ended during terraform {step.kind}, which was left to finish: nobody saw how it ended;"
        " the next pass plans again"
    )

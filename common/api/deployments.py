"""Calls of the API about deployments, which Creator makes and people judge."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from common.api.calls import Calls, path_of
from common.contracts.clusters import (
    Deployment,
    DeploymentState,
    PlannedChanges,
    Rejection,
)

_UNDER_WAY = (DeploymentState.PLANNING, DeploymentState.APPLYING)
_BETWEEN_LOOKS = timedelta(seconds=1)


class DeploymentCalls(Calls):
    """Deployments of a cluster."""

    def deployments(self, cluster: str, *, sort: str = "") -> list[Deployment]:
        """All deployments of a cluster, newest first."""
        return self.listed(path_of("clusters", cluster, "deployments"), Deployment, {"sort": sort})

    def deployment(self, cluster: str, deployment_id: UUID) -> Deployment:
        """One deployment."""
        return self.got(path_of("clusters", cluster, "deployments", deployment_id), Deployment)

    def planned_changes(self, cluster: str, deployment_id: UUID) -> PlannedChanges:
        """What the plan of a deployment does, resource by resource."""
        path = path_of("clusters", cluster, "deployments", deployment_id, "changes")
        return self.got(path, PlannedChanges)

    def deployment_log(self, cluster: str, deployment_id: UUID) -> str:
        """What terraform printed in a deployment."""
        path = path_of("clusters", cluster, "deployments", deployment_id, "log")
        return self.answer(path).content.decode(errors="replace")

    def tail_deployment_log(
        self, cluster: str, deployment_id: UUID, *, every: timedelta = _BETWEEN_LOOKS
    ) -> Iterator[str]:
        """Parts of the log as they come, until the deployment is over or waits for a person.

        A log that is not a longer one of what was shown (a flood is cut in its middle) comes as a whole.
        """
        shown = ""
        is_over = False
        while not is_over:
            # Asked before the log is read: what is written last is in it.
            is_over = self.deployment(cluster, deployment_id).state not in _UNDER_WAY
            log = self.deployment_log(cluster, deployment_id)
            if log != shown:
                yield log.removeprefix(shown)
                shown = log
            if not is_over:
                self._sleep(every.total_seconds())

    def approve_deployment(self, cluster: str, deployment_id: UUID) -> Deployment:
        """Let Creator apply this plan."""
        path = path_of("clusters", cluster, "deployments", deployment_id, "approve")
        return self.switched("POST", path, None, Deployment)

    def reject_deployment(self, cluster: str, deployment_id: UUID, body: Rejection) -> Deployment:
        """Refuse this plan."""
        path = path_of("clusters", cluster, "deployments", deployment_id, "reject")
        return self.sent("POST", path, body, Deployment)

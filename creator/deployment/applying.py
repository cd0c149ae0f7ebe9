"""Act: what surrounds an apply: the snapshot before it, hosts and fingerprint after it, what is left when it failed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.contracts.clusters import DeploymentState, HostDescription
from common.contracts.deployments import DESTROYING, ChangeAction
from creator.deployment.attempts import NOTHING_TO_SAY, Attempt, Outcome, outcome
from creator.deployment.deployment_records import Applied, DeploymentRecords, Ending
from creator.deployment.records import ClusterRecord
from creator.deployment.running import Runner, lock_in, shown_changes
from creator.deployment.snapshots import Snapshots
from creator.deployment.terraform import HOSTS_OUTPUT, Kind, hosts_in, outputs_in
from creator.deployment.workspaces import keep_secrets
from creator.errors import DeploymentError, TerraformNotStartedError, TerraformRefusedError

_ADDRESSES_SHOWN = 50


@dataclass(frozen=True)
class Applying:
    """Looks after applies; may be used by several threads."""

    records: DeploymentRecords
    snapshots: Snapshots
    runner: Runner
    step_time_limit: timedelta
    clock: Callable[[], datetime]

    def begin(self, attempt: Attempt) -> Outcome | None:
        """Keep what a destroy will need, and ask once more whether the plan may be applied; None: it may."""
        cluster = attempt.cluster
        snapshot = ""
        if not attempt.is_destroy:
            snapshot = self.snapshots.write(cluster.id, attempt.id, attempt.material)
        until = self.clock() + self.step_time_limit
        reason = self.records.begin_apply(
            attempt.id, attempt.lease, cluster, until=until, snapshot=snapshot
        )
        if reason:
            self._forget_refused(attempt, snapshot)
            return outcome(DeploymentState.SUPERSEDED, f"the plan was not applied: {reason}")
        if snapshot and cluster.applied_snapshot not in {"", snapshot}:
            self.snapshots.remove(cluster.applied_snapshot)
        return None

    def _forget_refused(self, attempt: Attempt, snapshot: str) -> None:
        """Of a deployment that has begun to apply before, the cluster may hold the snapshot."""
        has_begun = any(step.kind is Kind.APPLY for step in attempt.steps)
        if snapshot and not has_begun and snapshot != attempt.cluster.applied_snapshot:
            self.snapshots.remove(snapshot)

    def applied(self, attempt: Attempt) -> Outcome:
        """The cluster is what the plan says, or nothing of it is left."""
        attempt.events.finished()
        if attempt.is_destroy:
            self.records.changes_went_on(attempt.id, attempt.lease, shown_changes(attempt))
            return outcome(DeploymentState.SUCCEEDED)
        try:
            hosts = self._hosts(attempt)
        except (DeploymentError, OSError):
            # The deployment fails, and tells what was changed nevertheless.
            self.records.changes_went_on(attempt.id, attempt.lease, shown_changes(attempt))
            raise
        self._record_deployed(attempt, hosts, replaced=_made_anew(attempt))
        return outcome(DeploymentState.SUCCEEDED)

    def unchanged(self, attempt: Attempt) -> Outcome:
        """There was nothing to do."""
        if attempt.is_destroy:
            return outcome(DeploymentState.SUCCEEDED)
        situation = attempt.cluster.situation
        is_known = situation.deployed_fingerprint == attempt.fingerprint
        hosts = None if is_known else self._hosts(attempt)
        # What is not in the state cannot be made anew.
        self._record_deployed(attempt, hosts, replaced=attempt.cluster.replace_addresses)
        if attempt.is_check:
            self.records.nothing_differs(attempt.cluster.id, attempt.lease)
            return NOTHING_TO_SAY
        return outcome(DeploymentState.SUCCEEDED)

    def failed(self, attempt: Attempt, complaint: str) -> Outcome:
        """terraform refused; of a destroy, with what is left."""
        is_begun = any(step.kind is Kind.DESTROY for step in attempt.steps)
        error = f"{complaint}\n\n{self._left(attempt)}" if is_begun else complaint
        return Outcome(Ending(DeploymentState.FAILED, error, lock=lock_in(attempt)))

    def forget(self, cluster: ClusterRecord) -> None:
        """Nothing of the cluster is left to destroy."""
        if cluster.applied_snapshot:
            self.snapshots.remove(cluster.applied_snapshot)

    def _record_deployed(
        self,
        attempt: Attempt,
        hosts: dict[str, HostDescription] | None,
        *,
        replaced: Sequence[str],
    ) -> None:
        cluster, lease = attempt.cluster, attempt.lease
        was_applied = any(step.kind is Kind.APPLY for step in attempt.steps)
        applied = Applied(attempt.id, shown_changes(attempt)) if was_applied else None
        self.records.cluster_deployed(
            cluster.id, lease, attempt.fingerprint, hosts, applied=applied
        )
        if replaced:
            self.records.replaced(cluster.id, lease, replaced)
        keep_secrets(attempt.workspace, attempt.description.secrets)

    def _hosts(self, attempt: Attempt) -> dict[str, HostDescription]:
        """From the apply's own stream; asked of terraform only if they are not in it."""
        events = attempt.events
        outputs = events.outputs
        if outputs is None or HOSTS_OUTPUT in events.sensitive_outputs:
            arguments = self.runner.arguments.output()
            outputs = outputs_in(self.runner.answer(attempt, Kind.OUTPUT, arguments))
        hide = attempt.log.without_secrets
        return {
            name: HostDescription(
                address=hide(host.address),
                labels={label: hide(value) for label, value in host.labels.items()},
            )
            for name, host in hosts_in(outputs).items()
        }

    def _left(self, attempt: Attempt) -> str:
        try:
            answer = self.runner.answer(attempt, Kind.LIST, self.runner.arguments.state_list())
        except (TerraformRefusedError, TerraformNotStartedError) as error:
            return f"What is left is not known: {error}"
        addresses = answer.decode(errors="replace").split("\n")[:-1]
        shown = ", ".join(addresses[:_ADDRESSES_SHOWN])
        more = len(addresses) - _ADDRESSES_SHOWN
        return f"Left: {shown}{f' and {more} more' if more > 0 else ''}"


def _made_anew(attempt: Attempt) -> list[str]:
    """What was to be made anew and was: a plan that waited for a person may be older than the wish."""
    made = {*DESTROYING, ChangeAction.CREATE}
    changes = attempt.events.changes.values()
    done = {change.address for change in changes if change.action in made}
    return [one for one in attempt.cluster.replace_addresses if one in done]

"""Act: begin a deployment, take up one that waited for a person, or one that another Creator left behind."""

from dataclasses import dataclass, replace
from uuid import UUID

from common.masking import Mask
from creator.deployment.attempts import Attempt
from creator.deployment.backends import States
from creator.deployment.deployment_records import Beginning, DeploymentRecords
from creator.deployment.descriptions import Description, Descriptions
from creator.deployment.differences import cause, changed_at, differences_between
from creator.deployment.events import Events
from creator.deployment.evidence_records import EvidenceRecords, LeftDeployment, LeftStep
from creator.deployment.leased import Lease
from creator.deployment.log_records import LogRecords
from creator.deployment.logs import DeploymentLog, begins_anew
from creator.deployment.plans import kept_plan
from creator.deployment.preparation import Preparation, secrets_of
from creator.deployment.procedure import StepResult, step_result, with_result
from creator.deployment.records import ClusterRecord, Records
from creator.deployment.running import header
from creator.deployment.step_output import StepOutput
from creator.deployment.terraform import Kind
from creator.deployment.workspaces import (
    Workspaces,
    is_prepared_for,
    known_secrets,
)
from creator.errors import DeploymentUnknownError, StateMissingError
from creator.planner import Action, Decision
from creator.situations import Purpose

_APPLYING = (Kind.APPLY, Kind.DESTROY)
_PURPOSES = {Action.DESTROY: Purpose.DESTROY, Action.CHECK: Purpose.CHECK}


@dataclass(frozen=True)
class Beginnings:
    """Makes attempts; may be used by several threads."""

    clusters: Records
    records: DeploymentRecords
    logs: LogRecords
    evidence: EvidenceRecords
    descriptions: Descriptions
    workspaces: Workspaces
    states: States
    preparation: Preparation
    mask: Mask

    def begin(self, description: Description, decision: Decision, lease: Lease) -> Attempt | None:
        """The row of a deployment is there, nothing else has happened yet; None if a person has decided otherwise meanwhile."""
        cluster = description.cluster
        if decision.action is Action.APPLY:
            return self._approved(description, lease)
        last = self.evidence.last_apply(cluster.id)
        inputs = self.descriptions.inputs(description)
        writes = self.evidence.writes(cluster, last.planned_at if last else None)
        differences = differences_between(last.inputs if last else None, inputs, writes)
        is_destroy = decision.action is Action.DESTROY
        purpose = _PURPOSES.get(decision.action, Purpose.DEPLOY)
        told = differences if last and not is_destroy else []
        beginning = Beginning(
            cause=cause(decision.reason, told),
            fingerprint=description.fingerprint,
            recipe_revision_id=description.revision.id,
            inputs=inputs | {"purpose": purpose.value},
            differences=differences,
            changed_at=changed_at(differences),
            state_key=self.descriptions.state_key(cluster),
        )
        deployment_id = self.records.begin(cluster, lease, beginning)
        attempt = self._attempt(deployment_id, description, lease)
        attempt.cause = beginning.cause
        attempt.is_destroy = is_destroy
        attempt.is_check = purpose is Purpose.CHECK
        return attempt

    def prepare(self, attempt: Attempt) -> None:
        """Load what the workspace is made of, and make it; DeploymentError, OSError, ObjectStorageError, EncryptionError."""
        cluster_id, state_key = attempt.cluster.id, self.descriptions.state_key(attempt.cluster)
        attempt.backend = self.states.backend(cluster_id, state_key)
        self._look_for_state(attempt, state_key)
        material = self.descriptions.material(attempt.description)
        attempt.material = material
        attempt.log.hide(secrets_of(material))
        if attempt.description.values.undeclared and not attempt.is_destroy:
            names = ", ".join(attempt.description.values.undeclared)
            attempt.log.add(
                f"The recipe does not declare these variables, they are for probers: {names}"
            )
        self.preparation.prepare(attempt)

    def _look_for_state(self, attempt: Attempt, state_key: str) -> None:
        """Take note of a state that is there; StateMissingError if one was there, and is no more."""
        cluster = attempt.cluster
        if not self.states.is_missing(cluster.id, state_key):
            if not cluster.has_state:
                self.records.state_seen(cluster.id, attempt.lease)
        elif cluster.has_state:
            raise StateMissingError(cluster.slug, state_key)

    def resumed(self, deployment_id: UUID, lease: Lease) -> tuple[Attempt, LeftStep | None]:
        """The attempt as it was left, and its step whose end nobody has recorded, if there is one."""
        left = self.evidence.left(deployment_id)
        (cluster,) = self.clusters.clusters(only=[left.cluster_id])
        description = self.descriptions.of(cluster) or self._description_left(cluster, left)
        self.records.go_on(deployment_id, lease)
        unended = next((step for step in left.steps if not step.has_ended), None)
        # Told anew from the steps' own output: the Creator that died may have had lines in its hands.
        is_here = all(step.record.folder.is_dir() for step in left.steps)
        log = "" if is_here else self.logs.until_now(deployment_id)
        # What a step on another machine has said cannot be told again from here.
        if unended is not None and unended.record.folder.is_dir():
            log = begins_anew(log, header(unended.record.arguments))
        self.logs.begin_anew(deployment_id, lease, log)
        attempt = self._attempt(deployment_id, description, lease, until_now=log)
        attempt.cause, attempt.fingerprint = left.cause, left.fingerprint
        attempt.is_destroy = left.purpose is Purpose.DESTROY
        attempt.is_check = left.purpose is Purpose.CHECK
        attempt.approved_plan = kept_plan(left.plan) if left.approved else None
        replayed = attempt.log if is_here else DeploymentLog(())
        attempt.events, attempt.steps = _replayed(left, replayed)
        return attempt, unended

    def prepare_again(self, attempt: Attempt) -> None:
        """What another Creator prepared on this machine is as good as our own; elsewhere all begins anew.

        DeploymentUnknownError if nobody can go on; and as `prepare`.
        """
        kinds = [step.kind for step in attempt.steps]
        is_applied = bool(kinds) and kinds[-1] in _APPLYING
        if not is_applied and attempt.fingerprint != attempt.description.fingerprint:
            raise DeploymentUnknownError(
                "Creator ended in the middle of this deployment, and the description has changed since"
            )
        if attempt.approved_plan is not None and not is_applied:
            attempt.steps.clear()  # what was approved is looked at once more before it is applied
            self.prepare(attempt)
            return
        if is_prepared_for(attempt.workspace, attempt.id):
            state_key = self.descriptions.state_key(attempt.cluster)
            attempt.backend = self.states.backend(attempt.cluster.id, state_key)
            attempt.material = self.descriptions.material(attempt.description)
            return
        if is_applied:
            raise DeploymentUnknownError(
                "Creator ended after the apply, on another machine or before the last boot"
            )
        attempt.steps.clear()
        self.prepare(attempt)

    def _description_left(self, cluster: ClusterRecord, left: LeftDeployment) -> Description:
        """Of the revision that is being deployed, though the cluster wants one that does not exist: good for its end only."""
        description = self.descriptions.of(replace(cluster, revision=left.revision))
        if description is None:
            raise AssertionError("a deployment has a revision")
        return replace(description, fingerprint="")

    def _approved(self, description: Description, lease: Lease) -> Attempt | None:
        """The deployment whose plan a person approved, to be gone on with; None if it was rejected after all."""
        shown = self.evidence.shown(description.cluster.id)
        plan = kept_plan(shown.plan) if shown and shown.approved else None
        if shown is None or plan is None or not self.records.take_up(shown.id, lease):
            return None
        log = self.logs.until_now(shown.id)
        attempt = self._attempt(shown.id, description, lease, until_now=log)
        attempt.cause = shown.cause
        attempt.approved_plan = plan
        attempt.events.changes = {change.address: change for change in shown.changes}
        return attempt

    def _attempt(
        self, deployment_id: UUID, description: Description, lease: Lease, *, until_now: str = ""
    ) -> Attempt:
        cluster = description.cluster
        workspace = self.workspaces.of(cluster.id)
        # A plan shows values as they were, too.
        secrets = (*description.secrets, *known_secrets(workspace))
        return Attempt(
            id=deployment_id,
            description=description,
            lease=lease,
            fingerprint=description.fingerprint,
            workspace=workspace,
            log=DeploymentLog(
                secrets,
                store=lambda text: self.logs.add(deployment_id, lease, text),
                until_now=until_now,
                mask=self.mask,
            ),
        )


def _replayed(left: LeftDeployment, log: DeploymentLog) -> tuple[Events, list[StepResult]]:
    """What the steps that have ended said; of those on another machine only what the row shows is known."""
    events = Events()
    results: list[StepResult] = []
    for step in left.steps:
        kind = Kind(step.record.kind)
        if kind is Kind.PLAN:
            events.begin_plan()
        if not step.has_ended:
            continue
        events.begin_step()
        log.add(header(step.record.arguments))
        StepOutput(step.record.folder, events, log).read_to_end()
        results = with_result(results, step_result(kind, step.exit_code, events))
    if not events.changes:
        events.changes = {change.address: change for change in left.changes}
    return events, results

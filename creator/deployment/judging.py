"""Act: what becomes of a plan: `gates.py` judges, here it is shown, kept for a person, or let through."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.contracts.clusters import DeploymentState
from common.contracts.deployments import (
    MAX_CHANGES_SHOWN,
    ChangeAction,
    ChangeState,
    Quarantine,
    ResourceChange,
)
from creator.deployment.attempts import NOTHING_TO_SAY, Attempt, Outcome, outcome
from creator.deployment.deployment_records import DeploymentRecords, Ending
from creator.deployment.evidence_records import EvidenceRecords
from creator.deployment.gates import Judgement, Plan, Rules, Verdict, judge
from creator.deployment.leased import Lease
from creator.deployment.perpetual import APPLIES_IN_VAIN, perpetual_addresses
from creator.deployment.plans import Plans, kept_plan
from creator.deployment.preparation import Preparation
from creator.deployment.running import Runner, shown_changes
from creator.deployment.terraform import MAX_LOG_LENGTH, Kind, shortened

_STATES = {
    Verdict.WAIT: DeploymentState.WAITING_FOR_APPROVAL,
    Verdict.SHOW: DeploymentState.SUCCEEDED,
    Verdict.REFUSE: DeploymentState.FAILED,
}


@dataclass(frozen=True)
class Judging:
    """Judges plans; may be used by several threads."""

    records: DeploymentRecords
    evidence: EvidenceRecords
    preparation: Preparation
    plans: Plans
    runner: Runner
    clock: Callable[[], datetime]

    def record_changes(self, attempt: Attempt) -> None:
        """Show what the plan changes, and how far that has come."""
        changes = shown_changes(attempt)
        self.records.planned(attempt.id, attempt.lease, changes, attempt.events.summary)

    def judged(self, attempt: Attempt) -> Outcome | None:
        """How the deployment ends with its plan; None: it goes on to apply it. OSError, ObjectStorageError, EncryptionError."""
        perpetual = self._perpetual(attempt)
        judgement = _judgement(attempt, perpetual)
        if judgement.verdict is Verdict.APPLY:
            return None
        if judgement.verdict is Verdict.REFUSE:
            ending = Ending(DeploymentState.FAILED, judgement.gate, gate=judgement.gate)
            return Outcome(ending)
        if attempt.approved_plan is not None:  # it waited with another gate, and waits no more
            return outcome(DeploymentState.SUPERSEDED, judgement.gate)
        self.records.cluster_planned(attempt.cluster.id, attempt.lease)
        if self._says_nothing_new(attempt, judgement):
            return NOTHING_TO_SAY
        if judgement.verdict is Verdict.SHOW and judgement.gate:
            self._quarantine(attempt, perpetual)
        return Outcome(self._ending(attempt, judgement))

    def remove_obsolete_plans(self, cluster_id: UUID, lease: Lease) -> None:
        """Kept plans that nobody will apply any more."""
        for deployment_id, key in self.records.obsolete_plans(cluster_id).items():
            if self.plans.remove(key):
                self.records.plan_removed(deployment_id, lease)

    def _perpetual(self, attempt: Attempt) -> Collection[str]:
        """Only a check asks: who changes the description, or asks for a deployment, wants an apply."""
        if not attempt.is_check:
            return ()
        applies = self.evidence.applies(attempt.cluster.id)
        planned = [change.address for change in shown_changes(attempt)]
        return perpetual_addresses(applies, attempt.fingerprint, planned)

    def _quarantine(self, attempt: Attempt, addresses: Collection[str]) -> None:
        known = attempt.cluster.situation.quarantine
        is_known = known is not None and known.fingerprint == attempt.fingerprint
        quarantine = Quarantine(
            addresses=sorted(addresses),
            since=known.since if known and is_known else self.clock(),
            applies=APPLIES_IN_VAIN,
            fingerprint=attempt.fingerprint,
        )
        self.records.quarantine(attempt.cluster.id, attempt.lease, quarantine)

    def _ending(self, attempt: Attempt, judgement: Judgement) -> Ending:
        arguments = self.runner.arguments.show(attempt.workspace.saved_plan)
        shown = self.runner.answer(attempt, Kind.SHOW, arguments).decode(errors="replace")
        waits = judgement.verdict is Verdict.WAIT
        plan = self.preparation.keep_plan(attempt).model_dump(mode="json") if waits else None
        return Ending(
            _STATES[judgement.verdict],
            gate=attempt.log.without_secrets(judgement.gate),
            plan=plan,
            plan_text=shortened(
                attempt.log.without_secrets(shown.replace("\0", "")), MAX_LOG_LENGTH
            ),
        )

    def _says_nothing_new(self, attempt: Attempt, judgement: Judgement) -> bool:
        """Whether a check found the very difference that the newest deployment shows already, with a plan that is good."""
        newest = self.evidence.shown(attempt.cluster.id, but=attempt.id)
        if not attempt.is_check or newest is None or newest.fingerprint != attempt.fingerprint:
            return False
        if not _are_same(newest.changes, shown_changes(attempt)[:MAX_CHANGES_SHOWN]):
            return False
        if any(change.state is not ChangeState.PLANNED for change in newest.changes):
            return False  # that one was applied, and now the same differs again
        if newest.approved is False:
            return True
        plan = kept_plan(newest.plan)
        is_good = judgement.verdict is not Verdict.WAIT or (
            plan is not None and plan.expires_at > self.clock()
        )
        gate = attempt.log.without_secrets(judgement.gate)
        return newest.state is _STATES[judgement.verdict] and newest.gate == gate and is_good


def _judgement(attempt: Attempt, perpetual: Collection[str]) -> Judgement:
    cluster, events = attempt.cluster, attempt.events
    changes, miscount = list(events.changes.values()), events.miscount
    if attempt.approved_plan is not None:
        miscount = attempt.approved_miscount
        changes = [
            ResourceChange(address=address, action=ChangeAction.DELETE)
            for address in attempt.approved_destroys
        ]
    plan = Plan(changes=changes, existing_count=len(events.existing), miscount=miscount)
    rules = Rules(
        policy=cluster.deploy_policy,
        gates=cluster.gates,
        is_destroy=attempt.is_destroy,
        is_approved=attempt.approved_plan is not None,
        perpetual=perpetual,
    )
    return judge(plan, rules)


def _are_same(one: Collection[ResourceChange], other: Collection[ResourceChange]) -> bool:
    return {(c.address, c.action) for c in one} == {(c.address, c.action) for c in other}

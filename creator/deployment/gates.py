"""Decide: may a plan be applied without a person, may it be applied at all? Pure; counts and globs, no policy language."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from common.contracts.clusters import DeployPolicy
from common.contracts.deployments import DESTROYING, Gates, ResourceChange
from common.contracts.protection import listed, protection


class Verdict(StrEnum):
    """What becomes of a plan."""

    APPLY = "apply"
    WAIT = "wait"  # a person has to approve it
    SHOW = "show"  # it is only made to be seen
    REFUSE = "refuse"  # it must not be applied, whoever approves it


@dataclass(frozen=True)
class Judgement:
    """A verdict; `gate` says which rule stopped the plan, if one did, with figures and addresses."""

    verdict: Verdict
    gate: str = ""


@dataclass(frozen=True)
class Plan:
    """What a judge must know of a plan: its changes, and how many resources there were before."""

    changes: Sequence[ResourceChange]
    existing_count: int
    # Why it is not certain that these are all changes; empty if it is.
    miscount: str = ""

    @property
    def destroyed(self) -> list[str]:
        """Addresses of what goes, also if it comes again; sorted, since terraform tells them in any order."""
        return sorted(change.address for change in self.changes if change.action in DESTROYING)


@dataclass(frozen=True)
class Rules:
    """Who decides about this deployment."""

    policy: DeployPolicy
    gates: Gates
    is_destroy: bool = False  # somebody deleted the cluster
    is_approved: bool = False  # somebody approved this very plan
    # Addresses that differ again after each apply, so that applying them once more is pointless.
    perpetual: Collection[str] = ()


def judge(plan: Plan, rules: Rules) -> Judgement:
    """What becomes of the plan. Protected addresses come first: neither policy nor approval passes them."""
    if stopped := protection(plan.destroyed, rules.gates):
        return Judgement(Verdict.REFUSE if rules.is_destroy else Verdict.WAIT, stopped)
    if plan.miscount and rules.gates.protected:
        text = f"{plan.miscount}: whether protected resources would be destroyed cannot be told, and nobody can approve that"
        return Judgement(Verdict.REFUSE if rules.is_destroy else Verdict.WAIT, text)
    # Who deletes a cluster has decided that it goes, who approves a plan that it is done.
    if rules.is_destroy or rules.is_approved:
        return Judgement(Verdict.APPLY)
    return _without_person(plan, rules)


def limit_passed(plan: Plan, gates: Gates) -> str:
    """Which limit of an apply without a person the plan passes; empty if none."""
    count = len(plan.destroyed)
    if plan.miscount and (gates.destroyed_count, gates.destroyed_percent) != (None, None):
        return f"{plan.miscount}: whether that passes a limit cannot be told"
    if gates.destroyed_count is not None and count > gates.destroyed_count:
        rule = f"{count} resources would be destroyed or replaced, more than {gates.destroyed_count} (destroyed_count)"
        return f"{rule}: {listed(plan.destroyed)}"
    # In whole numbers: 1 of 3 is more than 33 %.
    limit = gates.destroyed_percent
    if limit is not None and count * 100 > limit * plan.existing_count:
        rule = (
            f"{count} of {plan.existing_count} resources would be destroyed or replaced,"
            f" more than {limit} % (destroyed_percent)"
        )
        return f"{rule}: {listed(plan.destroyed)}"
    return ""


def _without_person(plan: Plan, rules: Rules) -> Judgement:
    if rules.policy is DeployPolicy.PLAN_ONLY:
        return Judgement(Verdict.SHOW)
    if pointless := _pointless(plan, rules.perpetual):
        return Judgement(Verdict.SHOW, pointless)
    stopped = limit_passed(plan, rules.gates)
    waits = stopped or rules.policy is DeployPolicy.APPROVE
    return Judgement(Verdict.WAIT if waits else Verdict.APPLY, stopped)


def _pointless(plan: Plan, perpetual: Collection[str]) -> str:
    addresses = sorted(change.address for change in plan.changes)
    if not addresses or not set(addresses) <= set(perpetual):
        return ""
    return f"these resources differ again after each apply, so they are left alone: {listed(addresses)}"

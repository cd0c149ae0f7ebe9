"""What becomes of a plan: the whole table."""

from dataclasses import replace

import pytest

from common.contracts.clusters import DeployPolicy
from common.contracts.deployments import ChangeAction, Gates, ResourceChange
from creator.deployment.gates import Plan, Rules, Verdict, judge

AUTOMATIC, APPROVE, PLAN_ONLY = DeployPolicy


def _plan(*destroyed: str, created: int = 1, existing: int = 10) -> Plan:
    changes = [ResourceChange(address=name, action=ChangeAction.DELETE) for name in destroyed]
    changes += [
        ResourceChange(address=f"new[{n}]", action=ChangeAction.CREATE) for n in range(created)
    ]
    return Plan(changes=changes, existing_count=existing)


@pytest.mark.parametrize(
    ("policy", "approved", "verdict"),
    [
        (AUTOMATIC, False, Verdict.APPLY),
        (APPROVE, False, Verdict.WAIT),
        (APPROVE, True, Verdict.APPLY),
        (PLAN_ONLY, False, Verdict.SHOW),
    ],
)
def test_the_policy_decides_when_no_gate_does(
    policy: DeployPolicy,
    approved: bool,
    verdict: Verdict,
) -> None:
    assert judge(_plan(), Rules(policy, Gates(), is_approved=approved)).verdict is verdict


@pytest.mark.parametrize(
    ("gates", "plan", "gate"),
    [
        (Gates(destroyed_count=1), _plan("a"), ""),
        (Gates(destroyed_count=1), _plan("a", "b"), "2 resources would be destroyed"),
        (Gates(destroyed_count=0), _plan("a"), "more than 0 (destroyed_count): a"),
        (Gates(destroyed_percent=20), _plan("a", "b"), ""),
        (Gates(destroyed_percent=19), _plan("a", "b"), "2 of 10 resources"),
        (Gates(destroyed_percent=33), _plan("a", existing=3), "more than 33 %"),
        (Gates(destroyed_percent=100), _plan("a", existing=1), ""),
        (Gates(destroyed_percent=0), _plan(existing=0), ""),
    ],
)
def test_a_plan_that_passes_a_limit_waits_and_says_why(gates: Gates, plan: Plan, gate: str) -> None:
    judgement = judge(plan, Rules(AUTOMATIC, gates))
    assert judgement.verdict is (Verdict.WAIT if gate else Verdict.APPLY)
    assert gate in judgement.gate
    assert judge(plan, Rules(AUTOMATIC, gates, is_approved=True)).verdict is Verdict.APPLY
    assert judge(plan, Rules(AUTOMATIC, gates, is_destroy=True)).verdict is Verdict.APPLY


def test_a_replacement_counts_as_destroyed() -> None:
    plan = Plan([ResourceChange(address="a", action=ChangeAction.REPLACE)], existing_count=1)
    assert judge(plan, Rules(AUTOMATIC, Gates(destroyed_count=0))).verdict is Verdict.WAIT


@pytest.mark.parametrize(
    ("pattern", "address", "stopped"),
    [
        ("vm.disk", "vm.disk", True),
        ("vm.disk", "vm.disk2", False),
        ("*.disk*", "module.a.vm.disk[0]", True),
        ("vm.disk[0]", "vm.disk[0]", True),
        ("vm.disk[0]", "vm.disk0", False),
        ('vm.disk["*"]', 'vm.disk["a.b"]', True),
        ("vm.dis?", "vm.disk", True),
    ],
)
def test_protected_addresses_are_globs(pattern: str, address: str, stopped: bool) -> None:
    judgement = judge(_plan(address), Rules(AUTOMATIC, Gates(protected=[pattern])))
    assert bool(judgement.gate) is stopped


def test_nobody_can_approve_that_a_protected_resource_goes() -> None:
    gates = Gates(protected=["vm.*"])
    approved = judge(_plan("vm.a", "b"), Rules(APPROVE, gates, is_approved=True))
    assert approved.verdict is Verdict.WAIT
    assert "vm.a (vm.*)" in approved.gate
    assert "nobody can approve" in approved.gate
    assert judge(_plan("vm.a"), Rules(AUTOMATIC, gates, is_destroy=True)).verdict is Verdict.REFUSE


def test_where_terraform_counts_otherwise_what_gates_limit_waits() -> None:
    plan = replace(_plan(), miscount="terraform counts 3, its events name 0")
    for gates in (Gates(destroyed_count=5), Gates(destroyed_percent=100)):
        stopped = judge(plan, Rules(AUTOMATIC, gates))
        assert stopped.verdict is Verdict.WAIT
        assert stopped.gate == f"{plan.miscount}: whether that passes a limit cannot be told"
        assert judge(plan, Rules(AUTOMATIC, gates, is_approved=True)).verdict is Verdict.APPLY
        assert judge(plan, Rules(AUTOMATIC, gates, is_destroy=True)).verdict is Verdict.APPLY
    assert judge(plan, Rules(AUTOMATIC, Gates())).verdict is Verdict.APPLY


def test_where_terraform_counts_otherwise_nothing_protected_can_go() -> None:
    plan, gates = replace(_plan(), miscount="terraform counts 3"), Gates(protected=["vm.*"])
    for policy, approved in ((AUTOMATIC, False), (APPROVE, True)):
        stopped = judge(plan, Rules(policy, gates, is_approved=approved))
        assert stopped.verdict is Verdict.WAIT
        assert "nobody can approve" in stopped.gate
    assert judge(plan, Rules(AUTOMATIC, gates, is_destroy=True)).verdict is Verdict.REFUSE


def test_what_differs_after_each_apply_is_only_shown() -> None:
    plan = _plan("a", created=0)
    judgement = judge(plan, Rules(AUTOMATIC, Gates(), perpetual={"a", "b"}))
    assert judgement.verdict is Verdict.SHOW
    assert "differ again after each apply" in judgement.gate
    assert judge(_plan("a"), Rules(AUTOMATIC, Gates(), perpetual={"a"})).verdict is Verdict.APPLY


def test_a_long_list_of_addresses_is_cut() -> None:
    plan = _plan(*(f"a[{n:02}]" for n in reversed(range(30))), existing=30)
    gate = judge(plan, Rules(AUTOMATIC, Gates(destroyed_count=5))).gate
    assert gate.endswith(
        "a[00], a[01], a[02], a[03], a[04], a[05], a[06], a[07], a[08], a[09] and 20 more"
    )

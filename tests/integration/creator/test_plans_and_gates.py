"""What is approved is what is applied; what a gate stops waits; with the real terraform."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import JsonValue

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from creator.deployment.deployment_records import DeploymentRecords
from creator.deployment.leased import Lease
from tests.integration.creator.installation import Installation
from tests.integration.creator.recipes import NEVER_FRESH

THINGS = """
variable "word" {}
variable "count_of_things" { default = 4 }

resource "terraform_data" "thing" {
  count            = var.count_of_things
  triggers_replace = var.word
}

output "mr_prober_hosts" {
  value = { for number in range(var.count_of_things) : "demo-${number}" => { address = var.word } }
}
"""

RESTLESS = 'resource "terraform_data" "restless" { input = timestamp() }'


@pytest.fixture
def described(sqlite_installation: Installation) -> Installation:
    sqlite_installation.add_recipe("things", {"main.tf": THINGS})
    return sqlite_installation


def _states(installation: Installation) -> list[str]:
    return [row.state.value for row in installation.deployments("demo")]


def _instead_of_terraform(installation: Installation, folder: Path, words: str) -> str:
    """A program that does this before terraform's own work."""
    program, real = folder / "instead", installation.environment()["MR_PROBER_TERRAFORM"]
    program.write_text(f'#!/bin/sh\n{words.replace("REAL", real)}\nexec {real} "$@"\n')
    program.chmod(0o755)
    return str(program)


def _kept_plans(installation: Installation) -> list[str]:
    folder = installation.data_folder / "objects/plans"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def _waiting(installation: Installation) -> Installation:
    installation.add_cluster("demo", "things", {"word": "one"}, deploy_policy=DeployPolicy.APPROVE)
    assert installation.run_pass()
    assert _states(installation) == ["waiting_for_approval"]
    return installation


def test_an_approved_plan_is_applied_by_whichever_creator_and_planned_no_more(
    installation: Installation,
) -> None:
    installation.add_recipe("things", {"main.tf": THINGS})
    _waiting(installation)
    (waiting,) = installation.deployments("demo")
    assert waiting.plan is not None
    assert "terraform_data.thing[0] will be created" in waiting.plan_text
    stored = (installation.storage.read(waiting.plan["key"]) or b"").decode()
    assert stored.startswith("v1.")
    installation.rule("demo", approved=True)
    # Another machine has nothing but what is in database and storage.
    installation.forget_workspaces()

    assert installation.run_pass()

    (applied,) = installation.deployments("demo")
    assert applied.state is DeploymentState.SUCCEEDED
    assert [step.kind for step in applied.steps] == ["init", "plan", "init", "apply"]
    assert {one["state"] for one in applied.changes} == {"done"}
    assert len(installation.cluster("demo").hosts) == 4
    assert _kept_plans(installation) == []


def test_a_stale_plan_is_made_anew_and_waits_anew(described: Installation) -> None:
    described.add_cluster("demo", "things", {"word": "one"})
    described.run_pass()
    described.update_cluster("demo", deploy_policy=DeployPolicy.APPROVE)
    described.set_variable("demo", "word", "two")
    described.run_pass()
    described.rule("demo", approved=True)
    described.touch_state("demo")

    described.run_pass()
    assert _states(described)[0] == "superseded"
    assert "the approved plan is stale" in described.deployments("demo")[0].error
    described.run_pass()

    assert _states(described)[:2] == ["waiting_for_approval", "superseded"]
    newest = described.deployments("demo")[0]
    assert newest.approved is None
    assert _kept_plans(described) == [str(newest.id)]
    described.rule("demo", approved=True)
    described.run_pass()
    assert described.cluster("demo").hosts["demo-0"]["address"] == "two"


def test_an_expired_plan_is_made_anew_and_waits_anew(described: Installation) -> None:
    described.settings["creator_plan_life"] = timedelta(0)
    _waiting(described)
    described.rule("demo", approved=True)
    described.run_pass()
    assert _states(described) == ["waiting_for_approval", "superseded"]
    assert described.deployments("demo")[0].approved is None
    assert not described.state("demo").exists()


def test_a_plan_that_storage_has_lost_is_made_anew(described: Installation) -> None:
    _waiting(described)
    (waiting,) = described.deployments("demo")
    assert waiting.plan
    described.storage.delete(waiting.plan["key"])
    described.rule("demo", approved=True)
    described.run_pass()
    described.run_pass()
    assert _states(described) == ["waiting_for_approval", "superseded"]
    assert not described.state("demo").exists()


def test_what_destroys_too_much_waits_and_names_rule_figures_and_addresses(
    described: Installation,
) -> None:
    described.add_cluster("demo", "things", {"word": "one"})
    described.run_pass()
    described.update_cluster("demo", gates={"destroyed_percent": 50})
    described.set_variable("demo", "word", "two")

    described.run_pass()

    newest = described.deployments("demo")[0]
    assert newest.state is DeploymentState.WAITING_FOR_APPROVAL
    assert newest.gate.startswith(
        "4 of 4 resources would be destroyed or replaced, more than 50 % (destroyed_percent):"
    )
    assert "terraform_data.thing[3]" in newest.gate
    described.run_pass(creator_maximum_plan_age=NEVER_FRESH)
    assert len(_states(described)) == 2, "a check says the same only once"
    described.rule("demo", approved=True)
    described.run_pass()
    assert _states(described) == ["succeeded", "succeeded"]
    assert described.cluster("demo").hosts["demo-0"]["address"] == "two"


def test_a_protected_resource_stays_whoever_approves(described: Installation) -> None:
    described.add_cluster("demo", "things", {"word": "one"})
    described.run_pass()
    described.update_cluster("demo", gates={"protected": ["terraform_data.thing[1]"]})
    described.set_variable("demo", "word", "two")
    described.run_pass()
    assert "nobody can approve that" in described.deployments("demo")[0].gate
    for _ in range(2):
        described.rule("demo", approved=True)
        described.run_pass()
        described.run_pass()
        assert _states(described)[0] == "waiting_for_approval"
    assert described.cluster("demo").hosts["demo-0"]["address"] == "one"
    described.delete_cluster("demo")
    assert not described.run_pass()
    newest = described.deployments("demo")[0]
    assert "protected resources would be destroyed: terraform_data.thing[1]" in newest.error
    assert len(described.resources("demo")) == 1
    described.update_cluster("demo", gates={})
    assert described.run_pass()
    assert described.cluster("demo").state is ClusterState.DESTROYED


@pytest.mark.parametrize("policy", list(DeployPolicy))
def test_what_somebody_took_away_is_repaired_or_only_shown(
    described: Installation, policy: DeployPolicy
) -> None:
    described.add_cluster("demo", "things", {"word": "one"})
    described.run_pass()
    described.update_cluster("demo", deploy_policy=policy)
    described.lose_resources("demo")

    for _ in range(2):
        assert described.run_pass(creator_maximum_plan_age=NEVER_FRESH)

    ends = {
        DeployPolicy.AUTOMATIC: ("succeeded", ["plan", "apply"], 4),
        DeployPolicy.APPROVE: ("waiting_for_approval", ["plan"], 0),
        DeployPolicy.PLAN_ONLY: ("succeeded", ["plan"], 0),
    }
    assert len(_states(described)) == 2, "it is said once"
    newest = described.deployments("demo")[0]
    assert newest.cause == "the last plan is too old"
    assert [one["action"] for one in newest.changes] == ["create"] * 4
    state = json.loads(described.state("demo").read_bytes())
    standing = sum(len(one["instances"]) for one in state["resources"])
    assert (newest.state, [step.kind for step in newest.steps], standing) == ends[policy]


def test_what_differs_again_after_each_apply_is_quarantined(described: Installation) -> None:
    described.add_recipe("restless", {"main.tf": RESTLESS})
    described.add_cluster("demo", "restless")
    for _ in range(3):
        described.run_pass(creator_maximum_plan_age=NEVER_FRESH)
    assert _states(described) == ["succeeded"] * 3
    for _ in range(2):
        described.run_pass(creator_maximum_plan_age=NEVER_FRESH)

    newest = described.deployments("demo")[0]
    assert len(_states(described)) == 4, "it is said once"
    assert [step.kind for step in newest.steps] == ["plan"]
    assert "differ again after each apply" in newest.gate
    quarantine = described.cluster("demo").quarantine
    assert quarantine
    assert quarantine["addresses"] == ["terraform_data.restless"]
    described.add_recipe("restless", {"main.tf": 'resource "terraform_data" "restless" {}'})
    described.run_pass()
    described.run_pass(creator_maximum_plan_age=NEVER_FRESH)
    assert described.cluster("demo").quarantine is None


def test_a_failed_check_of_what_is_quarantined_does_not_apply_it(
    described: Installation, tmp_path: Path
) -> None:
    described.add_recipe("restless", {"main.tf": RESTLESS})
    described.add_cluster("demo", "restless")
    for _ in range(4):
        described.run_pass(creator_maximum_plan_age=NEVER_FRESH)
    failing = _instead_of_terraform(described, tmp_path, 'if [ "$1" = plan ]; then exit 1; fi')
    assert not described.run_pass(creator_maximum_plan_age=NEVER_FRESH, terraform=failing)
    assert _states(described) == ["failed", "succeeded", "succeeded", "succeeded", "succeeded"]

    described.run_pass()
    assert len(_states(described)) == 5
    described.run_pass(creator_maximum_plan_age=NEVER_FRESH)
    newest = described.deployments("demo")[0]
    assert (newest.state.value, [step.kind for step in newest.steps]) == ("succeeded", ["plan"])
    assert "differ again after each apply" in newest.gate


def test_what_terraform_counts_otherwise_waits_and_what_is_protected_stays(
    described: Installation, tmp_path: Path
) -> None:
    """Its events are lost on a full disk, or a newer terraform has other ones."""
    described.add_cluster("demo", "things", {"word": "one"})
    described.run_pass()
    described.update_cluster("demo", gates={"destroyed_count": 5})
    described.set_variable("demo", "word", "two")
    part = 'if [ "$1" = plan ]; then REAL "$@" > all; code=$?; grep -v planned_change all; exit $code; fi'
    described.settings["terraform"] = _instead_of_terraform(described, tmp_path, part)

    described.run_pass()

    newest = described.deployments("demo")[0]
    assert newest.state is DeploymentState.WAITING_FOR_APPROVAL
    assert newest.gate.startswith("terraform counts 4 resources to be destroyed or replaced")
    described.update_cluster("demo", gates={"protected": ["terraform_data.thing[1]"]})
    described.rule("demo", approved=True)
    described.run_pass()
    described.run_pass()
    newest = described.deployments("demo")[0]
    assert newest.state is DeploymentState.WAITING_FOR_APPROVAL
    assert "whether protected resources would be destroyed cannot be told" in newest.gate
    assert described.cluster("demo").hosts["demo-0"]["address"] == "one"
    described.update_cluster("demo", gates={})
    described.rule("demo", approved=True)
    described.run_pass()
    assert described.cluster("demo").hosts["demo-0"]["address"] == "two"


def test_a_plan_that_is_rejected_at_the_last_moment_is_not_applied(
    described: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    _waiting(described)
    described.rule("demo", approved=True)
    take_up = DeploymentRecords.take_up

    def rejected_first(records: DeploymentRecords, deployment_id: UUID, lease: Lease) -> bool:
        described.rule("demo", approved=False)
        return take_up(records, deployment_id, lease)

    monkeypatch.setattr(DeploymentRecords, "take_up", rejected_first)
    assert described.run_pass()
    described.run_pass()

    assert _states(described) == ["superseded"]
    assert not described.state("demo").exists()


def test_a_resource_that_is_to_be_replaced_is_replaced_once(described: Installation) -> None:
    described.add_cluster("demo", "things", {"word": "one", "count_of_things": 2})
    described.run_pass()
    described.update_cluster("demo", replace_addresses=["terraform_data.thing[1]"])
    described.update_cluster("demo", deploy_requested_at=described.now(), deploy_requested_by="ann")

    assert described.run_pass()

    newest = described.deployments("demo")[0]
    assert [(one["address"], one["action"]) for one in newest.changes] == [
        ("terraform_data.thing[1]", "replace")
    ]
    assert described.cluster("demo").replace_addresses == []


def test_a_wish_that_is_younger_than_the_approved_plan_is_not_forgotten(
    described: Installation,
) -> None:
    variables: dict[str, JsonValue] = {"word": "one", "count_of_things": 2}
    described.add_cluster("demo", "things", variables)
    described.run_pass()
    described.update_cluster("demo", deploy_policy=DeployPolicy.APPROVE)
    described.set_variable("demo", "count_of_things", 3)
    described.run_pass()
    described.rule("demo", approved=True)
    described.update_cluster("demo", replace_addresses=["terraform_data.thing[1]"])
    described.update_cluster("demo", deploy_requested_at=described.now(), deploy_requested_by="ann")

    described.run_pass()
    assert described.deployments("demo")[0].state is DeploymentState.SUCCEEDED
    assert described.cluster("demo").replace_addresses == ["terraform_data.thing[1]"]

    described.run_pass()
    described.rule("demo", approved=True)
    described.run_pass()
    assert [
        (one["address"], one["action"]) for one in described.deployments("demo")[0].changes
    ] == [("terraform_data.thing[1]", "replace")]
    assert described.cluster("demo").replace_addresses == []

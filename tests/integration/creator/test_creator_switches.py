"""What people decide beside the description, with the real terraform: pauses, requests, verdicts, the way back from deletion."""

from datetime import UTC, datetime, timedelta

import pytest

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from creator.deployment.deployer import Deployer
from tests.integration.creator.installation import Installation

THING = """
variable "word" {}

resource "terraform_data" "thing" {
  input = var.word
}
"""


@pytest.fixture
def described(sqlite_installation: Installation) -> Installation:
    sqlite_installation.add_recipe("thing", {"main.tf": THING})
    return sqlite_installation


def _states(installation: Installation) -> list[str]:
    return [row.state.value for row in installation.deployments("demo")]


def test_a_paused_cluster_is_left_alone_until_the_pause_ends(described: Installation) -> None:
    described.add_cluster("demo", "thing", {"word": "one"})
    now = datetime.now(UTC)
    described.update_cluster("demo", paused_at=now, paused_by="ann")
    assert described.run_pass()
    assert _states(described) == []
    described.update_cluster("demo", paused_until=now - timedelta(seconds=1))
    assert described.run_pass()
    assert _states(described) == ["succeeded"]


def test_the_global_switch_stops_all_applies(installation: Installation) -> None:
    installation.add_recipe("thing", {"main.tf": THING})
    installation.add_cluster("demo", "thing", {"word": "one"})
    installation.stop_applies(stopped=True)
    installation.run_pass()
    assert _states(installation) == []
    installation.stop_applies(stopped=False)
    installation.run_pass()
    assert _states(installation) == ["succeeded"]


def test_a_request_is_served_once(described: Installation) -> None:
    described.add_cluster("demo", "thing", {"word": "one"})
    described.run_pass()
    described.update_cluster(
        "demo", deploy_requested_at=datetime.now(UTC), deploy_requested_by="ann"
    )
    for _ in range(2):
        described.run_pass()
    assert [row.cause for row in described.deployments("demo")] == [
        "asked for by ann",
        "new cluster",
    ]


def test_what_was_approved_is_applied_and_says_by_whom(described: Installation) -> None:
    described.add_cluster("demo", "thing", {"word": "one"}, deploy_policy=DeployPolicy.APPROVE)
    described.run_pass()
    assert _states(described) == ["waiting_for_approval"]
    described.rule("demo", approved=True)
    described.run_pass()
    assert _states(described) == ["succeeded"]
    newest = described.deployments("demo")[0]
    assert (newest.approved, newest.decided_by) == (True, "ann")
    assert [step.kind for step in newest.steps] == ["init", "plan", "apply"], "that very plan"
    assert "terraform_data.thing will be created" in newest.plan_text
    assert described.resources("demo") == ["terraform_data.thing"]
    described.run_pass()
    assert len(_states(described)) == 1


def test_what_changed_after_the_approval_waits_anew(described: Installation) -> None:
    described.add_cluster("demo", "thing", {"word": "one"}, deploy_policy=DeployPolicy.APPROVE)
    described.run_pass()
    described.rule("demo", approved=True)
    described.set_variable("demo", "word", "two")
    described.run_pass()
    assert _states(described) == ["waiting_for_approval", "superseded"]
    assert not described.state("demo").exists()


def test_a_rejected_plan_is_not_made_again_until_something_changes(described: Installation) -> None:
    described.add_cluster("demo", "thing", {"word": "one"}, deploy_policy=DeployPolicy.APPROVE)
    described.run_pass()
    described.rule("demo", approved=False)
    described.run_pass(creator_maximum_plan_age=timedelta(0))
    assert _states(described) == ["superseded"]
    described.set_variable("demo", "word", "two")
    described.run_pass()
    assert _states(described) == ["waiting_for_approval", "superseded"]


@pytest.mark.parametrize("policy", list(DeployPolicy))
def test_a_deletion_that_is_taken_back_destroys_nothing(
    described: Installation, policy: DeployPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    described.add_cluster("demo", "thing", {"word": "one"})
    described.run_pass()
    described.update_cluster("demo", deploy_policy=policy)
    described.delete_cluster("demo")
    plan = Deployer._plan

    def plan_slowly(*arguments: object) -> None:
        plan(*arguments)  # type: ignore[arg-type]
        described.update_cluster("demo", state=ClusterState.ACTIVE)  # somebody undeletes it

    monkeypatch.setattr(Deployer, "_plan", plan_slowly)
    described.run_pass()
    newest = described.deployments("demo")[0]
    assert newest.state is DeploymentState.SUPERSEDED
    assert "the cluster is active meanwhile" in newest.error
    assert described.resources("demo") == ["terraform_data.thing"]
    assert described.cluster("demo").deployed_fingerprint


@pytest.mark.parametrize(
    ("decided", "state", "reason"),
    [
        ({"deploy_policy": DeployPolicy.PLAN_ONLY}, "succeeded", "the deploy policy is plan_only"),
        ({"deploy_policy": DeployPolicy.APPROVE}, "waiting_for_approval", "the deploy policy is"),
        ({"gates": {"destroyed_count": 0}}, "succeeded", "the gates have changed"),
        ({"paused_at": datetime(2026, 1, 1, tzinfo=UTC)}, None, "the cluster is paused"),
    ],
)
def test_what_people_decide_while_terraform_plans_holds_for_that_plan(
    described: Installation,
    decided: dict[str, object],
    state: str | None,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    described.add_cluster("demo", "thing", {"word": "one"})
    plan = Deployer._plan

    def plan_slowly(*arguments: object) -> None:
        plan(*arguments)  # type: ignore[arg-type]
        described.update_cluster("demo", **decided)

    with monkeypatch.context() as patched:
        patched.setattr(Deployer, "_plan", plan_slowly)
        described.run_pass()
    (first,) = described.deployments("demo")
    assert first.state is DeploymentState.SUPERSEDED
    assert reason in first.error
    assert [step.kind for step in first.steps] == ["init", "plan"]
    described.run_pass()
    assert _states(described) == [*([state] if state else []), "superseded"]


def test_a_cluster_that_is_protected_while_terraform_plans_its_end_stays(
    described: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    described.add_cluster("demo", "thing", {"word": "one"})
    described.run_pass()
    described.delete_cluster("demo")
    plan = Deployer._plan

    def plan_slowly(*arguments: object) -> None:
        plan(*arguments)  # type: ignore[arg-type]
        described.update_cluster("demo", protected=True)

    monkeypatch.setattr(Deployer, "_plan", plan_slowly)
    described.run_pass()
    newest = described.deployments("demo")[0]
    assert newest.state is DeploymentState.SUPERSEDED
    assert "protected meanwhile" in newest.error
    assert described.resources("demo") == ["terraform_data.thing"]

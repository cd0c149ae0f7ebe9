"""Passes of Creator with the real terraform: what is described comes true, and what goes wrong is said."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from common.agent_tokens import agent_token
from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from creator.deployment.records import Records
from creator.planner import ATTEMPTS_LOOKED_AT
from database.models import Deployment, Recipe, RecipeRevision, now
from tests.integration.creator.installation import SERVER_KEY, Installation
from tests.integration.creator.recipes import GREETING, NEVER_FRESH


def test_a_described_cluster_comes_true_and_then_costs_nothing(installation: Installation) -> None:
    installation.add_recipe("greeting", {"main.tf": GREETING})
    installation.add_cluster("demo", "greeting", {"greeting": "hello", "target": "for a prober"})

    assert installation.run_pass()

    (deployment,) = installation.deployments("demo")
    assert (deployment.state, deployment.error) == (DeploymentState.SUCCEEDED, "")
    assert deployment.cause == "new cluster"
    assert deployment.summary == {"create": 1, "change": 0, "destroy": 0}
    assert [(step.kind, step.exit_code) for step in deployment.steps] == [
        ("init", 0),
        ("plan", 2),
        ("apply", 0),
    ]
    assert all(step.workspace and step.deadline for step in deployment.steps)
    assert [(one["address"], one["action"], one["state"]) for one in deployment.changes] == [
        ("terraform_data.thing", "create", "done")
    ]
    assert {one["name"] for one in deployment.differences} >= {"main.tf", "greeting", "terraform"}
    assert "they are for probers: target" in deployment.log
    assert "Apply complete! Resources: 1 added" in deployment.log
    cluster = installation.cluster("demo")
    assert cluster.hosts == {"demo-1": {"address": "192.0.2.1", "labels": {"said": "hello"}}}
    assert cluster.configuration_change == 4, "apply begins, hosts are known, apply is over"
    assert cluster.applying_until is None
    assert cluster.state_key == "local"
    workspace = installation.workspace("demo")
    assert (workspace.recipe / "terraform.tfvars.json").stat().st_mode & 0o777 == 0o600
    assert not workspace.saved_plan.exists()

    assert installation.run_pass()

    assert [row.id for row in installation.deployments("demo")] == [deployment.id]


def test_a_changed_value_reaches_the_cluster_in_the_next_pass(installation: Installation) -> None:
    installation.add_recipe("greeting", {"main.tf": GREETING})
    installation.add_cluster("demo", "greeting", {"greeting": "hello"})
    installation.run_pass()
    installation.set_variable("demo", "greeting", "good evening")

    assert installation.run_pass()

    newest = installation.deployments("demo")[0]
    assert newest.cause == "the recipe or a value has changed: variable greeting changed"
    assert [step.kind for step in newest.steps] == ["plan", "apply"], "init has the same inputs"
    assert newest.summary == {"create": 0, "change": 1, "destroy": 0}
    assert installation.cluster("demo").hosts["demo-1"]["labels"] == {"said": "good evening"}


def test_a_new_revision_replaces_the_files_of_the_old_one(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.add_recipe("r", {"a.tf": 'resource "terraform_data" "a" {}'})
    sqlite_installation.add_cluster("demo", "r")
    sqlite_installation.run_pass()
    sqlite_installation.add_recipe("r", {"b.tf": 'resource "terraform_data" "b" {}'})

    assert sqlite_installation.run_pass()

    assert sqlite_installation.resources("demo") == ["terraform_data.b"]


def test_a_variable_that_no_recipe_declares_starts_no_terraform(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING})
    sqlite_installation.add_cluster("demo", "greeting", {"greeting": "hello", "target": "a"})
    sqlite_installation.run_pass()
    sqlite_installation.set_variable("demo", "target", "b")

    assert sqlite_installation.run_pass()

    assert len(sqlite_installation.deployments("demo")) == 1


def test_a_cluster_without_changes_is_planned_again_in_time_and_leaves_no_row(
    installation: Installation,
) -> None:
    installation.add_recipe("greeting", {"main.tf": GREETING})
    installation.add_cluster("demo", "greeting", {"greeting": "hello"})
    installation.run_pass()
    planned_at = installation.cluster("demo").last_planned_at

    assert installation.run_pass(creator_maximum_plan_age=NEVER_FRESH)

    assert len(installation.deployments("demo")) == 1
    later = installation.cluster("demo").last_planned_at
    assert planned_at
    assert later
    assert later > planned_at


def test_a_refused_recipe_names_file_and_line_and_stops_nobody_else(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.add_recipe("bad", {"main.tf": "\n\nresource {\n"})
    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING})
    sqlite_installation.add_cluster("first", "bad")
    sqlite_installation.add_cluster("second", "greeting", {"greeting": "hello"})

    assert not sqlite_installation.run_pass()

    (failed,) = sqlite_installation.deployments("first")
    assert failed.state is DeploymentState.FAILED
    assert failed.error.startswith("Error: ")
    assert "on main.tf line 3" in failed.error
    (other,) = sqlite_installation.deployments("second")
    assert other.state is DeploymentState.SUCCEEDED


def test_a_variable_without_value_is_named(sqlite_installation: Installation) -> None:
    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING})
    sqlite_installation.add_cluster("demo", "greeting")

    assert not sqlite_installation.run_pass()

    (failed,) = sqlite_installation.deployments("demo")
    assert 'input variable "greeting" is not set' in failed.error


def test_a_wrong_hosts_output_names_host_and_field(sqlite_installation: Installation) -> None:
    output = 'output "mr_prober_hosts" { value = { vm-1 = { address = ["10.0.0.1"] } } }'
    thing = 'resource "terraform_data" "thing" {}'
    sqlite_installation.add_recipe("r", {"main.tf": f"{thing}\n{output}"})
    sqlite_installation.add_cluster("demo", "r")

    for _ in range(2):
        assert not sqlite_installation.run_pass()

        assert "vm-1.address: " in sqlite_installation.deployments("demo")[0].error
    # What was done is told all the same.
    first = sqlite_installation.deployments("demo")[-1]
    assert [one["state"] for one in first.changes] == ["done"]
    assert sqlite_installation.cluster("demo").hosts == {}


def test_a_file_that_storage_has_lost_is_named(sqlite_installation: Installation) -> None:
    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING})
    sqlite_installation.add_cluster("demo", "greeting", {"greeting": "hello"})
    for path in (sqlite_installation.data_folder / "objects").rglob("*"):
        if path.is_file():
            path.write_bytes(b"rot")

    assert not sqlite_installation.run_pass()

    (failed,) = sqlite_installation.deployments("demo")
    assert failed.error == "file main.tf of the recipe: its content in object storage is damaged"


def test_what_failed_is_tried_again_only_after_the_pause_unless_it_is_changed(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.settings["creator_retry_delay"] = timedelta(hours=1)
    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING + "resource {}"})
    sqlite_installation.add_cluster("demo", "greeting", {"greeting": "hello"})
    assert not sqlite_installation.run_pass()

    assert sqlite_installation.run_pass()
    assert len(sqlite_installation.deployments("demo")) == 1

    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING})
    assert sqlite_installation.run_pass()
    assert sqlite_installation.deployments("demo")[0].state is DeploymentState.SUCCEEDED


def test_a_half_failed_change_that_is_taken_back_is_applied_again(
    sqlite_installation: Installation,
) -> None:
    recipe = """
    variable "greeting" {}
    resource "terraform_data" "a" { input = var.greeting }
    resource "terraform_data" "b" {
      triggers_replace = terraform_data.a.output
      provisioner "local-exec" { command = "test ${var.greeting} = good" }
    }
    """
    sqlite_installation.add_recipe("r", {"main.tf": recipe})
    sqlite_installation.add_cluster("demo", "r", {"greeting": "good"})
    assert sqlite_installation.run_pass()
    sqlite_installation.set_variable("demo", "greeting", "bad")
    assert not sqlite_installation.run_pass()
    sqlite_installation.set_variable("demo", "greeting", "good")

    assert sqlite_installation.run_pass()

    newest = sqlite_installation.deployments("demo")[0]
    # The half made resource is tainted: it is replaced.
    assert newest.summary == {"create": 1, "change": 1, "destroy": 1}


def test_a_deleted_cluster_is_destroyed_with_the_recipe_that_was_applied(
    installation: Installation,
) -> None:
    installation.add_recipe("greeting", {"main.tf": GREETING})
    installation.add_cluster("demo", "greeting", {"greeting": "hello"})
    installation.run_pass()
    workspace = installation.workspace("demo")
    installation.add_recipe("greeting", {"main.tf": "resource {"})
    installation.delete_cluster("demo")

    assert installation.run_pass()

    newest = installation.deployments("demo")[0]
    assert [step.kind for step in newest.steps] == ["plan", "destroy"]
    assert newest.summary == {"create": 0, "change": 0, "destroy": 1}
    cluster = installation.cluster("demo")
    assert cluster.state is ClusterState.DESTROYED
    assert cluster.deleted_at is not None
    assert cluster.hosts == {}
    assert installation.resources("demo") == []
    assert not workspace.root.exists()


def test_a_cluster_that_was_never_deployed_is_destroyed_without_terraform(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING})
    sqlite_installation.add_cluster("demo", "greeting")
    sqlite_installation.delete_cluster("demo")

    assert sqlite_installation.run_pass()

    assert sqlite_installation.deployments("demo") == []
    assert sqlite_installation.cluster("demo").state is ClusterState.DESTROYED


def test_a_cluster_whose_recipe_never_had_a_revision_can_be_deleted(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.data_folder.mkdir()
    with sqlite_installation.database.writing() as session:
        session.add(Recipe(slug="empty"))
    sqlite_installation.add_cluster("demo", "empty")
    assert sqlite_installation.run_pass()
    assert sqlite_installation.cluster("demo").state is ClusterState.ACTIVE

    sqlite_installation.delete_cluster("demo")
    assert sqlite_installation.run_pass()

    assert sqlite_installation.cluster("demo").state is ClusterState.DESTROYED


def test_only_the_newest_attempts_of_each_cluster_are_read(installation: Installation) -> None:
    installation.add_recipe("greeting", {"main.tf": GREETING})
    records = Records(installation.database, now)
    ended: dict[str, list[str]] = {}
    for slug, attempts in {"few": 2, "many": ATTEMPTS_LOOKED_AT + 3}.items():
        cluster_id = installation.add_cluster(slug, "greeting")
        with installation.database.writing() as session:
            revision_id = session.scalars(select(RecipeRevision.id)).one()
            rows = [
                Deployment(
                    cluster_id=cluster_id,
                    cause="",
                    fingerprint=str(number),
                    recipe_revision_id=revision_id,
                    state=DeploymentState.FAILED,
                )
                for number in range(attempts)
            ]
            session.add_all(rows)
            under_way = Deployment(
                cluster_id=cluster_id,
                cause="",
                fingerprint="under way",
                recipe_revision_id=revision_id,
            )
            session.add(under_way)
        ids = [row.id for row in rows]
        # Of ids made in one millisecond nobody knows which one is greater.
        newest = sorted(range(attempts), key=ids.__getitem__, reverse=True)
        ended[slug] = [str(number) for number in newest]

    seen = {
        cluster.slug: [attempt.fingerprint for attempt in cluster.situation.attempts]
        for cluster in records.clusters()
    }

    assert seen == {"few": ended["few"], "many": ended["many"][:ATTEMPTS_LOOKED_AT]}


def test_plan_only_plans_once_and_never_applies(sqlite_installation: Installation) -> None:
    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING})
    sqlite_installation.add_cluster(
        "demo", "greeting", {"greeting": "hello"}, deploy_policy=DeployPolicy.PLAN_ONLY
    )
    for age in (timedelta(hours=1), timedelta(hours=1), NEVER_FRESH):
        assert sqlite_installation.run_pass(creator_maximum_plan_age=age)

    (planned,) = sqlite_installation.deployments("demo")
    assert planned.state is DeploymentState.SUCCEEDED
    assert planned.summary == {"create": 1, "change": 0, "destroy": 0}
    assert not sqlite_installation.state("demo").exists()

    sqlite_installation.update_cluster("demo", deploy_policy=DeployPolicy.AUTOMATIC)
    assert sqlite_installation.run_pass()
    assert sqlite_installation.resources("demo") == ["terraform_data.thing"]


def test_a_plan_that_needs_approval_waits_until_a_newer_one_takes_its_place(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING})
    sqlite_installation.add_cluster(
        "demo", "greeting", {"greeting": "hello"}, deploy_policy=DeployPolicy.APPROVE
    )
    for _ in range(2):
        assert sqlite_installation.run_pass()
    sqlite_installation.set_variable("demo", "greeting", "good evening")

    assert sqlite_installation.run_pass()

    assert [row.state for row in sqlite_installation.deployments("demo")] == [
        DeploymentState.WAITING_FOR_APPROVAL,
        DeploymentState.SUPERSEDED,
    ]


def test_the_agents_token_is_in_no_log(sqlite_installation: Installation) -> None:
    recipe = """
    variable "mr_prober_agent_token" { sensitive = true }
    resource "terraform_data" "leak" {
      provisioner "local-exec" { command = "echo ${nonsensitive(var.mr_prober_agent_token)}; false" }
    }
    """
    sqlite_installation.add_recipe("r", {"main.tf": recipe})
    cluster_id = sqlite_installation.add_cluster("demo", "r")

    sqlite_installation.run_pass()

    token = agent_token(SERVER_KEY.encode(), cluster_id, version=1)
    (deployment,) = sqlite_installation.deployments("demo")
    run = sqlite_installation.workspace("demo").run
    assert any(token in path.read_text() for path in run.rglob("stdout"))
    assert token not in deployment.log + deployment.error
    assert "(sensitive)" in deployment.log
    assert "(sensitive)" in deployment.error


def test_a_terraform_at_its_time_limit_saves_what_it_did_and_leaves_no_process(
    sqlite_installation: Installation,
) -> None:
    recipe = """
    resource "terraform_data" "quick" {}
    resource "terraform_data" "slow" {
      depends_on = [terraform_data.quick]
      provisioner "local-exec" { command = "sleep 600 & echo $! >> pids; sleep 600 & echo $! >> pids; wait" }
    }
    """
    sqlite_installation.add_recipe("r", {"main.tf": recipe})
    sqlite_installation.add_cluster("demo", "r")

    assert not sqlite_installation.run_pass(creator_step_time_limit=timedelta(seconds=1))

    (deployment,) = sqlite_installation.deployments("demo")
    assert deployment.state is DeploymentState.FAILED
    assert "interrupted after 1 seconds" in deployment.error
    assert "terraform_data.quick" in sqlite_installation.resources("demo")
    pids = (sqlite_installation.workspace("demo").recipe / "pids").read_text().split()
    assert len(pids) == 2
    assert not [pid for pid in pids if _runs(int(pid))]


def test_a_bug_that_one_cluster_meets_stops_nobody_else(
    sqlite_installation: Installation, tmp_path: Path
) -> None:
    terraform = tmp_path / "terraform"
    real = sqlite_installation.environment()["MR_PROBER_TERRAFORM"]
    # What no terraform ever says, in the place of what is left of its plan.
    script = f'#!/bin/sh\nif [ "$1" = output ] && [ -e odd ]; then echo "[]"; else exec {real} "$@"; fi\n'
    terraform.write_text(script)
    terraform.chmod(0o700)
    sqlite_installation.settings["terraform"] = str(terraform)
    sqlite_installation.settings["creator_retry_delay"] = timedelta(hours=1)
    sqlite_installation.add_recipe(
        "odd",
        {"main.tf": GREETING.replace("  value =", "  sensitive = true\n  value ="), "odd": "yes"},
    )
    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING})
    sqlite_installation.add_cluster("first", "odd", {"greeting": "hello"})
    sqlite_installation.add_cluster("second", "greeting", {"greeting": "hello"})

    assert not sqlite_installation.run_pass()

    assert sqlite_installation.deployments("first")[0].state is DeploymentState.APPLYING
    assert sqlite_installation.deployments("second")[0].state is DeploymentState.SUCCEEDED
    # As soon as the bug is mended, the deployment goes on where it was.
    del sqlite_installation.settings["terraform"]
    assert sqlite_installation.run_pass()
    (mended,) = sqlite_installation.deployments("first")
    assert mended.state is DeploymentState.SUCCEEDED
    assert [step.kind for step in mended.steps] == ["init", "plan", "apply"]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

"""Passes of Creator with the real terraform: what is described comes true, and what goes wrong is said."""

from datetime import UTC, datetime, timedelta

from common.agent_tokens import agent_token
from common.contracts.clusters import DeploymentState, DeployPolicy
from creator.planner import ATTEMPTS_LOOKED_AT
from creator.records import Records
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
    assert all(step.pid and step.process_start_ticks for step in deployment.steps)
    assert "they are for probers: target" in deployment.log
    assert "Apply complete! Resources: 1 added" in deployment.log
    cluster = installation.cluster("demo")
    assert cluster.hosts == {"demo-1": {"address": "192.0.2.1", "labels": {"said": "hello"}}}
    assert cluster.configuration_change == 2
    workspace = installation.workspace("demo")
    assert (workspace.recipe / "terraform.tfvars.json").stat().st_mode & 0o777 == 0o600
    assert sorted(path.suffix for path in workspace.run.iterdir()) == [".log"]

    assert installation.run_pass()

    assert [row.id for row in installation.deployments("demo")] == [deployment.id]


def test_a_changed_value_reaches_the_cluster_in_the_next_pass(installation: Installation) -> None:
    installation.add_recipe("greeting", {"main.tf": GREETING})
    installation.add_cluster("demo", "greeting", {"greeting": "hello"})
    installation.run_pass()
    installation.set_variable("demo", "greeting", "good evening")

    assert installation.run_pass()

    newest = installation.deployments("demo")[0]
    assert newest.cause == "the recipe or a value has changed"
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


def test_only_the_newest_attempts_of_each_cluster_are_read(installation: Installation) -> None:
    installation.add_recipe("greeting", {"main.tf": GREETING})
    records = Records(installation.database, lambda: datetime.now(UTC))
    ended: dict[str, list[str]] = {}
    for slug, attempts in {"few": 2, "many": ATTEMPTS_LOOKED_AT + 3}.items():
        cluster_id = installation.add_cluster(slug, "greeting")
        (cluster,) = records.clusters(only=cluster_id)
        assert cluster.revision
        revision_id = cluster.revision.id
        ids = []
        for number in range(attempts):
            ids.append(records.begin(cluster, revision_id, cause="", fingerprint=str(number)))
            records.close(ids[-1], DeploymentState.FAILED, error="", log="")
        records.begin(cluster, revision_id, cause="", fingerprint="under way")
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
    created = {"address": "terraform_data.thing", "actions": ["create"]}
    assert planned.changes == {"resources": [created], "left_out": 0}
    assert not sqlite_installation.workspace("demo").state.exists()

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
    assert (
        token in (sqlite_installation.workspace("demo").deployment_log(deployment.id)).read_text()
    )
    assert token not in deployment.log + deployment.error
    assert "(sensitive)" in deployment.log
    assert "(sensitive)" in deployment.error

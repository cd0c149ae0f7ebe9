"""Deleted clusters are destroyed, with the real terraform."""

from common.contracts.clusters import ClusterState
from database.models import Recipe
from tests.integration.creator.installation import Installation
from tests.integration.creator.recipes import GREETING


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
    assert [step.kind for step in newest.steps] == ["init", "plan", "destroy"]
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

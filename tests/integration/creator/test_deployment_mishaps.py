"""What goes wrong around a deployment is said, changes nothing that it should not, and passes; with the real terraform."""

import fcntl
import json

import pytest
from sqlalchemy import delete

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from database.models import Deployment, DeploymentStep
from tests.integration.creator.installation import Installation
from tests.integration.creator.recipes import NEVER_FRESH

THING = """
variable "word" {}

resource "terraform_data" "thing" {
  input = var.word
}
"""
UNREACHABLE_PROVIDER = """
terraform {
  required_providers {
    nowhere = { source = "127.0.0.1:1/nobody/nowhere" }
  }
}

resource "nowhere_thing" "thing" {}
"""
STUBBORN = """
variable "word" {}

resource "terraform_data" "easy" {}

resource "terraform_data" "stubborn" {
  input = var.word
  provisioner "local-exec" {
    when    = destroy
    command = "test -e ${self.input}/let-go"
  }
}
"""


@pytest.fixture
def deployed(sqlite_installation: Installation) -> Installation:
    sqlite_installation.add_recipe("thing", {"main.tf": THING})
    sqlite_installation.add_cluster("demo", "thing", {"word": "one"})
    assert sqlite_installation.run_pass()
    return sqlite_installation


def _forget_deployments(installation: Installation) -> None:
    """What retention does in the end."""
    with installation.database.writing() as session:
        session.execute(delete(DeploymentStep))
        session.execute(delete(Deployment))


def test_a_provider_that_cannot_be_downloaded_fails_the_deployment_and_nothing_else(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.add_recipe("r", {"main.tf": UNREACHABLE_PROVIDER})
    sqlite_installation.add_cluster("demo", "r")
    assert not sqlite_installation.run_pass()
    (failed,) = sqlite_installation.deployments("demo")
    assert failed.state is DeploymentState.FAILED
    assert [(step.kind, step.exit_code) for step in failed.steps] == [("init", 1)]
    assert "127.0.0.1:1/nobody/nowhere" in failed.error
    assert not sqlite_installation.state("demo").exists()


def test_a_lock_of_a_stranger_is_named_and_left_alone(deployed: Installation) -> None:
    deployed.set_variable("demo", "word", "two")
    lock = {
        "ID": "11111111-2222-3333-4444-555555555555",
        "Operation": "OperationTypeApply",
        "Info": "",
        "Who": "ann@laptop",
        "Version": "1.11.4",
        "Created": "2026-01-01T00:00:00Z",
        "Path": "",
    }
    beside = deployed.state("demo").with_name(".terraform.tfstate.lock.info")
    with deployed.state("demo").open("r+b") as state:
        fcntl.lockf(state, fcntl.LOCK_EX)
        beside.write_text(json.dumps(lock))
        assert not deployed.run_pass()
        assert json.loads(beside.read_text())["ID"] == lock["ID"]
    newest = deployed.deployments("demo")[0]
    assert newest.state is DeploymentState.FAILED
    assert newest.lock
    assert newest.lock["who"] == "ann@laptop"
    assert "locked by ann@laptop" in newest.error
    assert lock["ID"] in newest.error
    beside.unlink()
    assert deployed.run_pass()


def test_an_unreadable_state_is_never_written_over(deployed: Installation) -> None:
    deployed.set_variable("demo", "word", "two")
    deployed.state("demo").write_text("rot")
    assert not deployed.run_pass()
    newest = deployed.deployments("demo")[0]
    assert newest.state is DeploymentState.FAILED
    assert "Unsupported state file format" in newest.error
    assert deployed.state("demo").read_text() == "rot"


def test_a_storage_that_is_away_is_no_change_of_a_cluster(deployed: Installation) -> None:
    """A Creator that starts then knows of no recipe what it declares."""
    files = deployed.data_folder / "objects/files"
    contents = [path for path in files.rglob("*") if path.is_file()]
    for path in contents:
        path.rename(path.with_suffix(".kept"))
        path.mkdir()
    assert not deployed.run_pass(creator_maximum_plan_age=NEVER_FRESH)
    assert len(deployed.deployments("demo")) == 1
    for path in contents:
        path.rmdir()
        path.with_suffix(".kept").rename(path)
    assert deployed.run_pass()
    assert len(deployed.deployments("demo")) == 1


def test_a_workspace_that_cannot_be_written_fails_the_deployment(deployed: Installation) -> None:
    deployed.set_variable("demo", "word", "two")
    folder = deployed.workspace("demo").recipe
    moved = folder.rename(folder.with_name("elsewhere"))
    # What no writer can write into: the same as a full disk, for whoever makes a file there.
    folder.symlink_to("/dev/full")
    assert not deployed.run_pass()
    newest = deployed.deployments("demo")[0]
    assert newest.state is DeploymentState.FAILED
    assert "Creator's workspace cannot be used" in newest.error
    folder.unlink()
    moved.rename(folder)
    assert deployed.run_pass()


def test_init_that_was_skipped_wrongly_is_made_after_all(deployed: Installation) -> None:
    deployed.set_variable("demo", "word", "two")
    (deployed.workspace("demo").recipe / ".terraform/terraform.tfstate").unlink()
    assert deployed.run_pass()
    newest = deployed.deployments("demo")[0]
    assert [(step.kind, step.exit_code) for step in newest.steps] == [
        ("plan", 1),
        ("init", 0),
        ("plan", 2),
        ("apply", 0),
    ]


def test_a_destroy_needs_neither_the_recipe_nor_the_values_of_now(
    installation: Installation,
) -> None:
    installation.add_recipe("thing", {"main.tf": THING})
    installation.add_cluster("demo", "thing", {"word": "one"})
    installation.run_pass()
    key = installation.cluster("demo").applied_snapshot
    sealed = (installation.storage.read(key) or b"").decode()
    assert sealed.startswith("v1.")
    installation.forget_recipe_contents()
    installation.remove_variable("demo", "word")
    installation.forget_workspaces()
    installation.delete_cluster("demo")

    assert installation.run_pass()

    assert installation.cluster("demo").state is ClusterState.DESTROYED
    assert installation.resources("demo") == []
    assert installation.storage.read(key) is None


def test_a_destroy_that_fails_says_what_is_left_and_is_tried_again(
    sqlite_installation: Installation,
) -> None:
    folder = sqlite_installation.data_folder
    sqlite_installation.add_recipe("stubborn", {"main.tf": STUBBORN})
    sqlite_installation.add_cluster("demo", "stubborn", {"word": str(folder)})
    assert sqlite_installation.run_pass()
    sqlite_installation.delete_cluster("demo")

    assert not sqlite_installation.run_pass()

    newest = sqlite_installation.deployments("demo")[0]
    assert newest.state is DeploymentState.FAILED
    assert newest.error.endswith("Left: terraform_data.stubborn")
    assert sqlite_installation.cluster("demo").state is ClusterState.DELETING
    (folder / "let-go").touch()
    assert sqlite_installation.run_pass()
    assert sqlite_installation.cluster("demo").state is ClusterState.DESTROYED


@pytest.mark.parametrize("is_deleted", [False, True])
def test_where_the_state_is_lost_nothing_is_made_twice_and_nothing_called_destroyed(
    deployed: Installation, is_deleted: bool
) -> None:
    """Or Creator was given another data folder than the one before; whatever rows retention has left."""
    _forget_deployments(deployed)
    state = deployed.state("demo").rename(deployed.data_folder / "kept")
    if is_deleted:
        deployed.delete_cluster("demo")
    else:
        deployed.set_variable("demo", "word", "two")
    assert not deployed.run_pass()
    newest = deployed.deployments("demo")[0]
    assert newest.state is DeploymentState.FAILED
    assert "the state of this cluster is missing or empty in this Creator's data" in newest.error
    assert newest.steps == []
    assert deployed.cluster("demo").state is not ClusterState.DESTROYED
    state.rename(deployed.state("demo"))
    assert deployed.run_pass()
    assert deployed.deployments("demo")[0].state is DeploymentState.SUCCEEDED


def test_a_state_that_was_cut_to_nothing_is_a_lost_one(deployed: Installation) -> None:
    """A terraform that is killed in the middle of its write leaves that, and the next one would call it no state."""
    content = deployed.state("demo").read_bytes()
    deployed.set_variable("demo", "word", "two")
    deployed.state("demo").write_bytes(b"")
    assert not deployed.run_pass()
    newest = deployed.deployments("demo")[0]
    assert "missing or empty" in newest.error
    assert "forget-state demo" in newest.error
    assert newest.steps == []
    deployed.state("demo").write_bytes(content)
    assert deployed.run_pass()


def test_a_state_that_somebody_brought_is_guarded_and_destroyed_too(
    sqlite_installation: Installation,
) -> None:
    """Moved to a new database, for instance: no row of ours tells of an apply."""
    installation = sqlite_installation
    installation.add_recipe("thing", {"main.tf": THING})
    installation.add_cluster("donor", "thing", {"word": "one"})
    installation.run_pass()
    brought = installation.state("donor").read_bytes()
    policy = DeployPolicy.PLAN_ONLY
    installation.add_cluster("demo", "thing", {"word": "one"}, deploy_policy=policy)
    installation.state("demo").parent.mkdir()
    installation.state("demo").write_bytes(brought)
    installation.run_pass()
    assert installation.cluster("demo").has_state
    installation.delete_cluster("demo")
    assert installation.run_pass()
    assert installation.cluster("demo").state is ClusterState.DESTROYED
    assert installation.resources("demo") == []


def test_what_was_applied_is_destroyed_although_no_deployment_tells_of_it_any_more(
    deployed: Installation,
) -> None:
    _forget_deployments(deployed)
    deployed.delete_cluster("demo")
    assert deployed.run_pass()
    assert deployed.cluster("demo").state is ClusterState.DESTROYED
    assert deployed.resources("demo") == []

"""What goes wrong around a deployment is said, changes nothing that it should not, and passes; with the real terraform."""

import fcntl
import json

import pytest

from common.contracts.clusters import ClusterState, DeploymentState
from tests.integration.creator.installation import Installation

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

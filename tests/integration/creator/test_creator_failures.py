"""What goes wrong in a deployment, with the real terraform: it is named, tried again in time, and stops nobody else."""

from datetime import timedelta
from pathlib import Path

from common.contracts.clusters import DeploymentState
from tests.integration.creator.installation import Installation
from tests.integration.creator.recipes import GREETING


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
    sqlite_installation.add_recipe("r", {"main.tf": output})
    sqlite_installation.add_cluster("demo", "r")

    for _ in range(2):
        assert not sqlite_installation.run_pass()

        assert "vm-1.address: " in sqlite_installation.deployments("demo")[0].error
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
    # What no terraform ever says, in the place of a plan.
    script = (
        f'#!/bin/sh\nif [ "$1" = show ] && [ -e odd ]; then echo "[]"; else exec {real} "$@"; fi\n'
    )
    terraform.write_text(script)
    terraform.chmod(0o700)
    sqlite_installation.settings["terraform"] = str(terraform)
    sqlite_installation.settings["creator_retry_delay"] = timedelta(hours=1)
    sqlite_installation.add_recipe("odd", {"main.tf": GREETING, "odd": "yes"})
    sqlite_installation.add_recipe("greeting", {"main.tf": GREETING})
    sqlite_installation.add_cluster("first", "odd", {"greeting": "hello"})
    sqlite_installation.add_cluster("second", "greeting", {"greeting": "hello"})

    assert not sqlite_installation.run_pass()

    assert sqlite_installation.deployments("first")[0].state is DeploymentState.PLANNING
    assert sqlite_installation.deployments("second")[0].state is DeploymentState.SUCCEEDED
    sqlite_installation.run_pass()
    assert sqlite_installation.deployments("first")[-1].state is DeploymentState.UNKNOWN


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

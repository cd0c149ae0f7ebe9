"""States in a real S3, with terraform's own lock file there."""

import json
import shutil
from pathlib import Path
from sys import executable

import pytest
from sqlalchemy import select

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from common.processes import PIPE, start
from common.s3_object_storage import S3Access, s3_client
from creator.main import ROOT
from database.models import AuditEntry
from tests.integration.creator.installation_in_s3 import STATES, InstallationInS3

THING = """
variable "word" {}

resource "terraform_data" "thing" {
  input = var.word
}
"""


def test_states_and_their_locks_are_in_s3_and_the_key_is_nowhere_terraform_writes(
    in_s3: InstallationInS3, s3_access: S3Access, caplog: pytest.LogCaptureFixture
) -> None:
    client = s3_client(s3_access)
    in_s3.add_recipe("thing", {"main.tf": THING})
    cluster_id = in_s3.add_cluster("demo", "thing", {"word": "one"})

    assert in_s3.run_pass(), in_s3.deployments("demo")[0].error

    assert "keeps no old versions" in caplog.text
    assert in_s3.cluster("demo").state_key == f"s3://{STATES}/test/{cluster_id}"
    state = json.loads(client.get_object(Bucket=STATES, Key=f"test/{cluster_id}")["Body"].read())
    assert [one["name"] for one in state["resources"]] == ["thing"]
    assert not in_s3.state("demo").exists()
    credentials = in_s3.data_folder / "states.credentials"
    assert credentials.stat().st_mode & 0o777 == 0o600
    holding = [path for path in in_s3.data_folder.rglob("*") if _holds(path, s3_access)]
    assert holding == [credentials]

    # A lock that somebody holds stops the next one.
    in_s3.set_variable("demo", "word", "two")
    lock = {"ID": "some-lock", "Operation": "OperationTypeApply", "Who": "ann@laptop", "Info": ""}
    lock |= {"Version": "1.11.4", "Created": "2026-01-01T00:00:00Z", "Path": f"{STATES}/x"}
    in_s3.put_lock("demo", json.dumps(lock).encode())
    assert not in_s3.run_pass()
    newest = in_s3.deployments("demo")[0]
    assert newest.lock
    assert newest.lock["who"] == "ann@laptop"
    # An operator who knows that nobody holds it frees it.
    _unlock(in_s3, lock["ID"])
    assert in_s3.run_pass(), in_s3.deployments("demo")[0].error
    in_s3.delete_cluster("demo")
    assert in_s3.run_pass(), in_s3.deployments("demo")[0].error
    assert in_s3.cluster("demo").state is ClusterState.DESTROYED


def test_a_state_in_a_file_is_not_moved_to_s3_by_itself(in_s3: InstallationInS3) -> None:
    in_s3.add_recipe("thing", {"main.tf": THING})
    in_s3.add_cluster("demo", "thing", {"word": "one"})
    in_s3.update_cluster("demo", state_key="local")
    assert not in_s3.run_pass()
    (failed,) = in_s3.deployments("demo")
    assert failed.state is DeploymentState.FAILED
    assert "the state of this cluster is in a file of Creator's data folder" in failed.error
    assert failed.steps == []


def test_a_state_that_is_gone_from_s3_makes_nothing_twice(
    in_s3: InstallationInS3, s3_access: S3Access
) -> None:
    in_s3.add_recipe("thing", {"main.tf": THING})
    cluster_id = in_s3.add_cluster("demo", "thing", {"word": "one"})
    assert in_s3.run_pass()
    s3_client(s3_access).delete_object(Bucket=STATES, Key=f"test/{cluster_id}")
    in_s3.delete_cluster("demo")
    assert not in_s3.run_pass()
    newest = in_s3.deployments("demo")[0]
    assert f"missing or empty at s3://{STATES}/test/{cluster_id}" in newest.error
    assert newest.steps == []


def test_a_cluster_described_again_takes_the_state_over_that_its_row_names(
    in_s3: InstallationInS3,
) -> None:
    in_s3.add_recipe("thing", {"main.tf": THING})
    in_s3.add_cluster("lost", "thing", {"word": "one"})
    assert in_s3.run_pass()
    lost = in_s3.cluster("lost").state_key
    made = json.loads(in_s3.stored_state("lost"))["resources"]
    in_s3.update_cluster("lost", deleted_at=in_s3.now())  # the backup does not know it

    in_s3.add_cluster("demo", "thing", {"word": "one"})
    in_s3.update_cluster("demo", state_key=lost)
    # The bucket of the settings is for clusters that have no state yet.
    assert in_s3.run_pass(s3_states_bucket="of-new-clusters"), in_s3.deployments("demo")[0].error

    assert in_s3.cluster("demo").state_key == lost
    assert json.loads(in_s3.stored_state("lost"))["resources"] == made
    assert in_s3.stored_state("demo") == b""


def test_a_plan_that_was_kept_is_applied_by_a_creator_with_another_data_folder(
    in_s3: InstallationInS3, s3_access: S3Access, tmp_path: Path
) -> None:
    in_s3.add_recipe("thing", {"main.tf": THING})
    policy = DeployPolicy.APPROVE
    in_s3.add_cluster("demo", "thing", {"word": "one"}, deploy_policy=policy)
    assert in_s3.run_pass()
    in_s3.rule("demo", approved=True)
    shutil.rmtree(in_s3.data_folder)
    folder = tmp_path / "another" / "machine"
    folder.parent.mkdir()
    other = InstallationInS3(in_s3.database, folder, s3_access)

    assert other.run_pass(), other.deployments("demo")[0].error

    (applied,) = other.deployments("demo")
    assert applied.state is DeploymentState.SUCCEEDED
    assert [step.kind for step in applied.steps] == ["init", "plan", "init", "apply"]
    assert b'"one"' in other.stored_state("demo")
    assert not in_s3.data_folder.exists()


def _unlock(installation: InstallationInS3, lock_id: str) -> None:
    """By hand; it is in the history and in the audit log."""
    tool = str(ROOT / "creator/break_glass/main.py")
    program = start(
        [executable, tool, "unlock", "demo", "--lock-id", lock_id],
        environment=installation.environment(),
        cwd=installation.data_folder,
        stdout=PIPE,
        stderr=PIPE,
    )
    said, complained = program.communicate(timeout=60)
    assert program.returncode == 0, complained.decode()
    assert f"freed the lock {lock_id} of ann@laptop" in said.decode()
    newest = installation.deployments("demo")[0]
    assert [(step.kind, step.exit_code) for step in newest.steps][-1] == ("unlock", 0)
    assert newest.state is DeploymentState.FAILED
    with installation.database.reading() as session:
        unlocked = select(AuditEntry.slug).where(AuditEntry.action == "unlock state")
        assert session.scalars(unlocked).all() == ["demo"]


def _holds(path: Path, access: S3Access) -> bool:
    return path.is_file() and access.secret_access_key.encode() in path.read_bytes()

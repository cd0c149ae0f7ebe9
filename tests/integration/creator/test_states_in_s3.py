"""States in a real S3, with terraform's own lock file there."""

import json
from collections.abc import Iterator
from pathlib import Path
from sys import executable

import pytest
from pydantic import SecretStr

from common.contracts.clusters import ClusterState, DeploymentState
from common.processes import PIPE, start
from common.s3_object_storage import S3Access, S3ObjectStorage, s3_client
from creator.main import ROOT
from database.session import Database
from tests.integration.creator.installation import Installation

STATES = "objects"  # the one bucket of the test server
THING = """
variable "word" {}

resource "terraform_data" "thing" {
  input = var.word
}
"""


@pytest.fixture
def in_s3(sqlite_url: str, tmp_path: Path, s3_access: S3Access) -> Iterator[Installation]:
    """An installation with states and files in S3."""
    client = s3_client(s3_access)
    (tmp_path / "data").mkdir()
    database = Database(sqlite_url)
    installation = Installation(database, tmp_path / "data")
    installation.storage = S3ObjectStorage(client, STATES, prefix="test/")  # type: ignore[assignment]
    installation.settings |= {
        "environment": "test",
        "S3_ACCESS_KEY_ID": SecretStr(s3_access.access_key_id),
        "S3_SECRET_ACCESS_KEY": SecretStr(s3_access.secret_access_key),
        "s3_endpoint_url": s3_access.endpoint_url,
        "s3_region": s3_access.region,
        "s3_states_bucket": STATES,
        "s3_files_bucket": STATES,
    }
    yield installation
    database.dispose()


def test_states_and_their_locks_are_in_s3_and_the_key_is_nowhere_terraform_writes(
    in_s3: Installation, s3_access: S3Access, caplog: pytest.LogCaptureFixture
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
    lock_key = f"test/{cluster_id}.tflock"
    client.put_object(Bucket=STATES, Key=lock_key, Body=json.dumps(lock).encode())
    assert not in_s3.run_pass()
    newest = in_s3.deployments("demo")[0]
    assert newest.lock
    assert newest.lock["who"] == "ann@laptop"
    # An operator who knows that nobody holds it frees it.
    program = start(
        [
            executable,
            str(ROOT / "creator/break_glass/main.py"),
            "unlock",
            "demo",
            "--lock-id",
            lock["ID"],
        ],
        environment=in_s3.environment()
        | {
            "S3_ACCESS_KEY_ID": s3_access.access_key_id,
            "S3_SECRET_ACCESS_KEY": s3_access.secret_access_key,
            "MR_PROBER_ENVIRONMENT": "test",
            "MR_PROBER_S3_ENDPOINT_URL": s3_access.endpoint_url,
            "MR_PROBER_S3_REGION": s3_access.region,
            "MR_PROBER_S3_STATES_BUCKET": STATES,
            "MR_PROBER_S3_FILES_BUCKET": STATES,
        },
        cwd=in_s3.data_folder,
        stdout=PIPE,
        stderr=PIPE,
    )
    said, complained = program.communicate(timeout=60)
    assert program.returncode == 0, complained.decode()
    assert "freed the lock some-lock of ann@laptop" in said.decode()
    assert in_s3.run_pass(), in_s3.deployments("demo")[0].error
    in_s3.delete_cluster("demo")
    assert in_s3.run_pass(), in_s3.deployments("demo")[0].error
    assert in_s3.cluster("demo").state is ClusterState.DESTROYED


def test_a_state_in_a_file_is_not_moved_to_s3_by_itself(in_s3: Installation) -> None:
    in_s3.add_recipe("thing", {"main.tf": THING})
    in_s3.add_cluster("demo", "thing", {"word": "one"})
    in_s3.update_cluster("demo", state_key="local")
    assert not in_s3.run_pass()
    (failed,) = in_s3.deployments("demo")
    assert failed.state is DeploymentState.FAILED
    assert "the state of this cluster is in a file of Creator's data folder" in failed.error
    assert failed.steps == []


def test_a_state_that_is_gone_from_s3_makes_nothing_twice(
    in_s3: Installation, s3_access: S3Access
) -> None:
    in_s3.add_recipe("thing", {"main.tf": THING})
    cluster_id = in_s3.add_cluster("demo", "thing", {"word": "one"})
    assert in_s3.run_pass()
    s3_client(s3_access).delete_object(Bucket=STATES, Key=f"test/{cluster_id}")
    in_s3.delete_cluster("demo")
    assert not in_s3.run_pass()
    newest = in_s3.deployments("demo")[0]
    assert f"missing at s3://{STATES}/test/{cluster_id}" in newest.error
    assert newest.steps == []


def _holds(path: Path, access: S3Access) -> bool:
    return path.is_file() and access.secret_access_key.encode() in path.read_bytes()

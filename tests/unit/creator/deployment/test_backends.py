"""Where states are, and that nobody looks for one in another place."""

import os
from pathlib import Path
from uuid import UUID

import pytest

from common.s3_object_storage import S3Access
from creator.deployment.backends import LocalStates, S3States
from creator.deployment.workspaces import Workspaces
from creator.errors import StateElsewhereError

CLUSTER = UUID(int=7)
SECRET = "the-secret-of-the-key"
LOCAL = LocalStates(Path("/data/states"))


def _s3(folder: Path, *, endpoint: str = "http://127.0.0.1:1") -> S3States:
    access = S3Access(endpoint, "r", "id", SECRET)
    return S3States(access, "bucket", "prod/", folder, client=None)


def test_a_state_in_a_file_is_named_by_the_cluster() -> None:
    path = f"/data/states/{CLUSTER}/terraform.tfstate"
    assert LOCAL.key_for(CLUSTER) == "local"
    assert LOCAL.backend(CLUSTER, "local") == {"local": {"path": path}}


def test_a_state_in_s3_has_a_lock_file_and_no_secret_in_its_block(tmp_path: Path) -> None:
    states = _s3(tmp_path)
    key = states.key_for(CLUSTER)
    assert key == f"s3://bucket/prod/{CLUSTER}"
    block = states.backend(CLUSTER, key)["s3"]
    assert isinstance(block, dict)
    assert (block["bucket"], block["key"]) == ("bucket", f"prod/{CLUSTER}")
    assert block["use_lockfile"] is True
    assert SECRET not in str(block)
    states.write_credentials()
    path = tmp_path / "states.credentials"
    recipe = Workspaces(tmp_path).of(CLUSTER).recipe
    assert block["shared_credentials_files"] == [os.path.relpath(path, recipe)]
    assert path.read_text().splitlines()[0] == f"[{block['profile']}]"
    assert SECRET in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "endpoints" not in str(_s3(tmp_path, endpoint="").backend(CLUSTER, key))
    assert states.backend(CLUSTER, key) == _s3(Path("/elsewhere")).backend(CLUSTER, key)


def test_a_state_stays_in_the_bucket_where_it_was_made(tmp_path: Path) -> None:
    block = _s3(tmp_path).backend(CLUSTER, "s3://old-bucket/old/prefix/key")["s3"]
    assert isinstance(block, dict)
    assert (block["bucket"], block["key"]) == ("old-bucket", "old/prefix/key")


def test_nothing_is_moved_from_one_place_to_the_other(tmp_path: Path) -> None:
    with pytest.raises(StateElsewhereError, match="in a file of Creator's data folder"):
        _s3(tmp_path).backend(CLUSTER, "local")
    with pytest.raises(StateElsewhereError, match="at s3://b/k, and nothing moves it"):
        LOCAL.backend(CLUSTER, "s3://b/k")


def test_hosts_agree_on_what_decides_about_a_deployment(tmp_path: Path) -> None:
    key = "s3://bucket/key"
    one, other = _s3(tmp_path / "a"), _s3(tmp_path / "b", endpoint="http://127.0.0.1:2")
    assert one.shown(CLUSTER, key) == other.shown(CLUSTER, key) == LOCAL.shown(CLUSTER, key)
    assert LOCAL.lock_reader(CLUSTER, key) is None
    assert one.lock_reader(CLUSTER, "local") is None

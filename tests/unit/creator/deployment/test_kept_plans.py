"""Plans that wait, and what was applied last: sealed, bound, bounded in time."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from common.contracts.files import FileUpload
from common.encryption import DamagedSecretError, keyring_of_text
from common.object_storage import FileSystemObjectStorage
from creator.deployment.plans import (
    Plans,
    RestoredPlan,
    SavedPlan,
    kept_plan,
    reason_against,
    sha256_of,
    state_of,
)
from creator.deployment.snapshots import Material, Snapshots
from creator.errors import SnapshotMissingError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DEPLOYMENT, OTHER = UUID(int=1), UUID(int=2)
KEYRING = keyring_of_text("a-key-of-the-tests-that-is-long-enough")
MATERIAL = Material(
    revision_id=UUID(int=3),
    files=(FileUpload.of("main.tf", b"a\0b").reference(),),
    contents={"main.tf": b"a\0b"},
    values={"word": "one", "list": [1, None, {"a": True}]},
    sensitive=frozenset({"word"}),
    dependency_lock="locked",
)


@pytest.fixture
def storage(tmp_path: Path) -> FileSystemObjectStorage:
    return FileSystemObjectStorage(tmp_path / "objects")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """As terraform's saved plans are, as far as we look into them."""
    path = tmp_path / "saved"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tfplan", "secret inside")
        archive.writestr("tfstate-prev", json.dumps({"lineage": "l", "serial": 7}))
    return path


def test_a_kept_plan_is_sealed_and_comes_back_as_it_was(
    storage: FileSystemObjectStorage, saved: Path
) -> None:
    plans = Plans(storage, KEYRING, life=timedelta(hours=1))
    plan = plans.keep(DEPLOYMENT, SavedPlan(saved, "f", ["vm.a"], "so many"), lock="lock", now=NOON)
    assert kept_plan(plan.model_dump(mode="json")) == plan
    assert (plan.lineage, plan.serial) == ("l", 7)
    assert b"secret inside" not in (storage.read(plan.key) or b"")
    assert b"vm.a" not in (storage.read(plan.key) or b"")
    assert plans.read(DEPLOYMENT, plan) == RestoredPlan(saved.read_bytes(), ("vm.a",), "so many")


def test_a_plan_of_another_deployment_a_changed_or_a_lost_one_is_none(
    storage: FileSystemObjectStorage, saved: Path
) -> None:
    plans = Plans(storage, KEYRING, life=timedelta(hours=1))
    plan = plans.keep(DEPLOYMENT, SavedPlan(saved, "f", ["vm.a"]), lock="", now=NOON)
    assert plans.read(OTHER, plan) is None
    assert plans.read(DEPLOYMENT, plan.model_copy(update={"sha256": "0"})) is None
    assert plans.remove(plan.key)
    assert plans.read(DEPLOYMENT, plan) is None
    assert plans.remove(plan.key), "to remove it again is no mistake"


@pytest.mark.parametrize(
    ("fingerprint", "lock", "later", "reason"),
    [
        ("f", "lock", timedelta(minutes=59), ""),
        ("f", "lock", timedelta(hours=1), "it has expired at 2026-01-01 13:00:00 UTC"),
        ("g", "lock", timedelta(0), "the description has changed since"),
        ("f", "other", timedelta(0), "the providers have changed since"),
    ],
)
def test_a_plan_is_good_for_what_it_was_made_from_and_for_a_time(
    storage: FileSystemObjectStorage,
    saved: Path,
    fingerprint: str,
    lock: str,
    later: timedelta,
    reason: str,
) -> None:
    plans = Plans(storage, KEYRING, life=timedelta(hours=1))
    plan = plans.keep(DEPLOYMENT, SavedPlan(saved, "f", ["vm.a"]), lock="lock", now=NOON)
    assert plan.lock_sha256 == sha256_of("lock")
    assert reason_against(plan, fingerprint=fingerprint, lock=lock, now=NOON + later) == reason


def test_what_is_no_plan_names_no_state(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no plan")
    assert state_of(tmp_path / "text") == ("", 0)
    assert state_of(tmp_path / "missing") == ("", 0)
    assert kept_plan(None) is None
    assert kept_plan({"key": "of another version"}) is None


def test_a_snapshot_comes_back_as_it_was_and_shows_nothing(
    storage: FileSystemObjectStorage,
) -> None:
    snapshots = Snapshots(storage, KEYRING)
    key = snapshots.write(OTHER, DEPLOYMENT, MATERIAL)
    assert snapshots.read(OTHER, key) == MATERIAL
    assert MATERIAL.secret_values == ["one"]
    assert b"main.tf" not in (storage.read(key) or b"")
    with pytest.raises(DamagedSecretError):
        snapshots.read(DEPLOYMENT, key)
    snapshots.remove(key)
    with pytest.raises(SnapshotMissingError):
        snapshots.read(OTHER, key)

"""What terraform finds in its folder."""

import json
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from pydantic import JsonValue

from common.contracts.files import FileUpload
from common.object_storage import file_key
from creator.deployment.snapshots import Material
from creator.deployment.workspaces import (
    Workspace,
    Workspaces,
    forget_init,
    init_inputs,
    init_is_due,
    is_prepared_for,
    keep_secrets,
    known_secrets,
    prepare,
    read_recipe,
    remember_init,
    remove,
)
from creator.errors import FileContentError

CLUSTER = UUID(int=7)
DEPLOYMENT = UUID(int=8)
BACKEND: dict[str, JsonValue] = {"local": {"path": "/s/terraform.tfstate"}}


class FakeObjectStorage:
    """Objects in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def write(self, key: str, content: bytes) -> None:
        self.objects[key] = content

    def read(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def exists(self, key: str) -> bool:
        return key in self.objects

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


def _material(contents: dict[str, bytes], **values: object) -> Material:
    files = [
        FileUpload.of(path, text, executable=path.endswith(".py")).reference()
        for path, text in contents.items()
    ]
    lock = str(values.pop("lock", ""))
    return Material(
        revision_id=UUID(int=1),
        files=tuple(files),
        contents=contents,
        values=cast("dict[str, JsonValue]", values),
        dependency_lock=lock,
    )


def _prepare(workspace: Workspace, contents: dict[str, bytes], **values: object) -> None:
    prepare(workspace, _material(contents, **values), BACKEND, deployment_id=DEPLOYMENT)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspaces(tmp_path).of(CLUSTER)


def test_a_workspace_holds_recipe_values_and_backend_for_its_owner_only(
    workspace: Workspace, tmp_path: Path
) -> None:
    contents = {"main.tf": b"a", "modules/m.tf": b"b", "run.py": b"c"}
    _prepare(workspace, contents, hosts=3, token="s")

    recipe = tmp_path / "workspaces" / str(CLUSTER) / "recipe"
    assert (recipe / "main.tf").read_bytes() == b"a"
    assert (recipe / "modules/m.tf").read_bytes() == b"b"
    assert _mode(recipe / "run.py") == 0o700
    assert _mode(recipe / "main.tf") == 0o600
    assert json.loads((recipe / "terraform.tfvars.json").read_text()) == {"hosts": 3, "token": "s"}
    assert _mode(recipe / "terraform.tfvars.json") == 0o600
    assert json.loads((recipe / "mr_prober_override.tf.json").read_text()) == {
        "terraform": {"backend": BACKEND}
    }
    assert workspace.state_folder == tmp_path / "states" / str(CLUSTER)
    for folder in (workspace.root, workspace.recipe, workspace.run, workspace.state_folder):
        assert _mode(folder) == 0o700


def test_files_of_the_old_revision_go_and_what_init_made_stays(workspace: Workspace) -> None:
    _prepare(workspace, {"old.tf": b"a", "folder/old.tf": b"b"}, lock="of the old one")
    (workspace.recipe / ".terraform/providers").mkdir(parents=True)
    workspace.saved_plan.write_text("a plan of yesterday")
    (workspace.run / "step").mkdir()

    _prepare(workspace, {"new.tf": b"c"})

    assert sorted(path.name for path in workspace.recipe.iterdir()) == [
        ".terraform",
        "mr_prober_override.tf.json",
        "new.tf",
        "terraform.tfvars.json",
    ]
    assert list(workspace.run.iterdir()) == []


def test_our_values_and_backend_win_over_files_of_the_same_name(workspace: Workspace) -> None:
    contents = {"terraform.tfvars.json": b"theirs", "mr_prober_override.tf.json": b"theirs"}
    _prepare(workspace, contents, a=1)

    assert json.loads((workspace.recipe / "terraform.tfvars.json").read_text()) == {"a": 1}
    assert "backend" in (workspace.recipe / "mr_prober_override.tf.json").read_text()


def test_a_removed_workspace_keeps_its_state(workspace: Workspace) -> None:
    _prepare(workspace, {})
    state = workspace.state_folder / "terraform.tfstate"
    state.write_text("{}")

    remove(workspace)
    remove(workspace)

    assert not workspace.root.exists()
    assert state.exists()


def test_providers_stay_those_of_the_revision_unless_the_recipe_brings_its_own(
    workspace: Workspace,
) -> None:
    _prepare(workspace, {}, lock="ours")
    assert workspace.lock_file.read_text() == "ours"
    _prepare(workspace, {".terraform.lock.hcl": b"its own"}, lock="ours")
    assert workspace.lock_file.read_text() == "its own"


def test_knows_for_which_deployment_it_was_prepared(workspace: Workspace) -> None:
    assert not is_prepared_for(workspace, DEPLOYMENT)
    _prepare(workspace, {})
    assert is_prepared_for(workspace, DEPLOYMENT)
    assert not is_prepared_for(workspace, CLUSTER)


def test_after_a_boot_it_is_prepared_for_nobody(workspace: Workspace) -> None:
    _prepare(workspace, {})
    prepared = workspace.deployment.read_text()
    workspace.deployment.write_text(prepared.replace(prepared.split()[1], "an earlier boot"))
    assert not is_prepared_for(workspace, DEPLOYMENT)


def test_secrets_that_did_not_change_are_not_written_again(workspace: Workspace) -> None:
    keep_secrets(workspace, ["one", "two"])
    before = workspace.secrets.stat().st_ino
    keep_secrets(workspace, ["two", "one"])
    assert workspace.secrets.stat().st_ino == before
    keep_secrets(workspace, ["three"])
    assert known_secrets(workspace) == ("three",)
    assert workspace.secrets.stat().st_mode & 0o777 == 0o600


def test_init_is_due_unless_it_was_made_with_the_same_inputs_here(workspace: Workspace) -> None:
    _prepare(workspace, {})
    assert init_is_due(workspace, "one")
    remember_init(workspace, "one")
    assert init_is_due(workspace, "one"), "what it made is gone"
    (workspace.recipe / ".terraform").mkdir()
    assert not init_is_due(workspace, "one")
    assert init_is_due(workspace, "two")
    forget_init(workspace)
    assert init_is_due(workspace, "one")


def _inputs(contents: dict[str, bytes], lock: str = "", engine: str = "1.11.4") -> str:
    return init_inputs(contents, lock=lock, backend=BACKEND, engine=engine)


def test_inputs_of_init_are_terraform_files_providers_backend_and_engine() -> None:
    contents = {"main.tf": b"a", "m/x.tf.json": b"b", "page.html": b"c"}
    same = _inputs(contents)
    assert same == _inputs(contents | {"page.html": b"d"})
    others = [
        _inputs(contents | {"main.tf": b"d"}),
        _inputs(contents | {"m/x.tf.json": b"d"}),
        _inputs(contents, lock="l"),
        _inputs(contents, engine="1.12.0"),
        init_inputs(contents, lock="", backend={"s3": {}}, engine="1.11.4"),
    ]
    assert len({same, *others}) == 6


def test_every_content_is_checked_against_its_hash() -> None:
    contents = {"main.tf": b"a"}
    files = _material(contents).files
    storage = FakeObjectStorage()
    with pytest.raises(FileContentError, match=r"file main\.tf of the recipe: .* is missing"):
        read_recipe(storage, files)
    storage.write(file_key(files[0].sha256), b"rotten")
    with pytest.raises(FileContentError, match=r"file main\.tf of the recipe: .* is damaged"):
        read_recipe(storage, files)
    storage.write(file_key(files[0].sha256), b"a")

    assert read_recipe(storage, files) == contents

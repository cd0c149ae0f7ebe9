"""What terraform finds in its folder."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from common.contracts.files import FileReference, FileUpload
from common.object_storage import file_key
from creator.deployment.workspaces import Workspace, Workspaces, prepare, read_recipe, remove
from creator.errors import FileContentError

CLUSTER = UUID(int=7)


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


def _files(**contents: bytes) -> tuple[list[FileReference], dict[str, bytes]]:
    paths = {path.replace("__", "/").replace("_", "."): text for path, text in contents.items()}
    uploads = [
        FileUpload.of(path, text, executable=path.endswith(".py")) for path, text in paths.items()
    ]
    return [upload.reference() for upload in uploads], paths


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspaces(tmp_path).of(CLUSTER)


def test_a_workspace_holds_recipe_values_and_backend_for_its_owner_only(
    workspace: Workspace, tmp_path: Path
) -> None:
    files, contents = _files(main_tf=b"a", modules__m_tf=b"b", run_py=b"c")

    prepare(workspace, files, contents, {"hosts": 3, "token": "s"})

    recipe = tmp_path / "workspaces" / str(CLUSTER) / "recipe"
    state = tmp_path / "states" / str(CLUSTER) / "terraform.tfstate"
    assert (recipe / "main.tf").read_bytes() == b"a"
    assert (recipe / "modules/m.tf").read_bytes() == b"b"
    assert _mode(recipe / "run.py") == 0o700
    assert _mode(recipe / "main.tf") == 0o600
    assert json.loads((recipe / "terraform.tfvars.json").read_text()) == {"hosts": 3, "token": "s"}
    assert _mode(recipe / "terraform.tfvars.json") == 0o600
    assert json.loads((recipe / "mr_prober_override.tf.json").read_text()) == {
        "terraform": {"backend": {"local": {"path": str(state)}}}
    }
    for folder in (workspace.root, workspace.recipe, workspace.run, state.parent):
        assert _mode(folder) == 0o700


def test_files_of_the_old_revision_go_and_what_init_made_stays(workspace: Workspace) -> None:
    files, contents = _files(old_tf=b"a", folder__old_tf=b"b")
    prepare(workspace, files, contents, {})
    (workspace.recipe / ".terraform/providers").mkdir(parents=True)
    (workspace.recipe / ".terraform.lock.hcl").write_text("locked")
    workspace.saved_plan.write_text("a plan of yesterday")
    files, contents = _files(new_tf=b"c")

    prepare(workspace, files, contents, {})

    assert sorted(path.name for path in workspace.recipe.iterdir()) == [
        ".terraform",
        ".terraform.lock.hcl",
        "mr_prober_override.tf.json",
        "new.tf",
        "terraform.tfvars.json",
    ]
    assert list(workspace.run.iterdir()) == []


def test_our_values_and_backend_win_over_files_of_the_same_name(workspace: Workspace) -> None:
    contents = {"terraform.tfvars.json": b"theirs", "mr_prober_override.tf.json": b"theirs"}
    files = [FileUpload.of(path, text).reference() for path, text in contents.items()]

    prepare(workspace, files, contents, {"a": 1})

    assert json.loads((workspace.recipe / "terraform.tfvars.json").read_text()) == {"a": 1}
    assert "backend" in (workspace.recipe / "mr_prober_override.tf.json").read_text()


def test_a_removed_workspace_keeps_its_state(workspace: Workspace) -> None:
    prepare(workspace, [], {}, {})
    workspace.state.write_text("{}")

    remove(workspace)
    remove(workspace)

    assert not workspace.root.exists()
    assert workspace.state.exists()


def test_every_content_is_checked_against_its_hash() -> None:
    files, contents = _files(main_tf=b"a")
    storage = FakeObjectStorage()
    with pytest.raises(FileContentError, match=r"file main\.tf of the recipe: .* is missing"):
        read_recipe(storage, files)
    storage.write(file_key(files[0].sha256), b"rotten")
    with pytest.raises(FileContentError, match=r"file main\.tf of the recipe: .* is damaged"):
        read_recipe(storage, files)
    storage.write(file_key(files[0].sha256), b"a")

    assert read_recipe(storage, files) == contents

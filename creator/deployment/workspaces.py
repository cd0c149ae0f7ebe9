"""Act: the folder in which terraform runs for one cluster.

`$DATA_DIR/workspaces/<cluster id>/recipe/` is terraform's working directory: the recipe's files, the values, the backend;
`…/run/` is ours: the saved plan and the output of each step.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pydantic import JsonValue

from common.atomic_files import write_atomically
from common.contracts.files import FileReference
from common.object_storage import ObjectStorage, file_key
from creator.deployment.terraform import VALUES_FILE
from creator.errors import FileContentError

BACKEND_FILE = "mr_prober_override.tf.json"
# Made by `terraform init` and worth keeping between revisions of a recipe.
_TERRAFORM_FOLDER = ".terraform"
_LOCK_FILE = ".terraform.lock.hcl"


@dataclass(frozen=True)
class Workspace:
    """Paths of one cluster."""

    root: Path
    state: Path

    @property
    def recipe(self) -> Path:
        """terraform's working directory."""
        return self.root / "recipe"

    @property
    def run(self) -> Path:
        """What we keep beside it."""
        return self.root / "run"

    @property
    def saved_plan(self) -> Path:
        """The plan between `plan` and `apply`; it holds secrets in clear."""
        return self.run / "plan.tfplan"

    @property
    def answer(self) -> Path:
        """Where a command's JSON goes for a moment; it holds secrets in clear."""
        return self.run / "answer.json"

    @property
    def secrets(self) -> Path:
        """What logs must not show: of this deployment, and of those since the last good one; in clear."""
        return self.root / "secrets.json"

    def deployment_log(self, deployment_id: UUID) -> Path:
        """What the commands of a deployment print."""
        return self.run / f"{deployment_id}.log"

    def backend(self) -> dict[str, JsonValue]:
        """Where terraform keeps the state: a local file, by its absolute path."""
        return {"local": {"path": str(self.state)}}


class Workspaces:
    """All workspaces and states below the data folder, which is an absolute path."""

    def __init__(self, data_folder: Path) -> None:
        self._data_folder = data_folder

    def of(self, cluster_id: UUID) -> Workspace:
        """The paths of a cluster; nothing is made."""
        return Workspace(
            root=self._data_folder / "workspaces" / str(cluster_id),
            state=self._data_folder / "states" / str(cluster_id) / "terraform.tfstate",
        )


def read_recipe(storage: ObjectStorage, files: Iterable[FileReference]) -> dict[str, bytes]:
    """Content of each file of a revision by its path, checked against its hash; FileContentError, ObjectStorageError."""
    contents = {}
    for file in files:
        content = storage.read(file_key(file.sha256))
        if content is None:
            raise FileContentError(file.path, "its content is missing in object storage")
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise FileContentError(file.path, "its content in object storage is damaged")
        contents[file.path] = content
    return contents


def prepare(
    workspace: Workspace,
    files: Iterable[FileReference],
    contents: Mapping[str, bytes],
    values: Mapping[str, JsonValue],
) -> None:
    """Make the workspace hold exactly this recipe and these values; OSError.

    Files of earlier revisions and earlier runs go, what `terraform init` made stays.
    """
    for folder in (workspace.root, workspace.recipe, workspace.run, workspace.state.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear(workspace.run)
    _clear(workspace.recipe, keep={_TERRAFORM_FOLDER, _LOCK_FILE})
    unpack(workspace.recipe, files, contents)
    # After the recipe's files: ours win.
    _write_json(workspace.recipe / BACKEND_FILE, {"terraform": {"backend": workspace.backend()}})
    _write_json(workspace.recipe / VALUES_FILE, dict(values))


def known_secrets(workspace: Workspace) -> tuple[str, ...]:
    """What `keep_secrets` kept; OSError."""
    try:
        return tuple(json.loads(workspace.secrets.read_bytes()))
    except FileNotFoundError:
        return ()


def keep_secrets(workspace: Workspace, secrets: Iterable[str]) -> None:
    """Keep them beside the values, readable for Creator only: whoever comes after a crash hides them, too; OSError."""
    workspace.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_json(workspace.secrets, [*sorted(set(secrets))])


def unpack(folder: Path, files: Iterable[FileReference], contents: Mapping[str, bytes]) -> None:
    """Write a recipe's files into a folder; OSError."""
    for file in files:
        path = folder / file.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # a lock file of the recipe's own
        path.write_bytes(contents[file.path])
        path.chmod(0o700 if file.mode == "0755" else 0o600)


def remove(workspace: Workspace) -> None:
    """Remove the workspace of a destroyed cluster; its state file stays."""
    shutil.rmtree(workspace.root, ignore_errors=True)


def _clear(folder: Path, *, keep: Iterable[str] = ()) -> None:
    for entry in folder.iterdir():
        if entry.name in keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _write_json(path: Path, value: JsonValue) -> None:
    write_atomically(path, json.dumps(value, indent=1).encode())

"""Act: the folder in which terraform runs for one cluster.

`$DATA_DIR/workspaces/<cluster id>/recipe/` is terraform's working directory: the recipe's files, the values, the backend;
`…/run/` is ours: the output of each step.
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
from common.contracts.values import canonical_json
from common.object_storage import ObjectStorage, file_key
from creator.deployment.snapshots import Material
from creator.deployment.terraform import VALUES_FILE
from creator.errors import FileContentError
from creator.steps.adoption import lives_here
from creator.steps.run_folder import RunFolder

BACKEND_FILE = "mr_prober_override.tf.json"
# Made by `terraform init` and worth keeping between revisions of a recipe.
_TERRAFORM_FOLDER = ".terraform"
LOCK_FILE = ".terraform.lock.hcl"
# In terraform's own folder, since terraform writes it, maybe as another user.
SAVED_PLAN = "mr_prober.tfplan"
# From terraform's working directory, that of break glass, too: `workspaces/<cluster id>/recipe`, `break-glass/<id>/recipe`.
WAY_TO_DATA_FOLDER = "../../.."
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Workspace:
    """Paths of one cluster."""

    root: Path
    state_folder: Path  # of a local state

    @property
    def recipe(self) -> Path:
        """terraform's working directory."""
        return self.root / "recipe"

    @property
    def run(self) -> Path:
        """What we keep beside it: a folder for each step."""
        return self.root / "run"

    @property
    def saved_plan(self) -> Path:
        """The plan between `plan` and `apply`; it holds secrets in clear."""
        return self.recipe / SAVED_PLAN

    @property
    def lock_file(self) -> Path:
        """terraform's dependency lock file: which providers the recipe gets."""
        return self.recipe / LOCK_FILE

    @property
    def secrets(self) -> Path:
        """What logs must not show: of this deployment, and of those since the last good one; in clear."""
        return self.root / "secrets.json"

    @property
    def deployment(self) -> Path:
        """For which deployment the workspace was prepared."""
        return self.root / "deployment"

    @property
    def initialized(self) -> Path:
        """Of which inputs the last `init` was made."""
        return self.root / "initialized"


class Workspaces:
    """All workspaces and local states below the data folder, which is an absolute path."""

    def __init__(self, data_folder: Path) -> None:
        self._data_folder = data_folder

    @property
    def states(self) -> Path:
        """The folder of all local states."""
        return self._data_folder / "states"

    def of(self, cluster_id: UUID) -> Workspace:
        """The paths of a cluster; nothing is made."""
        return Workspace(
            root=self._data_folder / "workspaces" / str(cluster_id),
            state_folder=self.states / str(cluster_id),
        )

    def have_a_terraform(self) -> bool:
        """Whether a step of any cluster lives within our sight; yes, if that cannot be read."""
        folders = self._data_folder.glob("workspaces/*/run/*/")
        try:
            return any(lives_here(RunFolder(folder)) for folder in folders)
        except OSError:
            return True


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
    material: Material,
    backend: Mapping[str, JsonValue],
    *,
    deployment_id: UUID,
) -> None:
    """Make the workspace hold exactly this recipe, these values and this backend; OSError.

    Files of earlier revisions and earlier runs go, what `terraform init` made stays.
    """
    for folder in (workspace.root, workspace.recipe, workspace.run, workspace.state_folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    workspace.deployment.unlink(missing_ok=True)  # prepared for nobody, until all of it is there
    _clear(workspace.run)
    _clear(workspace.recipe, keep={_TERRAFORM_FOLDER})
    if material.dependency_lock:
        workspace.lock_file.write_text(material.dependency_lock)
    unpack(workspace.recipe, material.files, material.contents)
    # After the recipe's files: ours win.
    _write_json(workspace.recipe / BACKEND_FILE, {"terraform": {"backend": dict(backend)}})
    _write_json(workspace.recipe / VALUES_FILE, dict(material.values))
    workspace.deployment.write_text(_prepared(deployment_id))


def is_prepared_for(workspace: Workspace, deployment_id: UUID) -> bool:
    """Whether nobody has prepared it for another deployment since, nor has the machine lost its power; OSError."""
    path = workspace.deployment
    return path.exists() and path.read_text() == _prepared(deployment_id)


def init_is_due(workspace: Workspace, inputs: str) -> bool:
    """Whether `terraform init` was never run with these inputs here; OSError."""
    if not (workspace.recipe / _TERRAFORM_FOLDER).is_dir() or not workspace.initialized.exists():
        return True
    return workspace.initialized.read_text() != inputs


def remember_init(workspace: Workspace, inputs: str) -> None:
    """`terraform init` has succeeded; OSError."""
    workspace.initialized.write_text(inputs)


def forget_init(workspace: Workspace) -> None:
    """Whatever is remembered of it is not to be believed; OSError."""
    workspace.initialized.unlink(missing_ok=True)


def init_inputs(
    contents: Mapping[str, bytes], *, lock: str, backend: Mapping[str, JsonValue], engine: str
) -> str:
    """SHA-256 of all that `terraform init` looks at: the recipe's terraform files, providers, backend, engine. Pure.

    The files whole: what in them is of interest to `init` only HCL could tell.
    """
    digest = hashlib.sha256()
    for path in sorted(contents):
        if path.endswith((".tf", ".tf.json")):
            digest.update(f"{path}\0{hashlib.sha256(contents[path]).hexdigest()}\0".encode())
    digest.update(canonical_json({"lock": lock, "backend": dict(backend), "engine": engine}))
    return digest.hexdigest()


def known_secrets(workspace: Workspace) -> tuple[str, ...]:
    """What `keep_secrets` kept; OSError."""
    try:
        return tuple(json.loads(workspace.secrets.read_bytes()))
    except FileNotFoundError:
        return ()


def keep_secrets(workspace: Workspace, secrets: Iterable[str]) -> None:
    """Keep them beside the values, readable for Creator only: whoever comes after a crash hides them, too; OSError."""
    workspace.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = tuple(sorted(set(secrets)))
    if not workspace.secrets.exists() or known_secrets(workspace) != kept:
        write_atomically(workspace.secrets, json.dumps(kept).encode())


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


def _prepared(deployment_id: UUID) -> str:
    # The files are not flushed to disk one by one: after a boot any of them may be empty.
    return f"{deployment_id} {_BOOT_ID.read_text()}"


def _write_json(path: Path, value: JsonValue) -> None:
    path.unlink(missing_ok=True)  # one of the recipe's own
    path.touch(mode=0o600)
    path.write_text(json.dumps(value, indent=1))

"""Act: make the workspace ready for a deployment, and remember what `terraform init` was run with."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from common.masking import forms_of
from creator.deployment.attempts import Attempt
from creator.deployment.deployment_records import DeploymentRecords
from creator.deployment.gates import Plan
from creator.deployment.plans import KeptPlan, Plans, SavedPlan, reason_against
from creator.deployment.snapshots import Material
from creator.deployment.workspaces import (
    LOCK_FILE,
    forget_init,
    init_inputs,
    init_is_due,
    keep_secrets,
    prepare,
    remember_init,
)
from creator.errors import ApprovedPlanGoneError
from creator.steps.launches import User
from creator.steps.users import hand_over, open_the_way

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preparation:
    """Prepares workspaces; may be used by several threads."""

    records: DeploymentRecords
    plans: Plans
    # What else decides about `init`: terraform's version and its configuration.
    engine: str
    data_folder: Path
    user: User | None
    clock: Callable[[], datetime]

    def prepare(self, attempt: Attempt) -> None:
        """Files, values, backend, and the approved plan, if there is one; OSError, ObjectStorageError."""
        workspace, material = attempt.workspace, attempt.material
        keep_secrets(workspace, attempt.log.secrets)
        prepare(workspace, material, attempt.backend, deployment_id=attempt.id)
        attempt.init_is_due = init_is_due(workspace, self._inputs(attempt))
        if attempt.approved_plan is not None:
            self._restore(attempt, attempt.approved_plan)
        self._hand_over(attempt)

    def initialized(self, attempt: Attempt) -> None:
        """`init` went well: remember with what, and which providers it chose; OSError."""
        lock = _lock_of(attempt)
        if lock and not attempt.material.dependency_lock and not has_own_lock(attempt.material):
            self.records.keep_dependency_lock(attempt.material.revision_id, lock)
        remember_init(attempt.workspace, self._inputs(attempt))
        attempt.init_is_due = False

    def not_initialized(self, attempt: Attempt) -> None:
        """terraform does not believe what we remember; OSError."""
        forget_init(attempt.workspace)

    def keep_plan(self, attempt: Attempt) -> KeptPlan:
        """Keep the saved plan until a person has decided; OSError, ObjectStorageError, EncryptionError."""
        changes = list(attempt.events.changes.values())
        destroyed = Plan(changes, existing_count=0).destroyed
        saved = SavedPlan(
            attempt.workspace.saved_plan,
            attempt.fingerprint,
            destroyed,
            miscount=attempt.events.miscount,
        )
        return self.plans.keep(attempt.id, saved, lock=_lock_of(attempt), now=self.clock())

    def _restore(self, attempt: Attempt, plan: KeptPlan) -> None:
        """Put the approved plan where `plan` would have put it; ApprovedPlanGoneError."""
        lock = attempt.material.dependency_lock or _lock_of(attempt)
        against = reason_against(plan, fingerprint=attempt.fingerprint, lock=lock, now=self.clock())
        restored = None if against else self.plans.read(attempt.id, plan)
        if restored is None:
            raise ApprovedPlanGoneError(against or "it is not in object storage any more")
        saved = attempt.workspace.saved_plan
        saved.touch(mode=0o600)
        saved.write_bytes(restored.content)
        attempt.approved_destroys = restored.destroyed
        attempt.approved_miscount = restored.miscount

    def _inputs(self, attempt: Attempt) -> str:
        return init_inputs(
            attempt.material.contents,
            lock=_lock_of(attempt),
            backend=attempt.backend,
            engine=self.engine,
        )

    def _hand_over(self, attempt: Attempt) -> None:
        """What terraform writes belongs to its user."""
        workspace = attempt.workspace
        for folder in (workspace.recipe, workspace.state_folder):
            hand_over(folder, self.user)
            open_the_way(folder.parent, self.data_folder, self.user)


def has_own_lock(material: Material) -> bool:
    """Whether the recipe brings its own dependency lock file, which wins."""
    return LOCK_FILE in material.contents


def secrets_of(material: Material) -> tuple[str, ...]:
    """What no log may show of the values that a workspace is made of."""
    return tuple(form for value in material.secret_values for form in forms_of(value))


def _lock_of(attempt: Attempt) -> str:
    try:
        return attempt.workspace.lock_file.read_text(errors="replace")
    except FileNotFoundError:
        return ""

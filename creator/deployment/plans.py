"""Plans that wait for a person: kept encrypted, bound to what they were made from, usable by any Creator until they expire."""

import base64
import hashlib
import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from common.contracts.values import Wire
from common.encryption import EncryptionError, Keyring
from common.object_storage import ObjectStorage, ObjectStorageError, plan_key

log = logging.getLogger(__name__)

_STATE_BEFORE = "tfstate-prev"  # in the saved plan: the state that it was made from
_LARGEST_STATE_BYTES = 256 * 1024 * 1024


class KeptPlan(Wire):
    """Where a plan is and what it is good for: `deployments.plan`. `lineage` and `serial` name the state."""

    key: str
    sha256: str
    fingerprint: str  # of recipe, values, engine and place of the state
    lock_sha256: str  # of the dependency lock file
    lineage: str = ""
    serial: int = 0
    expires_at: datetime


@dataclass(frozen=True)
class SavedPlan:
    """A plan as terraform saved it: for what it was made, and the addresses that it destroys or replaces, all of them."""

    path: Path
    fingerprint: str
    destroyed: Sequence[str] = ()
    miscount: str = ""  # why these may not be all


@dataclass(frozen=True)
class RestoredPlan:
    """A plan as it was kept."""

    content: bytes = field(repr=False)
    destroyed: tuple[str, ...] = ()
    miscount: str = ""


class _Document(Wire):
    """As it is stored, before its encryption: addresses may hold secrets, too."""

    plan: bytes  # base64
    destroyed: list[str]
    miscount: str = ""


class Plans:
    """Kept plans in object storage."""

    def __init__(self, storage: ObjectStorage, keyring: Keyring, *, life: timedelta) -> None:
        self._storage = storage
        self._keyring = keyring
        self._life = life

    def keep(self, deployment_id: UUID, saved: SavedPlan, *, lock: str, now: datetime) -> KeptPlan:
        """Store the plan; OSError, ObjectStorageError, EncryptionError."""
        content = saved.path.read_bytes()
        lineage, serial = state_of(saved.path)
        document = _Document(
            plan=base64.b64encode(content),
            destroyed=list(saved.destroyed),
            miscount=saved.miscount,
        )
        key = plan_key(deployment_id)
        plain = document.model_dump_json().encode()
        sealed = self._keyring.encrypt(plain, context=_context(deployment_id))
        self._storage.write(key, sealed.encode())
        return KeptPlan(
            key=key,
            sha256=hashlib.sha256(content).hexdigest(),
            fingerprint=saved.fingerprint,
            lock_sha256=sha256_of(lock),
            lineage=lineage,
            serial=serial,
            expires_at=now + self._life,
        )

    def read(self, deployment_id: UUID, plan: KeptPlan) -> RestoredPlan | None:
        """The saved plan; None if it is not there any more, or not what was kept. ObjectStorageError."""
        sealed = self._storage.read(plan.key)
        if sealed is None:
            return None
        try:
            plain = self._keyring.decrypt(sealed.decode(), context=_context(deployment_id))
        except EncryptionError as error:
            log.warning("a kept plan cannot be opened deployment=%s: %s", deployment_id, error)
            return None
        document = _Document.model_validate_json(plain)
        content = base64.b64decode(document.plan)
        if hashlib.sha256(content).hexdigest() != plan.sha256:
            return None
        return RestoredPlan(content, tuple(document.destroyed), document.miscount)

    def remove(self, key: str) -> bool:
        """Whether it is gone; a storage that is away is asked again another time."""
        try:
            self._storage.delete(key)
        except ObjectStorageError as error:
            log.warning("a plan that nobody needs stays for now: %s", error)
            return False
        return True


def kept_plan(stored: Mapping[str, Any] | None) -> KeptPlan | None:
    """The value behind `deployments.plan`."""
    if stored is None:
        return None
    try:
        return KeptPlan.model_validate(stored)
    except ValidationError:
        return None  # another version of us wrote it: the plan is made anew


def reason_against(plan: KeptPlan, *, fingerprint: str, lock: str, now: datetime) -> str:
    """Why an approved plan may not be applied as it is; empty if it may. terraform itself compares the state. Pure."""
    if now >= plan.expires_at:
        return f"it has expired at {plan.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    if plan.fingerprint != fingerprint:
        return "the description has changed since"
    if plan.lock_sha256 != sha256_of(lock):
        return "the providers have changed since"
    return ""


def state_of(saved: Path) -> tuple[str, int]:
    """Lineage and serial of the state that a saved plan was made from; nothing if it cannot be told."""
    try:
        with zipfile.ZipFile(saved) as archive:
            if archive.getinfo(_STATE_BEFORE).file_size > _LARGEST_STATE_BYTES:
                return "", 0
            state = json.loads(archive.read(_STATE_BEFORE))
        return str(state["lineage"]), int(state["serial"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return "", 0


def sha256_of(text: str) -> str:
    """Of a dependency lock file."""
    return hashlib.sha256(text.encode()).hexdigest()


def _context(deployment_id: UUID) -> bytes:
    return f"saved plan/{deployment_id}".encode()

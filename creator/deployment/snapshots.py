"""What was applied last, kept encrypted, so that a destroy works whatever became of recipe and values since."""

import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import JsonValue

from common.contracts.files import FileReference
from common.contracts.values import Wire
from common.encryption import Keyring
from common.object_storage import ObjectStorage, ObjectStorageError, snapshots_folder
from creator.errors import SnapshotMissingError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Material:
    """What a workspace is made of."""

    revision_id: UUID
    files: tuple[FileReference, ...]
    contents: Mapping[str, bytes] = field(repr=False)  # by path
    values: Mapping[str, JsonValue] = field(repr=False)
    sensitive: frozenset[str] = frozenset()  # names of values that nobody may see
    dependency_lock: str = ""

    @property
    def secret_values(self) -> list[JsonValue]:
        """The values that nobody may see."""
        return [value for name, value in self.values.items() if name in self.sensitive]


NO_MATERIAL = Material(revision_id=UUID(int=0), files=(), contents={}, values={})


class _Document(Wire):
    """As it is stored, before its encryption."""

    format: int = 1
    revision_id: UUID
    files: list[FileReference]
    contents: dict[str, bytes]  # base64
    values: dict[str, JsonValue]
    sensitive: list[str]
    dependency_lock: str


class Snapshots:
    """Materials in object storage; calls may raise ObjectStorageError and EncryptionError."""

    def __init__(self, storage: ObjectStorage, keyring: Keyring) -> None:
        self._storage = storage
        self._keyring = keyring

    def write(self, cluster_id: UUID, deployment_id: UUID, material: Material) -> str:
        """Keep it before the apply begins; its key."""
        key = f"{snapshots_folder(cluster_id)}/{deployment_id}"
        plain = _document(material)
        sealed = self._keyring.encrypt(plain, context=_context(cluster_id, key))
        self._storage.write(key, sealed.encode())
        return key

    def read(self, cluster_id: UUID, key: str) -> Material:
        """What was applied last; SnapshotMissingError."""
        sealed = self._storage.read(key)
        if sealed is None:
            raise SnapshotMissingError(key)
        plain = self._keyring.decrypt(sealed.decode(), context=_context(cluster_id, key))
        return _material(_Document.model_validate_json(plain))

    def remove(self, key: str) -> None:
        """Another one has taken its place; a storage that is away keeps it, which harms nobody."""
        try:
            self._storage.delete(key)
        except ObjectStorageError as error:
            log.warning("an old snapshot stays: %s", error)


def _context(cluster_id: UUID, key: str) -> bytes:
    return f"applied snapshot/{cluster_id}/{key}".encode()


def _document(material: Material) -> bytes:
    contents = {path: base64.b64encode(content) for path, content in material.contents.items()}
    return (
        _Document(
            revision_id=material.revision_id,
            files=list(material.files),
            contents=contents,
            values=dict(material.values),
            sensitive=sorted(material.sensitive),
            dependency_lock=material.dependency_lock,
        )
        .model_dump_json()
        .encode()
    )


def _material(document: _Document) -> Material:
    contents = {path: base64.b64decode(text) for path, text in document.contents.items()}
    return Material(
        revision_id=document.revision_id,
        files=tuple(document.files),
        contents=contents,
        values=document.values,
        sensitive=frozenset(document.sensitive),
        dependency_lock=document.dependency_lock,
    )

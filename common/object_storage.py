"""Object storage: where contents of files are, behind one narrow port. S3 and the file system fulfil it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from common.atomic_files import write_atomically
from common.errors import MrProberError


class ObjectStorageError(MrProberError):
    """The storage cannot be read or written."""

    def __init__(self, what: str, key: str, cause: object) -> None:
        super().__init__(f"object storage: cannot {what} {key}: {cause}")
        self.key = key


class ObjectStorage(Protocol):
    """Objects by key. Calls block, may be repeated, and raise ObjectStorageError.

    A reader sees an object whole or not at all, whatever happens to the writer.
    """

    def write(self, key: str, content: bytes) -> None:
        """Store the object; an older one under the same key is replaced."""

    def read(self, key: str) -> bytes | None:
        """The object's content, or None if there is no such object."""

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens if there is none."""


@dataclass(frozen=True)
class StoredObject:
    """An object in a listing."""

    key: str
    stored_at: datetime


class ListedStorage(ObjectStorage, Protocol):
    """A storage that also tells what it holds."""

    def listed(self, folder: str) -> Iterator[StoredObject]:
        """The objects of one folder, without those below its folders; ObjectStorageError."""


@dataclass(frozen=True)
class SignedAddress:
    """An address at which whoever has it may PUT one object, with exactly these headers."""

    url: str
    headers: Mapping[str, str]


class UploadStorage(ListedStorage, Protocol):
    """A storage to which others can write one object without a key of their own."""

    def signed_address(
        self, key: str, *, size: int, content_type: str, lifetime: timedelta
    ) -> SignedAddress | None:
        """Where an object of so many bytes may be put; None: the storage takes nothing but by `write`.

        Does not speak with the storage. ObjectStorageError.
        """


def file_key(sha256: str) -> str:
    """Key of a file's content: two letters of the hash as a folder, so that no folder grows without end."""
    return f"files/{sha256[:2]}/{sha256}"


def store_file(storage: ObjectStorage, content: bytes) -> str:
    """Store a content under its own hash, once; gives the SHA-256."""
    sha256 = hashlib.sha256(content).hexdigest()
    if not storage.exists(file_key(sha256)):
        storage.write(file_key(sha256), content)
    return sha256


class FileSystemObjectStorage:
    """Objects as files below one folder; the default on one machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, key: str, content: bytes) -> None:
        """Write beside the object, sync, then rename over it."""
        path = self._root / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        except OSError as error:
            raise ObjectStorageError("write", key, error) from error

    def read(self, key: str) -> bytes | None:
        """Read the file, if there is one."""
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ObjectStorageError("read", key, error) from error

    def exists(self, key: str) -> bool:
        """Look for the file."""
        try:
            return (self._root / key).is_file()
        except OSError as error:
            raise ObjectStorageError("look for", key, error) from error

    def delete(self, key: str) -> None:
        """Remove the file; its folders stay."""
        try:
            (self._root / key).unlink(missing_ok=True)
        except OSError as error:
            raise ObjectStorageError("delete", key, error) from error

    def listed(self, folder: str) -> Iterator[StoredObject]:
        """Look through the folder; a file that goes meanwhile is not told."""
        try:
            for path in sorted((self._root / folder).iterdir()):
                # What is being written has a name of its own that begins with a dot.
                if path.is_file() and not path.name.startswith("."):
                    stored_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    yield StoredObject(f"{folder}/{path.name}", stored_at)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ObjectStorageError("list", folder, error) from error

    def signed_address(
        self,
        key: str,
        *,
        size: int,
        content_type: str,
        lifetime: timedelta,
    ) -> None:
        """Nobody else reaches our folder."""

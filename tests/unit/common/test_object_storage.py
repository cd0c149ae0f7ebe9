"""The contract of object storage, for every implementation of it."""

import hashlib
from pathlib import Path

import pytest

from common.object_storage import (
    FileSystemObjectStorage,
    ObjectStorage,
    ObjectStorageError,
    file_key,
    store_file,
)


@pytest.fixture(params=["file system"])
def storage(tmp_path: Path) -> ObjectStorage:
    """One storage of each kind, empty; its folder is not there yet."""
    return FileSystemObjectStorage(tmp_path / "objects")


def test_what_was_never_written_is_not_there(storage: ObjectStorage) -> None:
    assert storage.read("files/no") is None
    assert not storage.exists("files/no")


@pytest.mark.parametrize("content", [b"", b"\0\xff", b"x" * 100_000])
def test_reads_what_was_written(storage: ObjectStorage, content: bytes) -> None:
    storage.write("a/b", content)
    assert storage.exists("a/b")
    assert storage.read("a/b") == content


def test_an_older_object_is_replaced(storage: ObjectStorage) -> None:
    storage.write("a", b"old")
    storage.write("a", b"new")
    assert storage.read("a") == b"new"


def test_a_file_is_stored_under_its_own_hash(storage: ObjectStorage) -> None:
    sha256 = store_file(storage, b"content")
    assert sha256 == hashlib.sha256(b"content").hexdigest()
    assert store_file(storage, b"content") == sha256
    assert storage.read(file_key(sha256)) == b"content"


def test_trouble_below_is_an_object_storage_error_that_names_the_key(
    storage: ObjectStorage,
) -> None:
    too_long = "x" * 5000
    for attempt in (storage.read, storage.exists, lambda key: storage.write(key, b"")):
        with pytest.raises(ObjectStorageError, match="xxx"):
            attempt(too_long)


def test_a_folder_where_an_object_should_be_is_no_object(tmp_path: Path) -> None:
    storage = FileSystemObjectStorage(tmp_path)
    storage.write("a/b", b"")
    assert not storage.exists("a")
    with pytest.raises(ObjectStorageError):
        storage.read("a")
    with pytest.raises(ObjectStorageError):
        storage.write("a", b"")

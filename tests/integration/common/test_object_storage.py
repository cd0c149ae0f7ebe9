"""The contract of object storage, for every implementation of it."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from common.object_storage import (
    FileSystemObjectStorage,
    ListedStorage,
    ObjectStorage,
    ObjectStorageError,
    file_key,
    store_file,
)
from common.s3_object_storage import S3Access, S3ObjectStorage, s3_client


@pytest.fixture(params=["file system", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> ListedStorage:
    """One storage of each kind, empty; its folder is not there yet."""
    if request.param == "file system":
        return FileSystemObjectStorage(tmp_path / "objects")
    access: S3Access = request.getfixturevalue("s3_access")
    return S3ObjectStorage(s3_client(access), "objects", prefix=f"{uuid4().hex}/")


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


def test_a_deleted_object_is_gone_however_often_it_is_deleted(storage: ObjectStorage) -> None:
    storage.write("a/b", b"1")
    storage.write("a/c", b"2")
    for _ in range(2):
        storage.delete("a/b")
        assert (storage.read("a/b"), storage.exists("a/b")) == (None, False)
    assert storage.read("a/c") == b"2"


def test_a_folder_is_listed_with_the_moments_at_which_its_objects_were_stored(
    storage: ListedStorage,
) -> None:
    for key in ("files/ab/1", "files/ab/2", "files/abc", "files/ab/below/3", "other/4"):
        storage.write(key, b"1")
    found = list(storage.listed("files/ab"))
    assert sorted(one.key for one in found) == ["files/ab/1", "files/ab/2"]
    assert all(abs(datetime.now(UTC) - one.stored_at) < timedelta(hours=1) for one in found)
    assert list(storage.listed("files/none")) == []


def test_a_file_is_stored_under_its_own_hash(storage: ObjectStorage) -> None:
    sha256 = store_file(storage, b"content")
    assert sha256 == hashlib.sha256(b"content").hexdigest()
    assert store_file(storage, b"content") == sha256
    assert storage.read(file_key(sha256)) == b"content"


def test_trouble_below_is_an_object_storage_error_that_names_the_key(tmp_path: Path) -> None:
    storage = FileSystemObjectStorage(tmp_path)
    too_long = "x" * 5000
    for attempt in (
        storage.read,
        storage.exists,
        storage.delete,
        lambda key: storage.write(key, b""),
    ):
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


def test_s3_says_that_the_key_is_wrong(s3_access: S3Access) -> None:
    for wrong in ({"secret_access_key": "no"}, {"access_key_id": "no"}):
        storage = S3ObjectStorage(s3_client(replace(s3_access, **wrong)), "objects")
        for attempt in (storage.read, storage.exists, storage.delete):
            with pytest.raises(ObjectStorageError, match="check S3_ACCESS_KEY_ID") as refused:
                attempt("a")
            assert s3_access.secret_access_key not in str(refused.value)


def test_s3_says_that_a_bucket_is_missing(s3_access: S3Access) -> None:
    storage = S3ObjectStorage(s3_client(s3_access), "nobody-made-it")
    with pytest.raises(ObjectStorageError, match="there is no such bucket"):
        storage.read("a")


def test_s3_that_is_away_is_an_object_storage_error() -> None:
    away = S3Access("http://127.0.0.1:1", "r", "id", "secret")
    storage = S3ObjectStorage(s3_client(away), "objects")
    with pytest.raises(ObjectStorageError, match="cannot look for"):
        storage.exists("a")

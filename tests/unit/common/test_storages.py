"""Where objects of an installation are: four buckets, a folder for each environment and each developer's machine."""

from pathlib import Path
from typing import Any

import pytest

from common.object_storage import FileSystemObjectStorage
from common.s3_object_storage import S3ObjectStorage
from common.storages import Storages, s3_prefix, storages_of
from settings import ApiSettings, CreatorSettings  # noqa: TID251 - plays the part of main.py


def storages(monkeypatch: pytest.MonkeyPatch, *, keys: bool = True, **settings: Any) -> Storages:
    for name in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any" if keys else "")
    return storages_of(ApiSettings(**settings), hostname="laptop")


def place(storage: object) -> tuple[str, str]:
    assert isinstance(storage, S3ObjectStorage)
    return storage._bucket, storage._prefix


@pytest.mark.parametrize(
    ("environment", "prefix"),
    [("local", "development/laptop/"), ("preprod", "preprod/"), ("prod", "prod/")],
)
def test_developers_share_buckets_and_servers_have_a_folder_per_environment(
    monkeypatch: pytest.MonkeyPatch, environment: str, prefix: str
) -> None:
    assert s3_prefix(environment, "laptop") == prefix
    made = storages(monkeypatch, environment=environment)
    assert place(made.files) == ("mr-prober-files", prefix)
    assert place(made.configurations) == ("mr-prober-configurations", prefix)
    assert place(made.logs) == ("mr-prober-logs", prefix)
    assert CreatorSettings().s3_states_bucket == "mr-prober-states"


def test_agents_are_told_the_address_of_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    made = storages(monkeypatch, environment="prod", published_url="https://s3.example/bucket/")
    assert made.published_url == "https://s3.example/bucket/prod"
    assert storages(monkeypatch, environment="prod").published_url == ""


def test_without_keys_all_is_in_the_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = storages(monkeypatch, keys=False, data_dir=tmp_path)
    assert isinstance(made.files, FileSystemObjectStorage)
    assert made.published_url == (tmp_path / "published").as_uri()

"""The storages of an installation, built from its settings; the same for API and Creator. Only they may import this."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from common.object_storage import (
    FileSystemObjectStorage,
    ListedStorage,
    ObjectStorage,
    UploadStorage,
)
from common.s3_object_storage import S3Access, S3ObjectStorage, s3_client


class StorageSettings(Protocol):
    """What of the settings decides where objects are."""

    @property
    def environment(self) -> str: ...
    @property
    def data_dir(self) -> Path: ...
    @property
    def published_url(self) -> str: ...
    @property
    def s3_access_key_id(self) -> SecretStr | None: ...
    @property
    def s3_secret_access_key(self) -> SecretStr | None: ...
    @property
    def s3_endpoint_url(self) -> str: ...
    @property
    def s3_region(self) -> str: ...
    @property
    def s3_files_bucket(self) -> str: ...
    @property
    def s3_configurations_bucket(self) -> str: ...
    @property
    def s3_logs_bucket(self) -> str: ...


@dataclass(frozen=True)
class Storages:
    """Where contents of files and logs are, and where configurations are published."""

    files: ListedStorage
    configurations: ObjectStorage
    # What was said when something happened: evidence of runs.
    logs: UploadStorage
    # Names the place of the publications: what was published elsewhere is published again.
    name: str
    # Under which address agents read them; empty: none is known.
    published_url: str


def s3_prefix(environment: str, hostname: str) -> str:
    """Of all our keys in S3: developers share buckets, servers have one folder per environment."""
    return f"development/{hostname}/" if environment == "local" else f"{environment}/"


def storages_of(settings: StorageSettings, *, hostname: str) -> Storages:
    """S3 as soon as both keys are set, else folders below the data folder."""
    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    if key_id is None or secret is None:
        return _on_file_system(settings)
    access = S3Access(
        settings.s3_endpoint_url,
        settings.s3_region,
        key_id.get_secret_value(),
        secret.get_secret_value(),
    )
    client = s3_client(access)
    prefix = s3_prefix(settings.environment, hostname)
    bucket = settings.s3_configurations_bucket
    published = settings.published_url.rstrip("/")
    return Storages(
        files=S3ObjectStorage(client, settings.s3_files_bucket, prefix=prefix),
        configurations=S3ObjectStorage(client, bucket, prefix=prefix),
        logs=S3ObjectStorage(client, settings.s3_logs_bucket, prefix=prefix),
        name=_digest(f"s3 {access.endpoint_url} {bucket} {prefix}"),
        published_url=f"{published}/{prefix.rstrip('/')}" if published else "",
    )


def _on_file_system(settings: StorageSettings) -> Storages:
    folder = settings.data_dir.resolve()
    return Storages(
        files=FileSystemObjectStorage(folder / "objects"),
        configurations=FileSystemObjectStorage(folder / "published"),
        logs=FileSystemObjectStorage(folder / "logs"),
        name=_digest(f"file {folder}"),
        published_url=(folder / "published").as_uri(),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

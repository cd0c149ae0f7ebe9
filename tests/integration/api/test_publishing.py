"""Publications: what a reader of the storage sees, whatever happens to the publisher."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from api.jobs import LEASE, Jobs
from api.publisher import Publisher, UnpublishedError
from common.agent_tokens import agent_token
from common.contracts.configuration import ConfigurationDocument
from common.contracts.values import canonical_json
from common.document_signature import is_signed
from common.object_storage import (
    FileSystemObjectStorage,
    ObjectStorage,
    ObjectStorageError,
    UploadStorage,
)
from common.published import publication_folder
from common.s3_object_storage import S3Access, S3ObjectStorage, s3_client
from common.storages import Storages
from database import models
from database.leases import HeldLease, LeaseTerms

SERVER_KEY = b"server key of the tests"
Upload = Callable[..., dict[str, Any]]


class WatchedStorage:
    """Remembers what is written, and fails when told to; checks that no document comes before its files."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self.written: list[str] = []
        self.fails_at = ""

    def write(self, key: str, content: bytes) -> None:
        if self.fails_at and self.fails_at in key:
            raise ObjectStorageError("write", key, "told to fail")
        if key.endswith("configuration.json"):
            folder = key.partition("/")[0]
            for sha256 in ConfigurationDocument.model_validate_json(content).file_hashes():
                assert self._storage.exists(f"{folder}/files/{sha256}")
        self.written.append(key.partition("/")[2])
        self._storage.write(key, content)

    def read(self, key: str) -> bytes | None:
        return self._storage.read(key)

    def exists(self, key: str) -> bool:
        return self._storage.exists(key)

    def delete(self, key: str) -> None:
        self._storage.delete(key)


class Published:
    """A publisher with its lease, and what a reader sees."""

    def __init__(self, context: Context, storage: WatchedStorage) -> None:
        self.context = context
        self.storage = storage
        files = cast("UploadStorage", context.storage)  # publishing lists nothing
        self.storages = Storages(files, storage, logs=files, name="here", published_url="")

    def publisher(self, **changes: Any) -> Publisher:
        storages = replace(self.storages, **changes)
        return Publisher(self.context.documents, storages, server_key=SERVER_KEY)

    def lease(self, holder: str = "test") -> HeldLease:
        lease = HeldLease(self.context.database, LeaseTerms(LEASE, holder, timedelta(seconds=60)))
        lease.keep()
        return lease

    def run(self, publisher: Publisher | None = None) -> list[str]:
        """What a pass of a publisher writes."""
        self.storage.written.clear()
        (publisher or self.publisher()).run(self.lease())
        return sorted(self.storage.written)

    def read(self, cluster: dict[str, Any], name: str) -> bytes | None:
        folder = publication_folder(SERVER_KEY, UUID(cluster["id"]))
        return self.storage.read(f"{folder}/{name}")

    def believed(self, cluster: dict[str, Any], version: int = 1) -> bool:
        document = self.read(cluster, "configuration.json") or b""
        signatures = self.read(cluster, "configuration.sig") or b""
        token = agent_token(SERVER_KEY, UUID(cluster["id"]), version=version)
        return is_signed(document, signatures, token)


IN_BOTH = pytest.mark.parametrize("published", ["file system", "s3"], indirect=True)


@pytest.fixture
def published(request: pytest.FixtureRequest, context: Context, tmp_path: Any) -> Published:
    storage: ObjectStorage = FileSystemObjectStorage(tmp_path / "published")
    if getattr(request, "param", "") == "s3":
        access: S3Access = request.getfixturevalue("s3_access")
        storage = S3ObjectStorage(s3_client(access), "objects", prefix=f"{uuid4().hex}/")
    return Published(context, WatchedStorage(storage))


@pytest.fixture
def demo(described: Any) -> dict[str, Any]:
    cluster: dict[str, Any] = described.cluster("demo", variables={"x": 1})
    described.prober("ping", command=["./ping", "${cluster.variables.x}"])
    described.config("ping", "all", clusters=["demo"])
    return cluster


def file_of(api: TestClient) -> str:
    sha256: str = api.get("/api/v1/probers/ping").json()["revision"]["files"][0]["sha256"]
    return sha256


@IN_BOTH
def test_holds_what_agents_would_get_signed_for_them(
    api: TestClient, demo: Any, published: Published
) -> None:
    sha256 = file_of(api)
    assert published.run() == ["configuration.json", "configuration.sig", f"files/{sha256}"]
    document = api.get("/api/v1/clusters/demo/configuration").content
    assert published.read(demo, "configuration.json") == document
    assert published.read(demo, f"files/{sha256}") == b"#!"
    assert published.believed(demo)
    assert not published.believed(demo, version=2)


def test_large_values_are_published_as_files(
    api: TestClient, demo: Any, published: Published
) -> None:
    large = ["x" * 1000] * 20
    address = "/api/v1/clusters/demo/variables/x"
    assert api.put(address, json={"value": large}).status_code == 200
    published.run()
    document = ConfigurationDocument.model_validate_json(
        published.read(demo, "configuration.json") or b""
    )
    file = document.variable_files["x"]
    assert published.read(demo, f"files/{file.sha256}") == canonical_json([*large])


def test_only_what_changed_is_written(
    api: TestClient, demo: Any, published: Published, described: Any, file_upload: Upload
) -> None:
    described.cluster("other")
    publisher = published.publisher()
    assert len(published.run(publisher)) == 5
    assert published.run(publisher) == []
    assert published.run() == []
    api.put("/api/v1/clusters/demo/variables/x", json={"value": 2})
    assert published.run(publisher) == ["configuration.json", "configuration.sig"]
    api.post("/api/v1/probers/ping/revisions", json={"files": [file_upload("ping", b"2")]})
    assert published.run(publisher) == [
        "configuration.json",
        "configuration.sig",
        f"files/{file_of(api)}",
    ]
    assert published.believed(demo)


def test_a_new_token_version_signs_anew(demo: Any, published: Published) -> None:
    publisher = published.publisher()
    published.run(publisher)
    with published.context.database.writing() as session:
        row = session.get_one(models.Cluster, UUID(demo["id"]))
        row.agent_token_version, row.previous_agent_token_version = 2, 1
    assert published.run(publisher) == ["configuration.sig"]
    assert published.believed(demo, 1)
    assert published.believed(demo, 2)
    with published.context.database.writing() as session:
        session.get_one(models.Cluster, UUID(demo["id"])).previous_agent_token_version = None
    published.run(publisher)
    assert not published.believed(demo, 1)


@pytest.mark.parametrize("where", ["files/", "configuration.json", "configuration.sig"])
def test_goes_on_after_a_failure_wherever_it_was(
    demo: Any, published: Published, where: str
) -> None:
    published.storage.fails_at = where
    with pytest.raises(ObjectStorageError):
        published.run()
    published.storage.fails_at = ""
    published.run()
    assert published.believed(demo)
    assert published.run() == []


def test_another_storage_gets_everything(demo: Any, published: Published) -> None:
    published.run()
    assert len(published.run(published.publisher(name="there"))) == 3


def test_one_cluster_without_its_files_does_not_stop_the_others(
    api: TestClient, demo: Any, published: Published, described: Any
) -> None:
    other = described.cluster("other")
    published.context.storage.delete(f"files/{file_of(api)[:2]}/{file_of(api)}")
    with pytest.raises(UnpublishedError):
        published.run()
    assert published.read(demo, "configuration.json") is None
    assert published.believed(other)


@IN_BOTH
def test_files_that_no_document_names_go_after_a_while(
    api: TestClient, demo: Any, published: Published, clock: Any
) -> None:
    sha256 = file_of(api)
    publisher = published.publisher()
    published.run(publisher)
    api.delete("/api/v1/probers/ping/configs/all")
    clock.forward(minutes=1)
    published.run(publisher)
    clock.forward(minutes=59)
    published.run(publisher)
    assert published.read(demo, f"files/{sha256}") == b"#!"
    clock.forward(minutes=10)
    published.run(publisher)
    assert published.read(demo, f"files/{sha256}") is None
    api.put("/api/v1/probers/ping/configs/all", json={"clusters": ["*"]})
    published.run(publisher)
    assert published.read(demo, f"files/{sha256}") == b"#!"


def test_nothing_stays_of_a_cluster_that_is_gone(
    api: TestClient, demo: Any, published: Published
) -> None:
    published.run()
    with published.context.database.writing() as session:
        session.get_one(models.Cluster, UUID(demo["id"])).deleted_at = published.context.clock()
    published.run()
    names = ("configuration.json", "configuration.sig", f"files/{file_of(api)}")
    assert [published.read(demo, name) for name in names] == [None] * 3
    with published.context.database.reading() as session:
        assert session.query(models.Publication).count() == 0


def test_only_the_holder_of_the_lease_publishes(demo: Any, published: Published) -> None:
    first, second = (
        Jobs(published.lease(holder), [published.publisher()]) for holder in ("first", "second")
    )
    assert second.run_once()
    assert published.storage.written == []
    assert first.run_once()
    assert len(published.storage.written) == 3


def test_trouble_is_told_and_the_job_is_asked_again(demo: Any, published: Published) -> None:
    published.storage.fails_at = "files/"
    jobs = Jobs(published.lease(), [published.publisher()])
    assert not jobs.run_once()
    published.storage.fails_at = ""
    assert jobs.run_once()
    assert published.believed(demo)


class BrokenJob:
    """Has a mistake."""

    def run(self, lease: HeldLease) -> None:
        """Fail as no job should."""
        raise KeyError(lease)


def test_a_mistake_in_one_job_is_told_and_costs_no_other(
    demo: Any, published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = Jobs(published.lease(), [BrokenJob(), published.publisher()])
    assert not jobs.run_once()
    assert published.believed(demo)
    assert "job=BrokenJob" in caplog.text

"""What holds for evidence wherever it is kept: in a folder behind an address of ours, or in S3 behind an address of its own."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from fastapi.testclient import TestClient

from api.context import Context
from common.object_storage import FileSystemObjectStorage
from common.s3_object_storage import S3Access, S3ObjectStorage, s3_client
from database.session import Database
from tests.integration.api.conftest import Callers, Described
from tests.integration.api.evidence_uploads import ADDRESS, CONTENT, announced, put

# The status of an upload.
Uploading = Callable[[dict[str, Any], bytes], int]


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """Where rows are makes no difference here."""
    opened = Database(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture(params=["file system", "s3"])
def upload(
    request: pytest.FixtureRequest, context: Context, callers: Callers, tmp_path: Path
) -> Uploading:
    """How whoever has an address uses it; the context keeps evidence in that storage."""
    if request.param == "file system":
        object.__setattr__(context, "logs", FileSystemObjectStorage(tmp_path / "evidence"))
        return lambda given, content: int(put(callers.nobody(), given, content).status_code)
    access: S3Access = request.getfixturevalue("s3_access")
    storage = S3ObjectStorage(s3_client(access), "objects", prefix=f"{uuid4().hex}/")
    object.__setattr__(context, "logs", storage)
    return sent


def sent(given: dict[str, Any], content: bytes) -> int:
    with requests.Session() as session:
        session.trust_env = False
        request = requests.Request(given["method"], given["url"], data=content)
        prepared = session.prepare_request(request)
        prepared.headers.update(given["headers"])
        prepared.headers["Content-Length"] = str(len(content))
        return session.send(prepared, timeout=30).status_code


@pytest.fixture
def agent(callers: Callers, described: Described) -> TestClient:
    """An agent of the cluster `demo`."""
    return callers.agent(described.cluster("demo")["id"])


def test_what_is_put_at_the_address_is_there_and_nothing_else(
    api: TestClient, agent: TestClient, upload: Uploading
) -> None:
    never, came = announced(agent), announced(agent)
    assert upload(came, CONTENT) in {200, 204}
    assert [one["id"] for one in api.get(ADDRESS).json()["items"]] == [came["id"]]
    assert api.get(f"{ADDRESS}/{came['id']}/content").content == CONTENT
    assert api.get(f"{ADDRESS}/{never['id']}").status_code == 404


@pytest.mark.parametrize("other", [CONTENT + b"!", CONTENT[:-1]])
def test_another_size_is_refused(
    api: TestClient, agent: TestClient, upload: Uploading, other: bytes
) -> None:
    given = announced(agent)
    assert upload(given, other) in {403, 422}
    assert api.get(ADDRESS).json()["items"] == []


def test_the_address_of_one_upload_does_not_open_another(
    api: TestClient, agent: TestClient, upload: Uploading
) -> None:
    given, other = announced(agent), announced(agent)
    elsewhere = {**given, "url": given["url"].replace(given["id"], other["id"])}
    assert upload(elsewhere, CONTENT) in {403, 404}
    assert api.get(ADDRESS).json()["items"] == []


def test_another_content_of_the_same_size_is_never_given_out(
    api: TestClient, agent: TestClient, upload: Uploading
) -> None:
    given = announced(agent)
    upload(given, CONTENT.swapcase())  # S3 cannot tell
    assert api.get(f"{ADDRESS}/{given['id']}/content").status_code == 404


def test_s3_refuses_another_type_and_an_address_that_is_over(s3_access: S3Access) -> None:
    storage = S3ObjectStorage(s3_client(s3_access), "objects", prefix=f"{uuid4().hex}/")

    def signed(seconds: int) -> dict[str, Any]:
        address = storage.signed_address(
            "a/b", size=len(CONTENT), content_type="text/plain", lifetime=timedelta(seconds=seconds)
        )
        return {"method": "PUT", "url": address.url, "headers": dict(address.headers)}

    as_page = signed(60)
    as_page["headers"]["Content-Type"] = "text/html"
    assert sent(as_page, CONTENT) == 403
    assert not storage.exists("a/b")
    short, pause = signed(1), threading.Event()
    for _ in range(100):
        if sent(short, CONTENT) == 403:
            break
        pause.wait(0.1)
    else:
        pytest.fail("the address never came to its end")

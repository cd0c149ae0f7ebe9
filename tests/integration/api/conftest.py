"""An API on a fresh database of each kind, and callers of every role."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.application import application_of
from api.context import Context
from api.services.keys import create_key
from common.agent_tokens import agent_token
from common.contracts.files import FileUpload
from common.contracts.keys import ApiKeyCreate, Role
from common.encryption import keyring_of_text
from common.object_storage import FileSystemObjectStorage
from database.session import Database

SERVER_KEY = b"server key of the tests"
ENCRYPTION_KEY = "an-encryption-key-of-the-tests-long-enough"


class FakeClock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class AttentiveClient(TestClient):
    """One who reads before writing: tests that are not about preconditions need not speak of them."""

    def request(self, method: str, url: Any, **options: Any) -> Any:
        is_change = method in {"PATCH", "DELETE"} or str(url).endswith("/revisions")
        headers = dict(options.get("headers") or {})
        if method == "PUT" and super().request("GET", url).status_code == 200:
            is_change = True
        if is_change and method != "GET" and not {"If-Match", "If-None-Match"} & headers.keys():
            options["headers"] = {**headers, "If-Match": "*"}
        return super().request(method, url, **options)


class Callers:
    """Clients of one application, by who calls."""

    def __init__(self, application: FastAPI, context: Context) -> None:
        self.application = application
        self.context = context

    def with_token(self, token: str) -> TestClient:
        return AttentiveClient(
            self.application,
            headers={"Authorization": f"Bearer {token}"},
            raise_server_exceptions=False,
        )

    def blunt(self, role: Role) -> TestClient:
        """One who sends no precondition of which the test does not speak."""
        return TestClient(
            self.application,
            headers={"Authorization": f"Bearer {self.key(role)}"},
            raise_server_exceptions=False,
        )

    def nobody(self) -> TestClient:
        return TestClient(self.application, raise_server_exceptions=False, follow_redirects=False)

    def key(self, role: Role) -> str:
        return self.made_key(ApiKeyCreate(name=role.value, role=role))

    def made_key(self, new: ApiKeyCreate) -> str:
        with self.context.database.writing() as session:
            return create_key(session, new, now=self.context.clock())[1].key

    def role(self, role: Role) -> TestClient:
        return self.with_token(self.key(role))

    def agent(self, cluster_id: str, version: int = 1) -> TestClient:
        return self.with_token(agent_token(SERVER_KEY, UUID(cluster_id), version=version))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def context(database: Database, tmp_path: Path, clock: FakeClock) -> Context:
    return Context(
        database=database,
        storage=FileSystemObjectStorage(tmp_path / "objects"),
        server_key=SERVER_KEY,
        logs=FileSystemObjectStorage(tmp_path / "logs"),
        clock=clock,
        report_period=timedelta(),  # whoever has the answer sees the report
        keyring=keyring_of_text(ENCRYPTION_KEY),
    )


@pytest.fixture(scope="session")
def _application() -> FastAPI:
    # Building it takes longer than most tests.
    return application_of(cast("Context", None))


@pytest.fixture
def callers(_application: FastAPI, context: Context) -> Callers:
    _application.state.context = context
    return Callers(_application, context)


@pytest.fixture
def api(callers: Callers) -> Iterator[TestClient]:
    """The API as an admin sees it."""
    with callers.role(Role.ADMIN) as client:
        yield client


def upload(path: str = "main.tf", content: bytes = b"{}", **more: Any) -> dict[str, Any]:
    """A file on its way into a revision."""
    return FileUpload.of(path, content, **more).model_dump(mode="json")


class Described:
    """Shortcuts that create what a test does not care about."""

    def __init__(self, api: TestClient) -> None:
        self._api = api

    def recipe(self, slug: str = "local", *files: dict[str, Any]) -> dict[str, Any]:
        body = {"slug": slug, "files": list(files) or [upload()]}
        return self._created("/api/v1/recipes", body)

    def cluster(self, slug: str = "demo", **fields: Any) -> dict[str, Any]:
        if self._api.get("/api/v1/recipes/local").status_code == 404:
            self.recipe()
        return self._created("/api/v1/clusters", {"slug": slug, "recipe": "local", **fields})

    def prober(self, slug: str = "ping", **fields: Any) -> dict[str, Any]:
        body = {"slug": slug, "command": ["./ping"], "files": [upload("ping", b"#!")], **fields}
        return self._created("/api/v1/probers", body)

    def config(self, prober: str = "ping", slug: str = "all", **fields: Any) -> dict[str, Any]:
        address = f"/api/v1/probers/{prober}/configs/{slug}"
        answer = self._api.put(address, json={"clusters": ["*"], **fields})
        assert answer.status_code in {200, 201}, answer.text
        config: dict[str, Any] = answer.json()
        return config

    def _created(self, address: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._api.post(address, json=body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created


@pytest.fixture
def described(api: TestClient) -> Described:
    return Described(api)


@pytest.fixture
def file_upload() -> Callable[..., dict[str, Any]]:
    return upload

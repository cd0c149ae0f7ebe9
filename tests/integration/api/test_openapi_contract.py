"""The API keeps to its OpenAPI document, whatever is sent: schemathesis against a real server on loopback.

`make soak` asks more: SOAK_FACTOR times as many requests for each operation.
"""

import os
import socket
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
import requests
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy, one_of

from api.application import application_of
from api.context import Context
from api.services.evidence import evidence_key
from api.services.keys import create_key
from common.contracts.keys import ApiKeyCreate, Role
from common.encryption import Keyring
from common.object_storage import FileSystemObjectStorage
from database import models
from database.session import Database
from tests.integration.api.conftest import SERVER_KEY, upload
from tests.integration.api.route_table import PROBE, PROBE_SHA256, RULES, described_routes

with warnings.catch_warnings():
    # What it imports is its own affair.
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import CheckFunction, not_a_server_error
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

# Left out, since they take an honest answer for a fault:
# positive_data_acceptance: a body that fits its schema may still be refused (422: no such recipe; 412: another ETag).
# negative_data_rejection: headers and ids that the schema calls wrong may name nothing, which is 404.
# missing_required_header, ignored_auth, unsupported_method and the like send requests of their own:
# test_api_who_may_what.py walks every route with every kind of caller instead.
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 8 * int(os.environ.get("SOAK_FACTOR", "1"))  # noqa: TID251 - how long to test is no setting of ours
API = "/api/v1"
DEPLOYMENT, EVIDENCE = UUID(int=7), UUID(int=8)
_SHAPE = application_of(cast("Context", None))
# What destroys comes last, so that the others meet something.
OPERATIONS = sorted(described_routes(_SHAPE), key=lambda one: (one[0] == "DELETE", one[0] != "GET"))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    SCHEMA = schemathesis.openapi.from_dict(_SHAPE.openapi())


class Server:
    """A real server with some objects of each kind."""

    def __init__(self, database: Database, storage: Path) -> None:
        self.context = Context(
            database=database,
            storage=FileSystemObjectStorage(storage),
            server_key=SERVER_KEY,
            logs=FileSystemObjectStorage(storage / "logs"),
            keyring=Keyring(lambda: ["k" * 40]),
        )
        application = application_of(self.context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(application, log_config=None, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))
        self._thread.start()
        self.nobody = _session()
        self.admin = _session()
        with database.writing() as session:
            made = create_key(session, ApiKeyCreate(name="a", role=Role.ADMIN), now=models.now())
            self._other_key = create_key(
                session, ApiKeyCreate(name="b", role=Role.VIEWER), now=models.now()
            )[1].id
        self.admin.headers["Authorization"] = f"Bearer {made[1].key}"

    def furnish(self) -> None:
        """Whatever the operations before have destroyed is there again."""
        files = [upload("main.tf", PROBE)]
        self._make("recipes", {"slug": "local", "files": files})
        self._make("probers", {"slug": "ping", "command": ["./p"], "files": files})
        made = self._make("clusters", {"slug": "demo", "recipe": "local", "variables": {"a": 1}})
        if made.status_code == 201:
            self._deployment(UUID(made.json()["id"]))
            self._evidence(UUID(made.json()["id"]))
        config = f"{self.address}{API}/probers/ping/configs/all"
        self.admin.put(config, json={"clusters": ["*"]}, headers={"If-None-Match": "*"})

    def path_parameters(self, path: str) -> dict[str, Any]:
        """Those of objects that are there."""
        values = {
            "slug": "ping" if "/probers/" in path else "local" if "/recipes/" in path else "demo",
            "name": "a", "number": 1, "config": "all", "sha256": PROBE_SHA256, "host": "demo-1",
            "deployment_id": str(DEPLOYMENT), "evidence_id": str(EVIDENCE), "key_id": str(self._other_key),
        }  # fmt: skip
        return {name: value for name, value in values.items() if f"{{{name}}}" in path}

    def _make(self, kind: str, body: dict[str, Any]) -> requests.Response:
        answer = self.admin.post(f"{self.address}{API}/{kind}", json=body)
        assert answer.status_code in {201, 409}, answer.text
        return answer

    def _deployment(self, cluster_id: UUID) -> None:
        with self.context.database.writing() as session:
            revision = session.query(models.RecipeRevision).first()
            assert revision is not None
            deployment = session.get(models.Deployment, DEPLOYMENT)
            if deployment is None:
                deployment = models.Deployment(
                    id=DEPLOYMENT, cluster_id=cluster_id, cause="c", fingerprint="f", log="said",
                    recipe_revision_id=revision.id, state="waiting_for_approval",
                    started_at=datetime(2026, 1, 1, tzinfo=UTC),
                )  # fmt: skip
                session.add(deployment)

    def _evidence(self, cluster_id: UUID) -> None:
        key = evidence_key(cluster_id, EVIDENCE)
        self.context.evidence_storage.write(key, PROBE)
        with self.context.database.writing() as session:
            session.merge(
                models.Evidence(
                    id=EVIDENCE, cluster_id=cluster_id, host="h", prober="p", size=len(PROBE),
                    content_type="text/plain", sha256=PROBE_SHA256, expires_at=models.now(),
                    received_at=models.now(),
                )
            )  # fmt: skip

    def close(self) -> None:
        self.context.waiting_room.close()
        self._server.should_exit = True
        self._thread.join(20)
        self._listener.close()


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


@pytest.fixture(scope="module")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("contract")
    (folder / "database.sqlite").write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{folder / 'database.sqlite'}")
    served = Server(database, folder / "objects")
    try:
        yield served
    finally:
        served.close()
        served.admin.close()
        served.nobody.close()
        database.dispose()


def requests_of(server: Server, method: str, path: str) -> "SearchStrategy[schemathesis.Case[Any]]":
    """Right and wrong ones, at objects that are there and at others, with and without a precondition."""
    operation = SCHEMA[path][method]
    there = server.path_parameters(path)
    kinds = [operation.as_strategy(path_parameters=there), operation.as_strategy()]
    if method != "GET":
        kinds.append(operation.as_strategy(headers={"If-Match": "*"}, path_parameters=there))
    if "{" in path or method in {"POST", "PUT", "PATCH"}:
        kinds.append(operation.as_strategy(GenerationMode.NEGATIVE))
    return one_of(kinds)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_those_that_the_document_promises(
    server: Server, method: str, path: str
) -> None:
    server.furnish()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=requests_of(server, method, path))
    def ask(case: "schemathesis.Case[Any]") -> None:
        case.call_and_validate(base_url=server.address, session=server.admin, checks=CHECKS)
        stranger = case.call_and_validate(
            base_url=server.address, session=server.nobody, checks=CHECKS
        )
        assert stranger.status_code in {401, 400} or "nobody" in RULES[method, path]

    ask()

"""A secret goes through API, Creator with the real terraform, and an agent's report; then it is looked for everywhere."""

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from api.context import Context
from common.agent_tokens import agent_token
from common.contracts.files import FileUpload
from common.contracts.keys import Role
from common.contracts.reports import AgentReport
from common.object_storage import FileSystemObjectStorage
from creator.main import build_loop
from database.session import Database
from settings import CreatorSettings  # noqa: TID251 - plays the part of main.py

PASSWORD = 'correct"horse\nbattery staple'
PIECES = ("correct", "horse", "battery")
SERVER_KEY = "server key of the tests, long enough"
CLUSTER = "/api/v1/clusters/demo"
RECIPE = b"""
variable "password" {}
variable "mr_prober_agent_token" {}

resource "terraform_data" "thing" {
  input = { password = var.password, token = var.mr_prober_agent_token }
  provisioner "local-exec" {
    command     = "printf '%s %s\\\\n' \\"$WORD\\" \\"$TOKEN\\"; printf '%s\\\\n' \\"$WORD\\" >&2; exit 1"
    environment = { WORD = var.password, TOKEN = var.mr_prober_agent_token }
  }
}
"""
# What is meant to hold values: terraform's own files, readable for Creator only.
MEANT_TO = ("data/workspaces/", "data/states/")


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = Database(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture
def context(context: Context, tmp_path: Path) -> Context:
    # Where Creator looks for them.
    object.__setattr__(context, "storage", FileSystemObjectStorage(tmp_path / "data" / "objects"))
    return context


@pytest.fixture
def server_log(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "server.log"
    handler = logging.FileHandler(path)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield path
    root.setLevel(level)
    root.removeHandler(handler)
    handler.close()


def test_a_planted_secret_is_found_nowhere(
    server_log: Path, api: Any, callers: Any, described: Any, tmp_path: Path,
    context: Context,
) -> None:  # fmt: skip
    described.recipe("local", FileUpload.of("main.tf", RECIPE).model_dump(mode="json"))
    described.prober("ping")
    described.config(settings={"variables": {"login": "${cluster.variables.password}"}})
    cluster = described.cluster("demo", variables={"password": "not yet"})
    answers = [
        api.put(f"{CLUSTER}/variables/password", json={"value": PASSWORD, "sensitive": True}),
        api.put(f"{CLUSTER}/variables/password", json={"value": PASSWORD, "sensitive": "?"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 422]

    _run_creator(context, tmp_path / "data")
    deployments = api.get(f"{CLUSTER}/deployments").json()["items"]
    assert [one["state"] for one in deployments] == ["failed"]

    agent = callers.agent(cluster["id"])
    assert agent.get(f"{CLUSTER}/secrets").json()["secrets"]["password"]["value"] == PASSWORD
    report = AgentReport(
        instance=uuid4(), boot=1, host="demo-1", version="1", clock=context.clock()
    )
    answers += [agent.post(f"{CLUSTER}/reports", json=report.model_dump(mode="json"))]
    answers += [agent.get(f"{CLUSTER}/configuration")]
    viewer_key = callers.key(Role.VIEWER)
    viewer = callers.with_token(viewer_key)
    answers += [
        viewer.get(path)
        for path in (
            CLUSTER, f"{CLUSTER}/variables", f"{CLUSTER}/deployments", f"{CLUSTER}/agents",
            f"{CLUSTER}/deployments/{deployments[0]['id']}/changes",
            f"{CLUSTER}/deployments/{deployments[0]['id']}/log", f"{CLUSTER}/grid", "/metrics",
            "/", "/clusters/demo", "/openapi.json", "/api/v1/agents",
        )
    ]  # fmt: skip
    answers.append(api.get("/api/v1/audit"))
    assert "(sensitive)" in answers[-8].text or "(sensitive)" in deployments[0]["error"]

    token = agent_token(SERVER_KEY.encode(), UUID(cluster["id"]), version=1)
    planted = (*PIECES, token, token.rpartition(".")[2], viewer_key)
    shown = [str(one.url) for one in answers if any(piece in one.text for piece in planted)]
    assert shown == []
    assert server_log.stat().st_size > 0
    holding = {path for path in tmp_path.rglob("*") if _holds(path, planted)}
    meant = {path for path in holding if str(path.relative_to(tmp_path)).startswith(MEANT_TO)}
    assert holding - meant == set()
    assert meant, "the test looks at the wrong place"
    assert [path for path in meant if not _is_private(path)] == []


def _run_creator(context: Context, folder: Path) -> None:
    keys = SecretStr("an-encryption-key-of-the-tests-long-enough")
    settings = CreatorSettings(
        data_dir=folder, server_key=SecretStr(SERVER_KEY), encryption_keys=keys
    )
    loop = build_loop(settings, context.database, Event())
    try:
        for _ in range(2):  # the first one judges the recipe
            loop.run_once()
    finally:
        loop.close()


def _holds(path: Path, planted: tuple[str, ...]) -> bool:
    return path.is_file() and any(piece.encode() in path.read_bytes() for piece in planted)


def _is_private(path: Path) -> bool:
    return not path.stat().st_mode & 0o077 or not path.parent.stat().st_mode & 0o077

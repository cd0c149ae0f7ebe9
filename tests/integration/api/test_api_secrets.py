"""Sensitive variables through the API: written, never read, given to the agents whose probers name them."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.context import Context
from api.services.secrets import encrypt_again
from common.contracts.keys import Role
from common.encryption import Keyring, new_key, variable_context
from database import models

SECRET = "correct-horse-battery"
VARIABLES = "/api/v1/clusters/demo/variables"
PASSWORD = f"{VARIABLES}/password"
SECRETS = "/api/v1/clusters/demo/secrets"


@pytest.fixture
def demo(described: Any) -> dict[str, Any]:
    cluster: dict[str, Any] = described.cluster("demo")
    described.prober("ping")
    described.config(settings={"variables": {"login": "${cluster.variables.password}"}})
    return cluster


@pytest.fixture
def secret(api: TestClient, demo: dict[str, Any]) -> dict[str, Any]:
    answer = api.put(PASSWORD, json={"value": SECRET, "sensitive": True})
    assert answer.status_code == 200, answer.text
    stored: dict[str, Any] = answer.json()
    return stored


def test_what_was_written_is_never_read(
    api: TestClient, secret: dict[str, Any], callers: Any, context: Context
) -> None:
    assert (secret["value"], secret["sensitive"]) == (None, True)
    agent = callers.agent(api.get("/api/v1/clusters/demo").json()["id"])
    answers = [
        api.get(path)
        for path in (
            PASSWORD, VARIABLES, "/api/v1/clusters", "/api/v1/clusters/demo", "/api/v1/audit",
            "/clusters/demo", "/openapi.json",
        )
    ]  # fmt: skip
    answers += [
        agent.get("/api/v1/clusters/demo/configuration"),
        api.put(PASSWORD, json={"value": SECRET, "sensitive": "no boolean"}),
        api.put(PASSWORD, json={"value": SECRET, "sensitive": True, "unknown": SECRET}),
        api.put(PASSWORD, json={"value": SECRET, "sensitive": False}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 8 + [422] * 3
    assert not [answer.url for answer in answers if SECRET in answer.text]
    with context.database.reading() as session:
        (row,) = session.scalars(select(models.ClusterVariable))
    assert (row.value, SECRET in (row.encrypted or "")) == (None, False)
    assert SECRET not in str(answers[3].json())


def test_the_document_names_it_and_agents_get_it_with_their_own_key(
    api: TestClient, secret: dict[str, Any], callers: Any, described: Any, demo: dict[str, Any]
) -> None:
    agent = callers.agent(demo["id"])
    document = agent.get("/api/v1/clusters/demo/configuration").json()
    reference = {"secret": "password", "version": secret["value_version"]}
    assert document["variables"] == {"password": reference}
    answer = agent.get(SECRETS)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["secrets"] == {
        "password": {"version": secret["value_version"], "value": SECRET}
    }
    other = callers.agent(described.cluster("other")["id"])
    strangers = [other, *(callers.role(role) for role in Role), callers.agent(demo["id"], 2)]
    assert {one.get(SECRETS).status_code for one in strangers} == {403}
    assert callers.nobody().get(SECRETS).status_code == 401


def test_agents_get_only_what_their_probers_name(
    api: TestClient, secret: dict[str, Any], callers: Any, demo: dict[str, Any]
) -> None:
    api.put(f"{VARIABLES}/other", json={"value": "of no prober", "sensitive": True})
    api.put(f"{VARIABLES}/plain", json={"value": "for all to see"})
    assert callers.agent(demo["id"]).get(SECRETS).json()["secrets"].keys() == {"password"}


def test_the_same_value_again_changes_nothing_and_a_new_one_is_a_new_version(
    api: TestClient, secret: dict[str, Any]
) -> None:
    same = api.put(PASSWORD, json={"value": SECRET}).json()
    assert (same["etag"], same["value_version"]) == (secret["etag"], secret["value_version"])
    new = api.put(PASSWORD, json={"value": {"key": "another"}}).json()
    assert (new["value"], new["sensitive"]) == (None, True)
    assert new["value_version"] > secret["value_version"]


def test_a_secret_becomes_plain_only_with_a_new_value(
    api: TestClient, secret: dict[str, Any]
) -> None:
    refused = api.put(PASSWORD, json={"value": SECRET, "sensitive": False})
    assert refused.status_code == 422
    plain = api.put(PASSWORD, json={"value": "known to all", "sensitive": False}).json()
    assert (plain["value"], plain["sensitive"]) == ("known to all", False)
    sealed = api.put(PASSWORD, json={"value": "known to all", "sensitive": True}).json()
    assert (sealed["value"], sealed["sensitive"]) == (None, True)


def test_a_variable_made_anew_never_has_an_old_version(
    api: TestClient, secret: dict[str, Any]
) -> None:
    api.delete(PASSWORD)
    again = api.put(PASSWORD, json={"value": "another", "sensitive": True}).json()
    assert again["value_version"] > secret["value_version"]


def test_a_plain_value_cannot_pass_for_a_secret(api: TestClient, demo: dict[str, Any]) -> None:
    imitation = {"secret": "password", "version": 1}
    assert api.put(PASSWORD, json={"value": imitation}).status_code == 422
    body = {"slug": "new", "recipe": "local", "variables": {"x": imitation}}
    assert api.post("/api/v1/clusters", json=body).status_code == 422


def test_keys_change_while_everything_stays_readable(
    api: TestClient, demo: dict[str, Any], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.services.secrets.BATCH", 2)
    old, new = new_key(), new_key()
    ring = Keyring(lambda: [old])
    with context.database.writing() as session:
        cluster = session.scalars(select(models.Cluster)).one()
        for number in range(5):
            name = f"secret-{number}"
            context_bytes = variable_context(cluster.id, name)
            text = ring.encrypt(json.dumps(number).encode(), context=context_bytes)
            session.add(
                models.ClusterVariable(cluster_id=cluster.id, name=name, encrypted=text, value=None)
            )
    both = Keyring(lambda: [new, old])
    before = _variables(api)
    assert encrypt_again(context.database, both) == 5
    assert encrypt_again(context.database, both) == 0
    assert _variables(api) == before
    only_new = Keyring(lambda: [new])
    with context.database.reading() as session:
        for row in session.scalars(select(models.ClusterVariable)):
            plain = only_new.decrypt(
                row.encrypted or "", context=variable_context(row.cluster_id, row.name)
            )
            assert row.name == f"secret-{plain.decode()}"


def test_a_secret_moved_to_another_row_opens_nowhere(
    api: TestClient, secret: dict[str, Any], context: Context, callers: Any, demo: dict[str, Any]
) -> None:
    api.put(f"{VARIABLES}/other", json={"value": "other-value", "sensitive": True})
    with context.database.writing() as session:
        rows = {row.name: row for row in session.scalars(select(models.ClusterVariable))}
        rows["password"].encrypted = rows["other"].encrypted
    answer = callers.agent(demo["id"]).get(SECRETS)
    assert answer.status_code == 503
    assert "other-value" not in answer.text
    # A new value heals it.
    assert api.put(PASSWORD, json={"value": SECRET}).status_code == 200
    assert callers.agent(demo["id"]).get(SECRETS).status_code == 200


def test_nothing_on_disk_holds_a_value(
    sqlite_url: str, secret: dict[str, Any], tmp_path: Path
) -> None:
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert found
    assert not [path for path in found if SECRET.encode() in path.read_bytes()]


def _variables(api: TestClient) -> Any:
    return api.get(VARIABLES).json()

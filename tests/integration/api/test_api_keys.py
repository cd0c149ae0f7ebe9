"""Keys are changed and revoked so that nobody raises their own rights, and nobody locks everybody out."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from api.entity_tags import ANY_VERSION
from api.services.errors import ActionError
from api.services.keys import create_key, revoke_key
from common.contracts.keys import ApiKeyCreate, Role

KEYS = "/api/v1/keys"


@pytest.fixture
def own(api: TestClient) -> str:
    """The address of the caller's key, the only one."""
    (key,) = api.get(KEYS).json()["items"]
    return f"{KEYS}/{key['id']}"


def made(api: TestClient, **fields: Any) -> dict[str, Any]:
    answer = api.post(KEYS, json={"name": "k", "role": "editor", **fields})
    assert answer.status_code == 201
    key: dict[str, Any] = answer.json()
    return {**key, "url": f"{KEYS}/{key['id']}"}


def test_a_change_holds_at_once_and_is_recorded_without_the_key(
    api: TestClient, callers: Any, described: Any
) -> None:
    described.cluster("demo")
    key = made(api)
    holder = callers.with_token(key["key"])
    assert holder.post("/api/v1/clusters/demo/deploy").status_code == 202
    changed = api.patch(
        key["url"], json={"name": "new", "clusters": ["b", "a"]}, headers={"If-Match": key["etag"]}
    )
    assert changed.status_code == 200
    assert changed.json()["clusters"] == ["a", "b"]
    assert changed.json() == api.get(key["url"]).json()
    assert changed.headers["ETag"] == changed.json()["etag"] != key["etag"]
    assert holder.post("/api/v1/clusters/demo/deploy").status_code == 403
    entry = api.get("/api/v1/audit", params={"kind": "key"}).json()["items"][0]
    assert (entry["action"], entry["before"]["name"], entry["after"]["name"]) == ("change", "k", "new")  # fmt: skip
    assert key["key"] not in str(entry)
    assert api.patch(key["url"], json={"clusters": None}).json()["clusters"] is None
    assert holder.post("/api/v1/clusters/demo/deploy").status_code == 202


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"role": "admin"}, "role"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"clusters": []}, "clusters"),
        ({"expires_at": "2025-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    api: TestClient, changes: dict[str, Any], field: str
) -> None:
    key = made(api)
    answer = api.patch(key["url"], json=changes)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert api.get(key["url"]).json()["etag"] == key["etag"]


def test_rights_that_are_for_everything_cannot_be_limited_to_clusters(api: TestClient) -> None:
    key = made(api, role="viewer")
    answer = api.patch(key["url"], json={"clusters": ["demo"]})
    assert answer.json()["errors"][0]["field"] == "clusters"


def test_a_change_names_the_version_that_it_is_for(api: TestClient, callers: Any) -> None:
    key, other = made(api), {"name": "other"}
    blunt = callers.blunt(Role.ADMIN)
    assert blunt.patch(key["url"], json=other).status_code == 428
    stale = blunt.patch(key["url"], json=other, headers={"If-Match": '"x"'})
    assert (stale.status_code, stale.json()["etag"]) == (412, key["etag"])


def test_a_revoked_key_takes_no_changes(api: TestClient) -> None:
    key = made(api)
    assert api.delete(key["url"]).status_code == 204
    assert api.patch(key["url"], json={"name": "back"}).status_code == 409
    assert api.delete(key["url"]).status_code == 404
    assert api.patch(f"{KEYS}/01980000-0000-7000-8000-000000000000", json={}).status_code == 404


def test_nobody_gives_themselves_a_longer_life(api: TestClient, callers: Any, clock: Any) -> None:
    end = clock.now + timedelta(days=1)
    key = made(api, role="admin", expires_at=end.isoformat())
    holder = callers.with_token(key["key"])
    for longer in (None, (end + timedelta(days=1)).isoformat()):
        assert holder.patch(key["url"], json={"expires_at": longer}).status_code == 403
    shorter = (end - timedelta(hours=1)).isoformat()
    assert holder.patch(key["url"], json={"expires_at": shorter}).status_code == 200
    assert api.patch(key["url"], json={"expires_at": None}).status_code == 200


def test_the_last_admin_key_stays(api: TestClient, clock: Any, own: str) -> None:
    expired = made(api, role="admin", expires_at=(clock.now + timedelta(hours=1)).isoformat())
    made(api, role="editor")
    clock.forward(hours=2)
    end = {"expires_at": (clock.now + timedelta(days=1)).isoformat()}
    for refused in (api.delete(own), api.patch(own, json=end)):
        assert refused.status_code == 409
        assert "last admin key" in refused.json()["detail"]
    assert api.patch(own, json={"name": "mine"}).status_code == 200
    assert api.delete(expired["url"]).status_code == 204
    made(api, role="admin")
    assert api.patch(own, json=end).status_code == 200
    assert api.delete(own).status_code == 204


def test_two_admins_who_end_each_other_at_once_do_not_both_succeed(context: Context) -> None:
    new = ApiKeyCreate(name="admin", role=Role.ADMIN)
    with context.database.writing() as session:
        keys = [create_key(session, new, now=context.clock())[1].id for _ in range(2)]
    refused: list[ActionError] = []

    def revoke_the_other() -> None:
        try:
            with context.database.writing() as session:
                revoke_key(session, keys[1], ANY_VERSION, now=context.clock())
        except ActionError as error:
            refused.append(error)

    second = threading.Thread(target=revoke_the_other)
    with context.database.writing() as session:
        revoke_key(session, keys[0], ANY_VERSION, now=context.clock())
        second.start()
        second.join(timeout=0.5)  # it waits for us; one that does not would be done by now
    second.join(timeout=60)
    assert len(refused) == 1

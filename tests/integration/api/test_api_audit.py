"""The audit log: every write leaves one entry, and says who, what, before and after."""

from datetime import timedelta
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import select

from api.context import Context
from common.contracts.clusters import DeploymentState
from common.contracts.keys import Role
from database import models
from tests.integration.api.route_table import UNRECORDED, described_routes, writes

AUDIT = "/api/v1/audit"


def entries(api: TestClient, **wanted: Any) -> list[dict[str, Any]]:
    answer = api.get(AUDIT, params={"page_size": 1000, **wanted})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def waiting_plan(context: Context) -> str:
    with context.database.writing() as session:
        row = models.Deployment(
            cluster_id=session.scalars(select(models.Cluster.id)).one(),
            cause="a test",
            state=DeploymentState.WAITING_FOR_APPROVAL,
            fingerprint="",
            recipe_revision_id=session.scalars(select(models.RecipeRevision.id).limit(1)).one(),
        )
        session.add(row)
        session.flush()
        return str(row.id)


def test_the_table_of_writes_knows_every_route_that_writes(callers: Any, file_upload: Any) -> None:
    known = {(one.method, one.route) for one in writes(file_upload)} | UNRECORDED
    routes = {
        (method, path.removeprefix("/api/v1"))
        for method, path in described_routes(callers.application)
        if method != "GET"
    }
    assert routes == known, "see the docstring of route_table.py"


def test_every_write_leaves_one_entry_and_its_repetition_none(
    api: TestClient, file_upload: Any, context: Context
) -> None:
    key_id = ""
    for write in writes(file_upload):
        path = f"/api/v1{write.path}".replace("{key}", key_id)
        if "{waiting}" in path:
            path = path.replace("{waiting}", waiting_plan(context))
        before = len(entries(api))
        answer = api.request(write.method, path, json=write.body)
        assert answer.is_success, (path, answer.text)
        added = entries(api)[: len(entries(api)) - before]
        assert [(one["kind"], one["action"]) for one in added] == [(write.kind, write.action)], path
        (entry,) = added
        assert (entry["actor"], entry["role"]) == ("admin", "admin")
        assert (entry["before"] is None) == (write.action == "create")
        assert (entry["after"] is None) == (answer.status_code == 204)
        assert entry["request_id"]
        if path == "/api/v1/keys":
            key_id = answer.json()["id"]
            assert answer.json()["key"] not in str(entry)
        if write.repeated is not None:
            api.request(write.method, path, json=write.body)
            assert len(entries(api)) == before + 1 + write.repeated, path


def test_what_is_refused_leaves_no_entry(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    before = entries(api)
    for method, path, body in (
        ("POST", "clusters", {"slug": "demo", "recipe": "local"}),
        ("DELETE", "recipes/local", None),
        ("PUT", "clusters/demo/variables/a", {"value": 1, "unknown": 2}),
    ):
        assert not api.request(method, f"/api/v1/{path}", json=body).is_success
    assert entries(api) == before


def test_says_before_and_after(api: TestClient, described: Any) -> None:
    described.cluster("demo", variables={"a": 1})
    api.put("/api/v1/clusters/demo/variables/a", json={"value": [1, {"b": None}]})
    (entry,) = entries(api, kind="variable")
    assert (entry["slug"], entry["action"]) == ("demo/a", "change")
    assert (entry["before"]["value"], entry["after"]["value"]) == (1, [1, {"b": None}])
    cluster = api.get("/api/v1/clusters/demo").json()
    assert entry["cluster_id"] == cluster["id"]


def test_holds_no_secret_but_who_changed_it(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    address = "/api/v1/clusters/demo/variables/password"
    for value in ("swordfish-one", "swordfish-two"):
        assert api.put(address, json={"value": value, "sensitive": True}).is_success
    assert api.delete(address).is_success
    found = entries(api, slug="demo/password")
    assert [one["action"] for one in found] == ["delete", "change", "create"]
    assert "swordfish" not in str(found)


def test_can_be_searched_and_read_in_pages(
    api: TestClient, callers: Any, described: Any, clock: Any
) -> None:
    described.cluster("demo")
    clock.forward(hours=1)
    callers.role(Role.EDITOR).put("/api/v1/clusters/demo/variables/a", json={"value": 1})
    noon = clock.now
    clock.forward(hours=1)
    api.put("/api/v1/clusters/demo/variables/a", json={"value": 2})
    assert [one["actor"] for one in entries(api, kind="variable")] == ["admin", "editor"]
    assert [one["action"] for one in entries(api, slug="demo")] == ["create"]
    assert len(entries(api, actor="editor")) == 1
    assert [one["actor"] for one in entries(api, since=noon.isoformat(), until=(noon + timedelta(minutes=1)).isoformat())] == ["editor"]  # fmt: skip
    everything = entries(api)
    paged, token = [], ""
    while True:
        page = api.get(AUDIT, params={"page_size": 1, "page_token": token}).json()
        paged += page["items"]
        token = page["next_page_token"]
        if not token:
            break
    assert paged == everything
    # No zone; outside of the calendar elsewhere.
    for moment in ("2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        assert api.get(AUDIT, params={"since": moment}).status_code == 422

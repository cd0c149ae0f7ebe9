"""Clusters, variables and deployments over HTTP."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from common.contracts.clusters import ClusterState, DeploymentState
from database import models


def test_are_created_read_changed_and_asked_to_end(api: TestClient, described: Any) -> None:
    created = described.cluster("demo", variables={"hosts": 2, "b": None}, deploy_policy="approve")
    assert created["variables"] == {"b": None, "hosts": 2}
    assert created["state"] == "active"
    assert api.get("/api/v1/clusters/demo").json() == created
    changed = api.patch("/api/v1/clusters/demo", json={"recipe_revision": 1}).json()
    assert (changed["recipe_revision"], changed["deploy_policy"]) == (1, "approve")
    assert api.get("/api/v1/clusters").json()["items"] == [changed]
    again = api.patch("/api/v1/clusters/demo", json={"recipe_revision": None}).json()
    assert again["recipe_revision"] is None
    for _ in range(2):
        ended = api.delete("/api/v1/clusters/demo")
        assert (ended.status_code, ended.json()["state"]) == (202, "deleting")


def test_a_destroyed_one_and_its_deployments_are_read_by_id(
    api: TestClient, described: Any, context: Context
) -> None:
    gone = UUID(described.cluster("demo")["id"])
    with context.database.writing() as session:
        row = session.get_one(models.Cluster, gone)
        row.state, row.deleted_at = ClusterState.DESTROYED, context.clock()
        revision = session.query(models.RecipeRevision.id).scalar()
        last = models.Deployment(
            cluster_id=gone, cause="deleted", fingerprint="", recipe_revision_id=revision,
            log="destroyed 3", state=DeploymentState.SUCCEEDED,
        )  # fmt: skip
        session.add(last)
        session.flush()
        last_id = last.id
    described.cluster("demo", recipe="local")
    address = f"/api/v1/clusters/{gone}"
    assert api.get(address).json()["state"] == "destroyed"
    assert api.get("/api/v1/clusters/demo").json()["state"] == "active"
    (found,) = api.get(f"{address}/deployments").json()["items"]
    assert found == api.get(f"{address}/deployments/{last_id}").json()
    assert api.get(f"{address}/deployments/{last_id}/log").text == "destroyed 3"
    assert api.get(f"{address}/deployments/{last_id}/changes").json()["resources"] == []
    assert api.get(f"/api/v1/clusters/demo/deployments/{last_id}").status_code == 404
    assert api.patch(address, json={"protected": True}).status_code == 422
    assert api.get(f"/api/v1/clusters/{UUID(int=9)}").status_code == 404


def test_one_on_its_way_out_takes_no_changes(api: TestClient, described: Any) -> None:
    described.cluster("demo", variables={"a": 1})
    api.delete("/api/v1/clusters/demo")
    for method, path, body in (
        ("PATCH", "", {"recipe_revision": 1}),
        ("PUT", "/variables/a", {"value": 2}),
        ("DELETE", "/variables/a", None),
    ):
        answer = api.request(method, f"/api/v1/clusters/demo{path}", json=body)
        assert answer.status_code == 409, path
    assert api.get("/api/v1/clusters/demo/variables/a").json()["value"] == 1


def test_name_the_field_that_refers_to_nothing(api: TestClient, described: Any) -> None:
    described.recipe()
    for body, field in (
        ({"slug": "demo", "recipe": "unknown"}, "recipe"),
        ({"slug": "demo", "recipe": "local", "recipe_revision": 7}, "recipe_revision"),
        ({"slug": "demo", "recipe": "local", "recipe_revision": 2**40}, "recipe_revision"),
    ):
        answer = api.post("/api/v1/clusters", json=body)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    described.cluster("demo")
    taken = api.post("/api/v1/clusters", json={"slug": "demo", "recipe": "local"})
    assert taken.status_code == 409
    assert taken.json()["existing"] == "/api/v1/clusters/demo"


def test_variables_hold_any_json(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    values: list[Any] = [None, True, 1, 1.5, "text", "ünï ✓", [], {"a": [1, {"b": None}]}]
    for index, value in enumerate(values):
        address = f"/api/v1/clusters/demo/variables/v{index}"
        assert api.put(address, json={"value": value}).status_code == 200
        stored = api.get(address).json()["value"]
        assert stored == value
        assert type(stored) is type(value)
    listed = api.get("/api/v1/clusters/demo/variables", params={"page_size": 3}).json()
    assert [one["name"] for one in listed["items"]] == ["v0", "v1", "v2"]
    assert api.delete("/api/v1/clusters/demo/variables/v0").status_code == 204
    assert api.get("/api/v1/clusters/demo/variables/v0").status_code == 404
    assert api.delete("/api/v1/clusters/demo/variables/v0").status_code == 404
    assert api.put("/api/v1/clusters/demo/variables/a", json={}).status_code == 422
    assert api.put("/api/v1/clusters/demo/variables/0a", json={"value": 1}).status_code == 422


@pytest.mark.parametrize("levels", [60, 64, 200, 500, 5000])
def test_values_nest_as_deep_as_everybody_can_read(
    api: TestClient, described: Any, levels: int
) -> None:
    described.cluster("demo")
    described.prober("ping", command=["x", "${cluster.variables.a}"])
    described.config("ping")
    body = f'{{"value": {"[" * levels}{"]" * levels}}}'
    headers = {"Content-Type": "application/json"}
    answer = api.put("/api/v1/clusters/demo/variables/a", content=body, headers=headers)
    assert answer.status_code in ({200} if levels < 64 else {400, 422})
    for path in ("", "/configuration", "/grid"):
        assert api.get(f"/api/v1/clusters/demo{path}").status_code == 200


def test_one_and_true_are_different_values(api: TestClient, described: Any) -> None:
    described.cluster("demo", variables={"a": 1})
    api.put("/api/v1/clusters/demo/variables/a", json={"value": True})
    assert api.get("/api/v1/clusters/demo/variables/a").json()["value"] is True


def test_the_same_value_again_changes_nothing(
    api: TestClient, described: Any, context: Context
) -> None:
    described.cluster("demo", variables={"a": {"x": 1}})
    before = api.get("/api/v1/clusters/demo/variables/a").json()
    change = _configuration_change(context)
    assert api.put("/api/v1/clusters/demo/variables/a", json={"value": {"x": 1}}).json() == before
    assert _configuration_change(context) == change
    api.put("/api/v1/clusters/demo/variables/a", json={"value": {"x": 2}})
    assert _configuration_change(context) == change + 1


def test_values_are_never_repeated_in_errors(api: TestClient, described: Any) -> None:
    described.recipe()
    for body in (
        {"slug": "demo", "recipe": "local", "variables": {"bad name": "swordfish"}},
        {"slug": "demo", "recipe": "local", "variables": {"a": "swordfish\0"}},
        {"slug": "demo", "recipe": "local", "variabels": {"a": "swordfish"}},
        {"slug": "demo", "recipe": "local", "variables": "swordfish"},
    ):
        answer = api.post("/api/v1/clusters", json=body)
        assert answer.status_code == 422
        assert "swordfish" not in answer.text


def test_show_their_deployments_newest_first(
    api: TestClient, described: Any, context: Context
) -> None:
    cluster = described.cluster("demo")
    assert cluster["last_deployment"] is None
    first, second = (_deployment(context, UUID(cluster["id"]), cause) for cause in ("one", "two"))
    listed = api.get("/api/v1/clusters/demo/deployments").json()["items"]
    assert [one["cause"] for one in listed] == ["two", "one"]
    assert listed[0]["steps"][0]["kind"] == "plan"
    assert listed[0]["summary"] == {"create": 1, "change": 0, "destroy": 0}
    page = api.get("/api/v1/clusters/demo/deployments", params={"page_size": 1}).json()
    token = page["next_page_token"]
    rest = api.get(
        "/api/v1/clusters/demo/deployments", params={"page_size": 1, "page_token": token}
    ).json()
    assert [one["id"] for one in rest["items"]] == [str(first)]
    assert api.get("/api/v1/clusters/demo").json()["last_deployment"]["id"] == str(second)
    assert api.get(f"/api/v1/clusters/demo/deployments/{first}").json()["cause"] == "one"
    log = api.get(f"/api/v1/clusters/demo/deployments/{first}/log")
    assert (log.text, log.headers["content-type"]) == ("log of one", "text/plain; charset=utf-8")
    changes = f"/api/v1/clusters/demo/deployments/{first}/changes"
    assert api.get(changes).json() == {"resources": [], "left_out": 0}
    planned = {"resources": [{"address": "a.b", "actions": ["create"]}], "left_out": 2}
    with context.database.writing() as session:
        session.get_one(models.Deployment, first).changes = planned
    assert api.get(changes).json() == planned
    described.cluster("other")
    assert api.get(f"/api/v1/clusters/other/deployments/{first}").status_code == 404
    assert api.get(f"/api/v1/clusters/other/deployments/{first}/changes").status_code == 404
    assert api.get(f"/api/v1/clusters/other/deployments/{first}/log").status_code == 404


def _configuration_change(context: Context) -> int:
    with context.database.reading() as session:
        return session.query(models.Cluster).one().configuration_change


def _deployment(context: Context, cluster_id: UUID, cause: str) -> UUID:
    with context.database.writing() as session:
        revision = session.query(models.RecipeRevision).one()
        row = models.Deployment(
            id=UUID(int=(0x7 << 76) + len(cause) + (1 if cause == "one" else 2) * 2**100),
            cluster_id=cluster_id,
            cause=cause,
            state=DeploymentState.SUCCEEDED,
            fingerprint="0" * 64,
            recipe_revision_id=revision.id,
            summary={"create": 1},
            log=f"log of {cause}",
            finished_at=datetime.now(UTC),
            steps=[models.DeploymentStep(kind="plan", arguments=["plan"], exit_code=0)],
        )
        session.add(row)
        session.flush()
        return row.id

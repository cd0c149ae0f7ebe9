"""Lists of clusters, deployments and probers hold what was asked for, page by page, and nothing else."""

from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.context import Context
from common.contracts.clusters import DeploymentState
from common.contracts.identifiers import new_id
from database import models
from tests.integration.api.conftest import Described, upload


def slugs(api: TestClient, path: str) -> list[str]:
    answer = api.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return [one["slug"] for one in answer.json()["items"]]


def test_clusters_of_a_recipe_in_a_state_of_a_manager(
    api: TestClient, described: Described
) -> None:
    described.recipe("other", upload("main.tf", b"# other"))
    described.cluster("a", managed_by="synchronize")
    described.cluster("b")
    described.cluster("c", recipe="other", managed_by="synchronize")
    api.delete("/api/v1/clusters/b")
    assert slugs(api, "clusters?recipe=local") == ["a", "b"]
    assert slugs(api, "clusters?recipe=other") == ["c"]
    assert slugs(api, "clusters?recipe=none") == []
    assert slugs(api, "clusters?state=deleting") == ["b"]
    assert slugs(api, "clusters?managed_by=synchronize&recipe=local") == ["a"]
    assert slugs(api, "clusters?managed_by=") == ["b"]


def test_probers_of_an_owner_of_a_severity_of_a_manager(
    api: TestClient, described: Described
) -> None:
    described.prober("a", owner="net", severity="critical")
    described.prober("b", owner="net", managed_by="synchronize")
    described.prober("c", owner="disk", severity="critical")
    assert slugs(api, "probers?owner=net") == ["a", "b"]
    assert slugs(api, "probers?severity=critical") == ["a", "c"]
    assert slugs(api, "probers?owner=net&severity=") == ["b"]
    assert slugs(api, "probers?managed_by=synchronize&severity=critical") == []


def test_deployments_in_a_state(api: TestClient, described: Described, context: Context) -> None:
    cluster = UUID(described.cluster("demo")["id"])
    ids = [new_id() for _ in range(3)]
    states = (DeploymentState.FAILED, DeploymentState.SUCCEEDED, DeploymentState.FAILED)
    with context.database.writing() as session:
        revision = session.scalars(select(models.RecipeRevision.id)).one()
        for one, state in zip(ids, states, strict=True):
            row = models.Deployment(
                id=one, cluster_id=cluster, cause="c", fingerprint="f", state=state,
                recipe_revision_id=revision,
            )  # fmt: skip
            session.add(row)
    address = "/api/v1/clusters/demo/deployments"
    found = api.get(address, params={"state": "failed"}).json()["items"]
    assert [one["id"] for one in found] == [str(ids[2]), str(ids[0])]
    first: dict[str, Any] = api.get(address, params={"state": "failed", "page_size": 1}).json()
    token = first["next_page_token"]
    rest = api.get(address, params={"state": "failed", "page_size": 1, "page_token": token})
    assert [one["id"] for one in rest.json()["items"]] == [str(ids[0])]
    assert api.get(address, params={"page_token": token}).status_code == 422


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("clusters?state=gone", "state"), ("clusters?recipe=A", "recipe"),
        ("probers?severity=bad", "severity"), ("clusters?managed_by=%00", "managed_by"),
    ],
)  # fmt: skip
def test_what_cannot_match_is_refused_by_its_name(api: TestClient, path: str, field: str) -> None:
    answer = api.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("clusters?sate=active&page_size=2", ["managed_by", "page_size", "page_token", "recipe"]),
        ("probers/a/revisions?owner=net", ["page_size", "page_token", "sort"]),
        ("clusters/demo?owner=net", []),
    ],
)
def test_a_parameter_that_is_not_there_is_refused_with_those_that_are(
    api: TestClient, path: str, known: list[str]
) -> None:
    answer = api.get(f"/api/v1/{path}")
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["errors"]
    assert problem["field"] in {"sate", "owner"}
    assert all(name in problem["expected"] for name in known)
    assert bool(known) == problem["expected"].startswith("one of ")


def test_a_parameter_that_is_not_there_writes_nothing(api: TestClient) -> None:
    body = upload("main.tf", b"# a")
    answer = api.post("/api/v1/recipes?dryrun=true", json={"slug": "a", "files": [body]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "dryrun"
    assert api.get("/api/v1/recipes/a").status_code == 404

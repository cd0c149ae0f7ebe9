"""Values of clusters against the variables that recipes declare, over HTTP."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from common.contracts.recipes import Validity
from common.object_storage import file_key
from database import models

Upload = Callable[..., dict[str, Any]]

VARIABLES = """
variable "zone" {
  type = string
}
variable "nodes" {
  type    = list(object({ name = string, cpu = optional(number, 2) }))
  default = []
}
variable "size" {
  type     = number
  default  = 1
  nullable = false
}
variable "mr_prober_cluster" {
  type = string
}
"""
REVISIONS = "/api/v1/recipes/local/revisions"
CLUSTER = "/api/v1/clusters/demo"


@pytest.fixture
def recipe(described: Any, file_upload: Upload) -> dict[str, Any]:
    created: dict[str, Any] = described.recipe("local", file_upload("main.tf", VARIABLES.encode()))
    return created


def problems(answer: Any, status: int = 422) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    return {error["field"]: error["expected"] for error in answer.json()["errors"]}


def test_a_revision_shows_the_variables_that_it_declares(
    api: TestClient, recipe: dict[str, Any]
) -> None:
    shown = api.get(f"{REVISIONS}/1").json()
    assert shown == recipe["revision"]
    assert (shown["validity"], shown["problems"]) == ("unchecked", [])
    declared = {one.pop("name"): one for one in shown["declared_variables"]}
    assert declared.keys() == {"zone", "nodes", "size", "mr_prober_cluster"}
    assert declared["size"] == {
        "type": "number", "has_default": True, "nullable": False, "sensitive": False,
    }  # fmt: skip
    assert declared["nodes"]["type"].startswith("list(object({ name = string")


def test_a_file_that_is_not_understood_is_no_refusal(
    api: TestClient, described: Any, file_upload: Upload
) -> None:
    recipe = described.recipe("local", file_upload("main.tf", b'variable "a" {'))
    assert recipe["revision"]["declared_variables"] is None
    described.cluster("demo", variables={"anything": 1})
    assert api.get(CLUSTER).json()["notices"] == []


@pytest.mark.usefixtures("recipe")
def test_missing_and_wrong_values_are_told_at_once(api: TestClient) -> None:
    body = {"slug": "demo", "recipe": "local", "variables": {}}
    assert problems(api.post("/api/v1/clusters", json=body)) == {
        "variables.zone": "a value: it has no default"
    }
    body["variables"] = {
        "zone": ["swordfish"],
        "nodes": [{"name": "a"}, {"cpu": "swordfish"}],
        "mr_prober_cluster": [],  # ours is handed over instead
    }
    answer = api.post("/api/v1/clusters", json=body)
    assert problems(answer) == {
        "variables.zone": "a string, not a list",
        "variables.nodes[1].name": "a value: this attribute is required",
        "variables.nodes[1].cpu": "a number, not this text",
    }
    assert "swordfish" not in answer.text


def test_sensitive_values_may_come_when_the_cluster_is_there(
    api: TestClient, described: Any, file_upload: Upload
) -> None:
    text = b'variable "password" {\n  type = string\n  sensitive = true\n}'
    described.recipe("local", file_upload("main.tf", text))
    (notice,) = described.cluster("demo")["notices"]
    assert "password" in notice
    assert notice in api.get("/clusters/demo").text
    wrong = {"value": ["swordfish"], "sensitive": True}
    refused = api.put(f"{CLUSTER}/variables/password", json=wrong)
    assert problems(refused) == {"value": "a string, not a list"}
    right = {"value": "swordfish", "sensitive": True}
    assert api.put(f"{CLUSTER}/variables/password", json=right).status_code == 200
    assert api.get(CLUSTER).json()["notices"] == []
    assert api.delete(f"{CLUSTER}/variables/password").status_code == 409


@pytest.mark.usefixtures("recipe")
def test_what_terraform_converts_is_right(api: TestClient, described: Any) -> None:
    described.cluster("demo", variables={"zone": 1, "size": "3", "nodes": None})
    assert api.put(f"{CLUSTER}/variables/size", json={"value": None}).status_code == 200
    nodes = [{"name": True, "cpu": "4", "more": 1}]
    assert api.put(f"{CLUSTER}/variables/nodes", json={"value": nodes}).status_code == 200
    wrong = api.put(f"{CLUSTER}/variables/nodes", json={"value": [{"name": "a", "cpu": []}]})
    assert problems(wrong) == {"value[0].cpu": "a number, not a list"}


@pytest.mark.usefixtures("recipe")
def test_undeclared_variables_are_for_probers_and_the_cluster_says_so(
    api: TestClient, described: Any
) -> None:
    created = described.cluster("demo", variables={"zone": "a", "tcp_target": "b:1"})
    (notice,) = created["notices"]
    assert "tcp_target" in notice
    assert "zone" not in notice
    assert api.get("/api/v1/clusters").json()["items"][0]["notices"] == [notice]


@pytest.mark.usefixtures("recipe")
def test_a_required_variable_stays(api: TestClient, described: Any) -> None:
    described.cluster("demo", variables={"zone": "a", "size": 2})
    refused = api.delete(f"{CLUSTER}/variables/zone")
    assert refused.status_code == 409
    assert "requires variable zone" in refused.json()["detail"]
    assert api.delete(f"{CLUSTER}/variables/size").status_code == 204


@pytest.mark.usefixtures("recipe")
def test_a_recipe_change_lists_the_clusters_that_it_would_break(
    api: TestClient, described: Any, file_upload: Upload, context: Context
) -> None:
    described.cluster("demo", variables={"zone": "a", "size": 5})
    described.cluster("fits", variables={"zone": "1", "rack": "r"})
    described.cluster("pinned", variables={"zone": "a"}, recipe_revision=1)
    described.cluster("going", variables={"zone": "a"})
    api.delete("/api/v1/clusters/going")
    text = VARIABLES.replace("type = string", "type = number", 1) + 'variable "rack" {}'
    body = {"files": [file_upload("main.tf", text.encode())]}
    expected = {
        "clusters.demo.variables.rack": "a value: it has no default",
        "clusters.demo.variables.zone": "a number, not this text",
    }
    preview = api.post(REVISIONS, json=body, params={"dry_run": True})
    assert preview.status_code == 200
    assert preview.json()["is_new"] is True
    assert {
        f"clusters.{one['cluster']}.variables.{one['variable']}": one["expected"]
        for one in preview.json()["broken"]
    } == expected
    assert api.get("/api/v1/recipes/local").json()["revision"]["number"] == 1
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    assert not context.storage.exists(file_key(sha256))
    answer = api.post(REVISIONS, json=body)
    assert problems(answer, 409) == expected
    assert "demo" in answer.json()["detail"]
    forced = api.post(REVISIONS, json=body, params={"force": True})
    assert (forced.status_code, forced.json()["number"]) == (201, 2)
    assert len(api.get(CLUSTER).json()["notices"]) == 2
    # What is broken already is no news.
    again = {"files": [file_upload("main.tf", text.encode() + b"# more")]}
    assert api.post(REVISIONS, json=again).status_code == 201
    # A pinned one may follow when its values fit.
    change = {"recipe_revision": None}
    refused = api.patch("/api/v1/clusters/pinned", json=change)
    assert problems(refused).keys() == {"variables.rack", "variables.zone"}
    followed = api.patch("/api/v1/clusters/pinned", json=change, params={"force": True})
    assert followed.status_code == 200


@pytest.mark.usefixtures("recipe")
def test_an_invalid_recipe_is_told_where_it_matters(
    api: TestClient, described: Any, context: Context
) -> None:
    described.cluster("demo", variables={"zone": "a"})
    with context.database.writing() as session:
        row = session.query(models.RecipeRevision).one()
        row.validity = Validity.INVALID
        row.problems = [{"file": "main.tf", "line": 3, "message": "Unclosed block"}]
    (notice,) = api.get(CLUSTER).json()["notices"]
    assert "revision 1 of the recipe is invalid" in notice
    assert "main.tf:3: Unclosed block" in notice
    revision = api.get(f"{REVISIONS}/1").json()
    assert revision["validity"] == "invalid"
    assert revision["problems"] == [{"file": "main.tf", "line": 3, "message": "Unclosed block"}]

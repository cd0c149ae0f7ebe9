"""What a tool manages is refused to everybody else, unless forced; on both databases."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

Change = tuple[str, str, Any, str]
CHANGES: list[Change] = [
    ("PATCH", "recipes/local", {"description": "new"}, "recipe local"),
    ("POST", "recipes/local/revisions", {"files": "new"}, "recipe local"),
    ("DELETE", "recipes/local", None, "recipe local"),
    ("PATCH", "clusters/demo", {"deploy_policy": "plan_only"}, "cluster demo"),
    ("PATCH", "clusters/demo", {"protected": True, "managed_by": ""}, "cluster demo"),
    ("DELETE", "clusters/demo", None, "cluster demo"),
    ("PUT", "clusters/demo/variables/a", {"value": 2}, "variable demo/a"),
    ("DELETE", "clusters/demo/variables/a", None, "variable demo/a"),
    ("PATCH", "probers/ping", {"owner": "me"}, "prober ping"),
    ("POST", "probers/ping/revisions", {"files": "new"}, "prober ping"),
    ("DELETE", "probers/ping", None, "prober ping"),
    ("PUT", "probers/ping/configs/all", {"clusters": ["d*"]}, "config ping/all"),
    ("DELETE", "probers/ping/configs/all", None, "config ping/all"),
]

# As managers these could never show that an object is theirs.
UNSENDABLE = ["*", " sync", "sync ", "a\nb", "\u043c", "x" * 101]


@pytest.fixture
def managed(api: TestClient, described: Any, file_upload: Callable[..., Any]) -> TestClient:
    """One of each kind that the tool `sync` manages."""
    files = [file_upload()]
    body = {"slug": "local", "files": files, "managed_by": "sync"}
    assert api.post("/api/v1/recipes", json=body).status_code == 201
    described.cluster("demo", variables={"a": 1}, managed_by="sync")
    described.prober("ping", managed_by="sync")
    described.config("ping", managed_by="sync")
    return api


def sent(api: TestClient, change: Change, file_upload: Callable[..., Any], manager: str) -> Any:
    method, path, body, _ = change
    if body == {"files": "new"}:
        body = {"files": [file_upload("new", b"new")]}
    headers = {"If-Match": "*"} | ({"Mr-Prober-Manager": manager} if manager else {})
    return api.request(method, f"/api/v1/{path}", json=body, headers=headers)


def test_a_hand_edit_of_what_a_tool_manages_is_refused(
    managed: TestClient, file_upload: Any
) -> None:
    for change in CHANGES:
        address = f"/api/v1/{change[1].removesuffix('/revisions')}"
        before = managed.get(address).json()
        for manager in ("", "another", "SYNC"):
            refused = sent(managed, change, file_upload, manager)
            assert refused.status_code == 409, (change, refused.text)
            assert f"{change[3]} is managed by sync" in refused.json()["detail"]
        assert managed.get(address).json() == before


@pytest.mark.parametrize("manager", ["*", "sync"])
def test_the_manager_itself_writes_as_it_likes_and_so_does_who_insists(
    managed: TestClient, file_upload: Any, manager: str
) -> None:
    # First what changes, then what deletes, the parts before the whole; a cluster needs the recipe.
    for change in sorted(CHANGES, key=lambda one: (one[0] == "DELETE", -len(one[1]))):
        if change[1] == "recipes/local" and change[0] == "DELETE":
            continue
        if change[2] and "managed_by" in change[2]:
            continue
        answer = sent(managed, change, file_upload, manager)
        assert answer.is_success, (change, answer.text)
        if change[0] != "DELETE":
            address = f"/api/v1/{change[1].removesuffix('/revisions')}"
            assert managed.get(address).json()["managed_by"] == "sync"


def test_switches_are_everybodys(managed: TestClient) -> None:
    for switch in ("clusters/demo/deploy", "clusters/demo/pause", "probers/ping/stop"):
        body = None if switch.endswith("deploy") else {"reason": "r"}
        assert managed.post(f"/api/v1/{switch}", json=body).is_success
    assert managed.patch("/api/v1/clusters/demo", json={"protected": True}).is_success


def test_objects_are_adopted_handed_over_and_let_go(managed: TestClient) -> None:
    for address in ("recipes/local", "clusters/demo", "probers/ping"):

        def patched(managed_by: str, manager: str, path: str = address) -> Any:
            return managed.patch(
                f"/api/v1/{path}",
                json={"managed_by": managed_by},
                headers={"Mr-Prober-Manager": manager},
            )

        first = managed.get(f"/api/v1/{address}").json()["etag"]
        given = patched("other", "sync").json()
        assert (given["managed_by"], given["etag"] != first) == ("other", True)
        assert patched("sync", "sync").status_code == 409
        assert patched("", "other").json()["managed_by"] == ""
        assert patched("sync", "").json()["managed_by"] == "sync"


def test_a_variable_is_handed_over_and_a_new_one_is_anybodys(managed: TestClient) -> None:
    address = "/api/v1/clusters/demo/variables"
    body = {"value": 1, "managed_by": "meeseeks"}
    given = managed.put(f"{address}/a", json=body, headers={"Mr-Prober-Manager": "sync"})
    assert given.json()["managed_by"] == "meeseeks"
    assert managed.put(f"{address}/b", json={"value": 1}).is_success
    assert managed.put(f"{address}/b", json={"value": 2}).is_success


def test_a_prober_is_not_deleted_with_a_config_of_another_manager(
    api: TestClient, described: Any
) -> None:
    described.prober("ping")
    described.config("ping", managed_by="sync")
    refused = api.delete("/api/v1/probers/ping")
    assert refused.status_code == 409
    assert "config ping/all is managed by sync" in refused.json()["detail"]


def test_a_manager_has_a_name_that_it_can_send(api: TestClient, described: Any) -> None:
    described.cluster("demo", variables={"a": 1})
    described.prober("ping")
    described.config("ping")
    names = ["a", "team a, b", "**", "x" * 100]
    for address in ("clusters/demo", "recipes/local", "probers/ping"):

        def given(name: str, path: str = address) -> int:
            sent = {"managed_by": name}
            headers = {"Mr-Prober-Manager": "*", "If-Match": "*"}
            return api.patch(f"/api/v1/{path}", json=sent, headers=headers).status_code

        assert [given(name) for name in UNSENDABLE] == [422] * len(UNSENDABLE)
        for name in names:
            assert given(name) == 200
            renamed = api.patch(
                f"/api/v1/{address}",
                json={"managed_by": name},
                headers={"Mr-Prober-Manager": name},
            )
            assert renamed.status_code == 200, (name, renamed.text)
    for address in ("clusters/demo/variables/a", "probers/ping/configs/all"):
        bodies = [{"value": 1, "clusters": ["*"], "managed_by": name} for name in UNSENDABLE]
        for body in bodies:
            del body["value" if "configs" in address else "clusters"]
            refused = api.put(f"/api/v1/{address}", json=body)
            assert refused.json()["errors"][0]["field"] == "managed_by"


def test_a_cluster_can_be_made_protected(api: TestClient, described: Any) -> None:
    described.cluster("demo", protected=True)
    assert api.delete("/api/v1/clusters/demo").status_code == 409


def test_the_page_says_who_manages_a_cluster(managed: TestClient) -> None:
    page = managed.get("/clusters/demo", headers={"Accept": "text/html"}).text
    assert "managed by <b>sync</b>, changes by hand are refused" in page

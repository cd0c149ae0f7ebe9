"""No writer overwrites another: entity tags of every kind of object, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from common.contracts.keys import Role

# What is changed, how, with which body, and the address of the object whose ETag counts.
Change = tuple[str, str, Any, str]
CHANGES: list[Change] = [
    ("PATCH", "recipes/local", {"description": "new"}, "recipes/local"),
    ("POST", "recipes/local/revisions", {"files": "new"}, "recipes/local"),
    ("PATCH", "clusters/demo", {"deploy_policy": "plan_only"}, "clusters/demo"),
    ("DELETE", "clusters/demo", None, "clusters/demo"),
    ("PUT", "clusters/demo/variables/a", {"value": 2}, "clusters/demo/variables/a"),
    ("DELETE", "clusters/demo/variables/a", None, "clusters/demo/variables/a"),
    ("PATCH", "probers/ping", {"owner": "me"}, "probers/ping"),
    ("POST", "probers/ping/revisions", {"files": "new"}, "probers/ping"),
    ("DELETE", "probers/ping", None, "probers/ping"),
    ("PUT", "probers/ping/configs/all", {"clusters": ["d*"]}, "probers/ping/configs/all"),
    ("DELETE", "probers/ping/configs/all", None, "probers/ping/configs/all"),
]


@pytest.fixture
def blunt(callers: Any, described: Any) -> TestClient:
    """An admin who says nothing about versions of himself; one of each kind of object is there."""
    described.cluster("demo", variables={"a": 1})
    described.prober("ping")
    described.config("ping")
    client: TestClient = callers.blunt(Role.ADMIN)
    return client


def sent(
    client: TestClient, change: Change, file_upload: Callable[..., Any], **headers: str
) -> Any:
    method, path, body, _ = change
    if body == {"files": "new"}:
        body = {"files": [file_upload("new", b"new")]}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.request(method, f"/api/v1/{path}", json=body, headers=named)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change[0]} {change[1]}")
def test_a_change_needs_the_version_that_it_is_meant_for(
    blunt: TestClient, file_upload: Any, change: Change
) -> None:
    address = f"/api/v1/{change[3]}"
    before = blunt.get(address)
    etag = before.headers["etag"]
    assert before.json()["etag"] == etag
    assert sent(blunt, change, file_upload).status_code == 428
    for stale in ('"another"', f"W/{etag}", f'{etag[:-1]}9"', ""):
        refused = sent(blunt, change, file_upload, If_Match=stale)
        assert refused.status_code == 412, stale
        assert refused.headers["content-type"] == "application/problem+json"
        assert (refused.headers["etag"], refused.json()["etag"]) == (etag, etag)
    assert sent(blunt, change, file_upload, If_None_Match="*").status_code == 412
    assert blunt.get(address).json() == before.json()
    done = sent(blunt, change, file_upload, If_Match=f'"another", {etag}')
    assert done.is_success
    assert done.headers["mr-prober-changed"] == "true"
    if change[0] != "DELETE":
        assert done.headers["etag"] == done.json()["etag"] != etag
        assert blunt.get(address).headers["etag"] == done.headers["etag"]


@pytest.mark.parametrize(
    ("switch", "body"),
    [
        ("clusters/demo/pause", {"reason": "r"}), ("clusters/demo/deploy", None),
        ("clusters/demo/agent-token/rotate", None), ("probers/ping/stop", {"reason": "r"}),
    ],
)  # fmt: skip
def test_a_switch_needs_no_version_but_obeys_one(blunt: TestClient, switch: str, body: Any) -> None:
    address = "/api/v1/" + "/".join(switch.split("/")[:2])
    before = blunt.get(address).json()
    stale = blunt.post(f"/api/v1/{switch}", json=body, headers={"If-Match": '"another"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, before["etag"])
    assert blunt.get(address).json() == before
    right = blunt.post(f"/api/v1/{switch}", json=body, headers={"If-Match": before["etag"]})
    assert right.headers["Mr-Prober-Changed"] == "true"


@pytest.mark.parametrize(
    "change", [one for one in CHANGES if one[0] != "DELETE"], ids=lambda one: f"{one[0]} {one[1]}"
)
def test_the_same_again_changes_nothing_and_says_so(
    blunt: TestClient, file_upload: Any, change: Change
) -> None:
    done = sent(blunt, change, file_upload, If_Match="*")
    again = sent(blunt, change, file_upload, If_Match=done.headers["etag"])
    assert again.status_code == 200
    assert again.headers["mr-prober-changed"] == "false"
    assert again.headers["etag"] == done.headers["etag"]
    assert again.json() == done.json()


def test_a_listing_gives_the_same_etags(blunt: TestClient) -> None:
    item: dict[str, Any] = {}
    for path, name in (
        ("recipes", "local"), ("clusters", "demo"), ("clusters/demo/variables", "a"),
        ("probers", "ping"), ("probers/ping/configs", "all"),
    ):  # fmt: skip
        (item,) = blunt.get(f"/api/v1/{path}").json()["items"]
        assert item["etag"] == blunt.get(f"/api/v1/{path}/{name}").headers["etag"]
    (prober,) = blunt.get("/api/v1/probers").json()["items"]
    assert prober["configs"][0]["etag"] == item["etag"]


def test_what_belongs_to_another_object_leaves_its_etag_alone(blunt: TestClient) -> None:
    before = [blunt.get(f"/api/v1/{path}").json()["etag"] for path in ("clusters/demo", "probers/ping")]  # fmt: skip
    blunt.put("/api/v1/clusters/demo/variables/b", json={"value": 1})
    blunt.put("/api/v1/probers/ping/configs/b", json={"clusters": ["x"], "order": 1})
    after = [blunt.get(f"/api/v1/{path}").json()["etag"] for path in ("clusters/demo", "probers/ping")]  # fmt: skip
    assert before == after


def test_what_is_made_anew_is_another_one(blunt: TestClient) -> None:
    for path, body in (
        ("clusters/demo/variables/a", {"value": 1}),
        ("probers/ping/configs/all", {"clusters": ["*"]}),
    ):
        address = f"/api/v1/{path}"
        old = blunt.get(address).headers["etag"]
        assert blunt.delete(address, headers={"If-Match": old}).status_code == 204
        expecting = blunt.put(address, json=body, headers={"If-Match": "*"})
        assert (expecting.status_code, expecting.json()["etag"]) == (412, "")
        made = blunt.put(address, json=body, headers={"If-None-Match": "*"})
        assert made.is_success
        assert made.headers["mr-prober-changed"] == "true"
        assert made.headers["etag"] != old
        assert blunt.put(address, json=body, headers={"If-Match": old}).status_code == 412


def test_a_cluster_may_be_asked_to_end_twice(blunt: TestClient) -> None:
    headers = {"If-Match": "*"}
    first = blunt.delete("/api/v1/clusters/demo", headers=headers)
    second = blunt.delete("/api/v1/clusters/demo", headers=headers)
    assert [one.headers["mr-prober-changed"] for one in (first, second)] == ["true", "false"]
    assert first.json() == second.json()


def test_keys_have_versions_too(blunt: TestClient) -> None:
    created = blunt.post("/api/v1/keys", json={"name": "k", "role": "viewer"})
    address = f"/api/v1/keys/{created.json()['id']}"
    assert "key" not in blunt.get(address).json()
    assert blunt.delete(address).status_code == 428
    assert blunt.delete(address, headers={"If-Match": '"x"'}).status_code == 412
    assert blunt.delete(address, headers={"If-Match": created.headers["etag"]}).status_code == 204
    assert blunt.get(address).status_code == 404


def test_of_many_who_saw_the_same_one_writes(blunt: TestClient) -> None:
    address = "/api/v1/clusters/demo/variables/a"
    etag = blunt.get(address).headers["etag"]

    def write(number: int) -> int:
        return blunt.put(address, json={"value": 100 + number}, headers={"If-Match": etag}).status_code  # fmt: skip

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(write, range(8)))
    assert statuses == [200] + [412] * 7

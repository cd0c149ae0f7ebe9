"""Recipes and their revisions over HTTP."""

from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from api.context import Context
from common.object_storage import file_key

Upload = Callable[..., dict[str, Any]]


def test_are_created_read_changed_and_deleted(api: TestClient, file_upload: Upload) -> None:
    body = {"slug": "local", "files": [file_upload("main.tf", b"x"), file_upload("a/run.sh", b"y", executable=True)]}  # fmt: skip
    created = api.post("/api/v1/recipes", json=body)
    assert created.status_code == 201
    assert created.json()["revision"]["number"] == 1
    assert [file["path"] for file in created.json()["revision"]["files"]] == ["a/run.sh", "main.tf"]
    changed = api.patch("/api/v1/recipes/local", json={"description": "for one machine"})
    assert changed.json()["description"] == "for one machine"
    assert api.get("/api/v1/recipes/local").json() == changed.json()
    assert api.get("/api/v1/recipes").json()["items"] == [changed.json()]
    assert api.delete("/api/v1/recipes/local").status_code == 204
    assert api.get("/api/v1/recipes/local").status_code == 404
    assert api.post("/api/v1/recipes", json=body).status_code == 201  # the slug is free again


def test_store_contents_by_hash_and_give_them_back(
    api: TestClient, described: Any, context: Context, file_upload: Upload
) -> None:
    recipe = described.recipe("local", file_upload("main.tf", b"content"))
    sha256 = recipe["revision"]["files"][0]["sha256"]
    assert context.storage.read(file_key(sha256)) == b"content"
    assert api.get(f"/api/v1/files/{sha256}").content == b"content"
    assert api.get(f"/api/v1/files/{'0' * 64}").status_code == 404


def test_a_taken_slug_names_the_existing_object(api: TestClient, described: Any) -> None:
    described.recipe("local")
    body = {"slug": "local", "files": [{"path": "a", "content": ""}]}
    answer = api.post("/api/v1/recipes", json=body)
    assert answer.status_code == 409
    assert api.get(answer.json()["existing"]).json()["slug"] == "local"


def test_one_in_use_is_not_deleted_and_its_users_are_named(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    answer = api.delete("/api/v1/recipes/local")
    assert answer.status_code == 409
    assert "cluster demo" in answer.json()["detail"]


def test_equal_content_is_the_same_revision(
    api: TestClient, described: Any, file_upload: Upload
) -> None:
    described.recipe("local", file_upload("main.tf", b"1"))
    address = "/api/v1/recipes/local/revisions"
    same = api.post(address, json={"files": [file_upload("main.tf", b"1")]})
    assert (same.status_code, same.json()["number"]) == (200, 1)
    other = api.post(address, json={"files": [file_upload("main.tf", b"2")]})
    assert (other.status_code, other.json()["number"]) == (201, 2)
    back = api.post(address, json={"files": [file_upload("main.tf", b"1")]})
    assert (back.status_code, back.json()["number"]) == (201, 3)
    assert back.json()["content_hash"] == same.json()["content_hash"]
    assert [one["number"] for one in api.get(address).json()["items"]] == [3, 2, 1]
    assert api.get(f"{address}/2").json().items() <= other.json().items()
    assert api.get(f"{address}/4").status_code == 404


def test_paths_that_cannot_be_unpacked_together_are_refused(
    api: TestClient, file_upload: Upload
) -> None:
    for paths in (["a", "a"], ["a", "a/b"]):
        body = {"slug": "local", "files": [file_upload(path) for path in paths]}
        answer = api.post("/api/v1/recipes", json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "files"
    assert api.get("/api/v1/recipes").json()["items"] == []


def test_wrong_fields_are_named_with_what_was_given_and_expected(api: TestClient) -> None:
    body = {"slug": "Wrong Slug", "files": [{"path": "../x", "content": "e30="}], "colour": "red"}
    answer = api.post("/api/v1/recipes", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    errors = {error["field"]: error for error in answer.json()["errors"]}
    assert errors.keys() == {"slug", "files.0.path", "colour"}
    assert errors["slug"]["given"] == "Wrong Slug"
    assert errors["colour"]["expected"] == "no such field"


def test_lists_go_page_by_page(api: TestClient, described: Any) -> None:
    for slug in ("c", "a", "d", "b", "e"):
        described.recipe(slug)
    slugs, token = [], ""
    while True:
        answer = api.get("/api/v1/recipes", params={"page_size": 2, "page_token": token}).json()
        slugs.append([one["slug"] for one in answer["items"]])
        if not (token := answer["next_page_token"]):
            break
    assert slugs == [["a", "b"], ["c", "d"], ["e"]]


def test_a_page_token_that_is_not_ours_is_refused(api: TestClient, described: Any) -> None:
    described.recipe()
    revisions = "/api/v1/recipes/local/revisions"
    huge = "YWZ0ZXI6OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk="  # after:99999999999999999999999
    for address, token in (("/api/v1/recipes", "nonsense"), ("/api/v1/recipes", "ä"), (revisions, huge)):  # fmt: skip
        answer = api.get(address, params={"page_token": token})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "page_token"
    assert api.get("/api/v1/recipes", params={"page_size": 1001}).status_code == 422


def test_unknown_and_malformed_names_are_no_mistakes_of_ours(api: TestClient) -> None:
    for method, path, status in (
        ("GET", "/api/v1/recipes/unknown", 404),
        ("DELETE", "/api/v1/recipes/unknown", 404),
        ("GET", "/api/v1/recipes/Not%20a%20slug", 422),
        ("GET", "/api/v1/recipes/%00", 422),
        ("GET", "/api/v1/recipes/unknown/revisions/99999999999999999999", 422),
        ("GET", "/api/v1/nothing", 404),
        ("PUT", "/api/v1/recipes", 405),
    ):
        answer = api.request(method, path)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json"

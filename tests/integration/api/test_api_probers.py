"""Probers, their revisions and their configs over HTTP."""

from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import event

from api.context import Context
from database import models

Upload = Callable[..., dict[str, Any]]


def test_are_created_read_changed_and_deleted(api: TestClient, described: Any) -> None:
    created = described.prober("ping", owner="net", defaults={"interval_seconds": 15})
    assert created["defaults"] == {"interval_seconds": 15}
    assert api.get("/api/v1/probers/ping").json() == created
    changed = api.patch("/api/v1/probers/ping", json={"command": ["./ping", "-4"]}).json()
    assert (changed["command"], changed["owner"]) == (["./ping", "-4"], "net")
    assert api.get("/api/v1/probers").json()["items"] == [changed]
    described.config("ping", "all")
    assert api.delete("/api/v1/probers/ping").status_code == 204
    assert api.get("/api/v1/probers/ping").status_code == 404
    assert api.get("/api/v1/probers/ping/configs").status_code == 404
    assert described.prober("ping")["configs"] == []


def test_a_taken_slug_names_the_existing_object(api: TestClient, described: Any) -> None:
    described.prober("ping")
    answer = api.post("/api/v1/probers", json={"slug": "ping", "command": ["x"]})
    assert answer.status_code == 409
    assert "/api/v1/probers/ping" in answer.json()["detail"]


def test_new_files_are_a_new_revision(api: TestClient, described: Any, file_upload: Upload) -> None:
    described.prober("ping")
    address = "/api/v1/probers/ping/revisions"
    assert api.post(address, json={"files": [file_upload("ping", b"#!")]}).status_code == 200
    assert api.post(address, json={"files": []}).json()["number"] == 2
    assert [one["number"] for one in api.get(address).json()["items"]] == [2, 1]
    assert api.get(f"{address}/1").json()["files"][0]["path"] == "ping"
    assert api.get("/api/v1/probers/ping").json()["revision"]["number"] == 2


def test_configs_keep_what_their_author_said_and_no_more(api: TestClient, described: Any) -> None:
    described.prober("ping")
    settings = {"interval_seconds": 15, "output": None, "matrix": {"target": {"values": ["a"]}}}
    stored = described.config("ping", "all", settings=settings)
    assert stored["settings"] == settings
    assert api.get("/api/v1/probers/ping/configs/all").json() == stored
    assert api.get("/api/v1/probers/ping/configs").json()["items"] == [stored]
    assert api.get("/api/v1/probers/ping").json()["configs"] == [stored]
    assert api.delete("/api/v1/probers/ping/configs/all").status_code == 204
    assert api.get("/api/v1/probers/ping/configs/all").status_code == 404


def test_the_same_config_again_changes_nothing(
    api: TestClient, described: Any, context: Context
) -> None:
    described.cluster("demo")
    described.prober("ping")
    body = {"clusters": ["*"], "settings": {"interval_seconds": 15}}
    first = api.put("/api/v1/probers/ping/configs/all", json=body)
    change = _configuration_change(context)
    second = api.put("/api/v1/probers/ping/configs/all", json=body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert _configuration_change(context) == change
    body["settings"] = {"interval_seconds": 16}
    assert api.put("/api/v1/probers/ping/configs/all", json=body).json() != first.json()
    assert _configuration_change(context) == change + 1


def test_a_matrix_of_a_text_that_is_no_reference_is_refused(
    api: TestClient, described: Any
) -> None:
    described.prober("ping")
    matrix = {"target": {"values": "${cluster.hosts}"}, "port": {"values": "80"}}
    answer = api.put(
        "/api/v1/probers/ping/configs/all", json={"clusters": ["*"], "settings": {"matrix": matrix}}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "settings.matrix.port.values"
    body = {"slug": "other", "command": ["x"], "defaults": {"matrix": matrix}}
    answer = api.post("/api/v1/probers", json=body)
    assert answer.json()["errors"][0]["field"] == "defaults.matrix.port.values"


def test_two_configs_of_equal_order_must_not_set_one_key(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    described.prober("ping")
    described.config("ping", "one", settings={"variables": {"port": 1}})
    body = {"clusters": ["demo"], "settings": {"variables": {"port": 2}}}
    answer = api.put("/api/v1/probers/ping/configs/two", json=body)
    assert answer.status_code == 422
    expected = answer.json()["errors"][0]["expected"]
    assert "one" in expected
    assert "two" in expected
    assert "variables.port" in expected
    assert api.put("/api/v1/probers/ping/configs/two", json={**body, "order": 1}).status_code == 201


def test_wrong_settings_are_named_by_their_path(api: TestClient, described: Any) -> None:
    described.prober("ping")
    body = {"clusters": ["*"], "settings": {"interval_seconds": 0.01}}
    answer = api.put("/api/v1/probers/ping/configs/all", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "field": "settings.interval_seconds",
            "given": 0.01,
            "expected": "greater than or equal to 0.1",
        }
    ]
    no_clusters = api.put("/api/v1/probers/ping/configs/all", json={"clusters": []})
    assert no_clusters.json()["errors"][0]["field"] == "clusters"
    assert (
        api.put("/api/v1/probers/unknown/configs/all", json={"clusters": ["*"]}).status_code == 404
    )


def test_lists_need_a_constant_number_of_statements(
    api: TestClient, described: Any, context: Context
) -> None:
    statements: list[str] = []
    event.listen(
        context.database.engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_rest: statements.append(statement),
    )
    counts = []
    for slug in ("a", "b", "c", "d"):
        described.prober(slug)
        described.cluster(slug)
        described.config(slug)
        statements.clear()
        api.get("/api/v1/probers")
        api.get("/api/v1/clusters")
        # Without the looks at the caller's key: one a second by the real clock.
        of_lists = [one for one in statements if "SELECT" in one and "api_keys" not in one]
        counts.append(len(of_lists))
    assert counts[0] > 2
    assert len(set(counts)) == 1, counts


def _configuration_change(context: Context) -> int:
    with context.database.reading() as session:
        return session.query(models.Cluster).one().configuration_change

"""The configuration document over HTTP: when it is built, when it is not sent."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from api.context import Context
from common.contracts.configuration import ConfigurationDocument, etag_of
from database import models
from database.configuration_changes import mark_changed

ADDRESS = "/api/v1/clusters/demo/configuration"
Upload = Callable[..., dict[str, Any]]


@pytest.fixture
def demo(api: TestClient, described: Any) -> dict[str, Any]:
    """A cluster on which one prober runs."""
    cluster: dict[str, Any] = described.cluster("demo", variables={"used": 1, "unused": 2})
    described.prober("ping", command=["./ping", "${cluster.variables.used}"])
    described.config("ping", "all", clusters=["d*"])
    return cluster


def test_holds_what_concerns_the_cluster_and_nothing_else(
    api: TestClient, described: Any, demo: Any
) -> None:
    described.config("ping", "elsewhere", clusters=["x*"])
    described.prober("idle")
    answer = api.get(ADDRESS)
    document = ConfigurationDocument.model_validate_json(answer.content)
    assert document.variables == {"used": 1}
    assert [prober.slug for prober in document.probers] == ["ping"]
    assert [config.slug for config in document.probers[0].configs] == ["all"]
    assert document.probers[0].revisions[1][0].path == "ping"
    assert answer.content == document.canonical_bytes()
    assert answer.headers["etag"] == etag_of(answer.content)


def test_an_agent_that_has_it_gets_304(api: TestClient, demo: Any) -> None:
    etag = api.get(ADDRESS).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = api.get(ADDRESS, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    assert api.get(ADDRESS, headers={"If-None-Match": '"other"'}).status_code == 200


def test_stays_the_same_as_long_as_nothing_changes(api: TestClient, demo: Any, clock: Any) -> None:
    first = api.get(ADDRESS)
    clock.forward(hours=1)
    assert api.get(ADDRESS).content == first.content


def test_every_write_that_it_shows_makes_a_new_one(
    api: TestClient, described: Any, demo: Any, clock: Any, file_upload: Upload
) -> None:
    seen = [api.get(ADDRESS)]

    def changes(method: str, path: str, body: object = None) -> None:
        clock.forward(seconds=1)
        assert api.request(method, f"/api/v1/{path}", json=body).is_success
        seen.append(api.get(ADDRESS))
        assert seen[-1].headers["etag"] not in {one.headers["etag"] for one in seen[:-1]}, path
        assert seen[-1].json()["revision"] > seen[-2].json()["revision"]

    changes("PUT", "clusters/demo/variables/used", {"value": 5})
    changes("PATCH", "probers/ping", {"command": ["./ping", "${cluster.variables.unused}"]})
    changes("POST", "probers/ping/revisions", {"files": [file_upload("ping", b"2")]})
    changes("PUT", "probers/ping/configs/more", {"clusters": ["demo"], "order": 1})
    changes("PUT", "probers/ping/configs/more", {"clusters": ["other"], "order": 1})
    changes("DELETE", "clusters/demo/variables/unused")
    changes("DELETE", "probers/ping/configs/all")
    changes("PUT", "probers/ping/configs/all", {"clusters": ["*"]})
    changes("DELETE", "probers/ping")


def test_a_change_that_it_does_not_show_keeps_bytes_and_etag(
    api: TestClient, demo: Any, context: Context, clock: Any
) -> None:
    first = api.get(ADDRESS)
    clock.forward(hours=1)
    api.put("/api/v1/clusters/demo/variables/unused", json={"value": "other"})
    assert api.get(ADDRESS, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    with context.database.reading() as session:
        cluster = session.query(models.Cluster).one()
        assert session.query(models.Document).one().built_for_change == cluster.configuration_change


def test_its_revision_grows_even_when_the_clock_goes_back(
    api: TestClient, demo: Any, clock: Any
) -> None:
    first = api.get(ADDRESS).json()["revision"]
    clock.forward(days=-1)
    api.put("/api/v1/clusters/demo/variables/used", json={"value": 5})
    assert api.get(ADDRESS).json()["revision"] == first + 1


def test_shows_the_hosts_that_creator_recorded_within_a_second(
    api: TestClient, demo: Any, context: Context, clock: Any
) -> None:
    api.get(ADDRESS)
    updated_at = api.get("/api/v1/clusters/demo").json()["updated_at"]
    with context.database.writing() as session:
        mark_changed(session, [UUID(demo["id"])])
    assert api.get("/api/v1/clusters/demo").json()["updated_at"] == updated_at
    with context.database.writing() as session:
        cluster = session.query(models.Cluster).one()
        cluster.hosts = {"demo-1": {"address": "127.77.0.1", "labels": {"zone": "a"}}}
        mark_changed(session, [cluster.id])
    clock.forward(seconds=1)
    hosts = api.get(ADDRESS).json()["hosts"]
    assert hosts == {"demo-1": {"address": "127.77.0.1", "labels": {"zone": "a"}}}


def test_that_is_known_costs_agents_no_query_and_one_look_a_second(
    api: TestClient, demo: Any, callers: Any, context: Context, clock: Any
) -> None:
    agent = callers.agent(demo["id"])
    etag = agent.get(ADDRESS).headers["etag"]
    statements: list[str] = []
    event.listen(
        context.database.engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_rest: statements.append(statement),
    )
    for _ in range(5):
        assert agent.get(ADDRESS, headers={"If-None-Match": etag}).status_code == 304
        assert agent.get(ADDRESS).status_code == 200
    assert statements == []
    clock.forward(seconds=1)
    for _ in range(5):
        assert agent.get(ADDRESS, headers={"If-None-Match": etag}).status_code == 304
    assert len([one for one in statements if "SELECT" in one]) == 1


def test_is_sent_compressed_to_whoever_reads_that(api: TestClient, demo: Any) -> None:
    plain = api.get(ADDRESS, headers={"Accept-Encoding": "identity"})
    small = api.get(ADDRESS, headers={"Accept-Encoding": "br, GZIP;q=0.5"})
    refused = api.get(ADDRESS, headers={"Accept-Encoding": "gzip;q=0, *"})
    assert [one.headers.get("content-encoding") for one in (plain, small, refused)] == [
        None,
        "gzip",
        None,
    ]
    assert plain.content == small.content == refused.content
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"])
    assert plain.headers["etag"] == small.headers["etag"] == etag_of(plain.content)


def test_changed_or_closed_by_another_process_is_so_here_within_a_second(
    api: TestClient, demo: Any, callers: Any, context: Context, clock: Any
) -> None:
    here = callers.agent(demo["id"])
    etag = here.get(ADDRESS).headers["etag"]
    elsewhere = Context(context.database, context.storage, context.server_key, clock)
    with elsewhere.database.writing() as session:
        session.query(models.ClusterVariable).filter_by(name="used").one().value = 6
        mark_changed(session, [UUID(demo["id"])])
    assert here.get(ADDRESS, headers={"If-None-Match": etag}).status_code == 304
    clock.forward(seconds=1)
    changed = here.get(ADDRESS, headers={"If-None-Match": etag})
    assert (changed.status_code, changed.json()["variables"]) == (200, {"used": 6})
    with context.database.writing() as session:
        cluster = session.query(models.Cluster).one()
        cluster.agent_token_version, cluster.previous_agent_token_version = 2, None
    clock.forward(seconds=1)
    newest = {"If-None-Match": changed.headers["etag"]}
    for _ in range(2):  # the long way, and then the short one
        assert here.get(ADDRESS, headers=newest).status_code == 403
    assert callers.agent(demo["id"], 2).get(ADDRESS).status_code == 200
    with context.database.writing() as session:
        session.query(models.Cluster).one().deleted_at = clock()
    clock.forward(seconds=1)
    assert callers.agent(demo["id"], 2).get(ADDRESS).status_code == 403
    assert api.get(ADDRESS).status_code == 404


def test_is_found_only_for_living_clusters(api: TestClient) -> None:
    assert api.get(ADDRESS).status_code == 404


def test_is_json_that_anybody_can_read(api: TestClient, demo: Any) -> None:
    answer = api.get(ADDRESS)
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content)["format"] == 1

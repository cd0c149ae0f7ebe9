"""Reports of agents, and what the API makes of them: agents and grid."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from database import models

REPORTS = "/api/v1/clusters/demo/reports"


def report(server_clock: Any, **fields: Any) -> dict[str, Any]:
    return {
        "instance": str(uuid4()),
        "boot": 1,
        "host": "demo-1",
        "version": "0.1.0",
        "clock": server_clock.now.isoformat(),
        **fields,
    }


@pytest.fixture
def demo(described: Any, context: Context) -> dict[str, Any]:
    """A cluster of two hosts that check each other."""
    cluster: dict[str, Any] = described.cluster("demo")
    with context.database.writing() as session:
        row = session.query(models.Cluster).one()
        row.hosts = {f"demo-{number}": {"address": f"127.77.0.{number}"} for number in (1, 2)}
    described.prober("ping")
    matrix = {"target": {"values": "${cluster.hosts}"}}
    described.config("ping", "all", settings={"matrix": matrix})
    return cluster


@pytest.fixture
def agent(callers: Any, demo: Any) -> TestClient:
    client: TestClient = callers.agent(demo["id"])
    return client


def test_make_one_row_per_agent(api: TestClient, agent: TestClient, clock: Any) -> None:
    said = report(clock, labels={"zone": "a"})
    assert agent.post(REPORTS, json=said).status_code == 204
    clock.forward(seconds=10)
    assert agent.post(REPORTS, json=said).status_code == 204
    (seen,) = api.get("/api/v1/clusters/demo/agents").json()["items"]
    assert (seen["host"], seen["labels"], seen["presence"]) == (
        "demo-1",
        {"zone": "a"},
        "reporting",
    )
    assert seen["clock_skew_seconds"] == -10
    assert seen["first_seen_at"] < seen["reported_at"]
    clock.forward(seconds=91)
    (seen,) = api.get("/api/v1/clusters/demo/agents").json()["items"]
    assert seen["presence"] == "silent"


def test_of_an_earlier_boot_are_ignored(api: TestClient, agent: TestClient, clock: Any) -> None:
    instance = str(uuid4())
    for boot, version in ((2, "new"), (1, "old"), (2, "newer")):
        answer = agent.post(REPORTS, json=report(clock, instance=instance, boot=boot, version=version))  # fmt: skip
        assert answer.status_code == 204
        (seen,) = api.get("/api/v1/clusters/demo/agents").json()["items"]
        assert seen["boot"] == 2
    (seen,) = api.get("/api/v1/clusters/demo/agents").json()["items"]
    assert seen["version"] == "newer"


def test_of_two_living_agents_on_one_host_are_a_conflict(
    api: TestClient, agent: TestClient, clock: Any
) -> None:
    for boot in (1, 2):
        agent.post(REPORTS, json=report(clock, boot=boot, version=f"v{boot}"))
    agents = api.get("/api/v1/clusters/demo/agents", params={"page_size": 1}).json()
    assert agents["items"][0]["conflict"]
    assert agents["next_page_token"]
    row = api.get("/api/v1/clusters/demo/grid").json()["hosts"][0]
    assert (row["name"], row["conflict"], row["agent_version"]) == ("demo-1", True, "v2")


def test_fill_the_grid(api: TestClient, agent: TestClient, clock: Any) -> None:
    prober_id = api.get("/api/v1/probers/ping").json()["id"]
    said = report(
        clock,
        configuration_problem="cannot fetch",
        probers=[{"prober_id": prober_id, "revision": 1, "states": "1", "last_run_at": clock.now.isoformat()}],
        reasons=[{"prober_id": prober_id, "combination": 0, "text": "no route", "upload": prober_id}],
    )  # fmt: skip
    assert agent.post(REPORTS, json=said).status_code == 204
    grid = api.get("/api/v1/clusters/demo/grid").json()
    assert grid["probers"] == ["ping"]
    one, two = grid["hosts"]
    assert (one["presence"], one["problem"], one["address"]) == ("reporting", "cannot fetch", "127.77.0.1")  # fmt: skip
    assert one["cells"]["ping"]["states"] == "1"
    assert one["cells"]["ping"]["combinations"] == ["target=demo-2"]
    assert one["cells"]["ping"]["reasons"] == {"0": "no route"}
    assert one["cells"]["ping"]["uploads"] == {"0": prober_id}
    assert (two["presence"], two["cells"]["ping"]["states"]) == ("expected", "4")


def test_tell_who_paused_what(api: TestClient, agent: TestClient, clock: Any) -> None:
    prober_id = api.get("/api/v1/probers/ping").json()["id"]
    since = clock.now.isoformat()
    until = (clock.now + timedelta(minutes=5)).isoformat()
    pauses = [
        {"prober_id": prober_id, "since": since, "until": until, "who": "ann", "why": "moving"},
        {"since": since, "until": until, "who": "bob", "why": "the host is rebuilt"},
    ]
    probers = [{"prober_id": prober_id, "revision": 1, "states": "5"}]
    told = report(clock, probers=probers, pauses=pauses)
    assert agent.post(REPORTS, json=told).status_code == 204
    (seen,) = api.get("/api/v1/clusters/demo/agents").json()["items"]
    assert [one["who"] for one in seen["pauses"]] == ["ann", "bob"]
    row = api.get("/api/v1/clusters/demo/grid").json()["hosts"][0]
    assert row["pause"]["why"] == "the host is rebuilt"
    assert (row["cells"]["ping"]["states"], row["cells"]["ping"]["pause"]["who"]) == ("5", "ann")
    # A silent agent does not keep it alive.
    clock.forward(seconds=301)
    row = api.get("/api/v1/clusters/demo/grid").json()["hosts"][0]
    assert (row["pause"], row["cells"]["ping"]["pause"]) == (None, None)


def test_that_do_not_fit_are_refused_and_change_nothing(
    api: TestClient, agent: TestClient, clock: Any
) -> None:
    prober = {"prober_id": str(uuid4()), "revision": 1}
    for fields, field in (
        ({"instance": "x"}, "instance"),
        ({"boot": -1}, "boot"),
        ({"boot": 2**70}, "boot"),
        ({"host": "a b"}, "host"),
        ({"clock": "2026-01-01T00:00:00"}, "clock"),
        ({"labels": {"zone": "a" * 201}}, "labels.zone"),
        ({"document_revision": 2**63}, "document_revision"),
        ({"probers": [{**prober, "states": "7"}]}, "probers.0.states"),
        ({"probers": [{**prober, "prober_id": "x", "states": "0"}]}, "probers.0.prober_id"),
        ({"probers": [{**prober, "states": "0", "last_run_at": "now"}]}, "probers.0.last_run_at"),
        ({"probers": [prober]}, "probers.0.states"),
        (
            {"reasons": [{"prober_id": str(uuid4()), "combination": -1, "text": ""}]},
            "reasons.0.combination",
        ),
        (
            {"reasons": [{"prober_id": str(uuid4()), "combination": 0, "text": "a" * 201}]},
            "reasons.0.text",
        ),
        (
            {
                "reasons": [
                    {"prober_id": str(uuid4()), "combination": 0, "text": "", "upload": "/x"}
                ]
            },
            "reasons.0.upload",
        ),
    ):
        answer = agent.post(REPORTS, json=report(clock, **fields))
        assert answer.status_code == 422, fields
        assert answer.json()["errors"][0]["field"] == field
    assert agent.post(REPORTS, content=b"{").status_code == 422
    assert api.get("/api/v1/clusters/demo/agents").json()["items"] == []


def test_with_texts_that_no_database_holds_are_no_mistake_of_ours(
    api: TestClient, agent: TestClient, clock: Any
) -> None:
    for fields in ({"version": "1\0"}, {"labels": {"a": "\ud800"}}, {"labels": {"a\0": "b"}}):
        body = json.dumps(report(clock, **fields))
        answer = agent.post(REPORTS, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {204, 422}
        assert api.get("/api/v1/clusters/demo/agents").status_code == 200
        assert api.get("/api/v1/clusters/demo/grid").status_code == 200


def test_of_fields_from_the_future_are_taken_without_them(
    agent: TestClient, clock: Any, context: Context
) -> None:
    prober_id = str(uuid4())
    prober = {"prober_id": prober_id.upper(), "revision": 1, "states": "0", "mood": "fine"}
    assert agent.post(REPORTS, json=report(clock, mood="fine", probers=[prober])).status_code == 204
    with context.database.reading() as session:
        stored = session.query(models.Agent).one().report
    assert "mood" not in json.dumps(stored)
    assert stored["probers"][0]["prober_id"] == prober_id


def test_that_were_spoiled_in_the_database_hide_no_others(
    api: TestClient, agent: TestClient, clock: Any, context: Context, caplog: Any
) -> None:
    prober_id = api.get("/api/v1/probers/ping").json()["id"]
    probers = [{"prober_id": prober_id, "revision": 1, "states": "1"}]
    for host in ("demo-1", "demo-2"):
        assert (
            agent.post(REPORTS, json=report(clock, host=host, probers=probers)).status_code == 204
        )
    with context.database.writing() as session:
        session.query(models.Agent).filter_by(host="demo-1").one().report = {"probers": 5}
    one, two = api.get("/api/v1/clusters/demo/grid").json()["hosts"]
    assert (one["presence"], one["problem"]) == (
        "reporting",
        "what this agent reported cannot be read",
    )
    assert (one["cells"]["ping"]["states"], two["cells"]["ping"]["states"]) == ("4", "1")
    assert api.get("/").status_code == 200
    assert len(api.get("/api/v1/clusters/demo/agents").json()["items"]) == 2
    assert "a stored report cannot be read" in caplog.text


def test_larger_than_4_mib_are_refused(agent: TestClient) -> None:
    announced = agent.post(REPORTS, content=b" " * (4 * 1024 * 1024 + 1))
    assert announced.status_code == 413
    assert announced.headers["content-type"] == "application/problem+json"

    def chunks() -> Any:
        for _ in range(5):
            yield b" " * 1024 * 1024

    assert agent.post(REPORTS, content=chunks()).status_code == 413


def test_agents_read_the_files_of_their_own_document_only(
    api: TestClient, agent: TestClient, callers: Any, described: Any
) -> None:
    recipe = api.get("/api/v1/recipes/local").json()["revision"]["files"][0]["sha256"]
    prober = api.get("/api/v1/probers/ping").json()["revision"]["files"][0]["sha256"]
    assert agent.get(f"/api/v1/files/{prober}").content == b"#!"
    assert agent.get(f"/api/v1/files/{recipe}").status_code == 403
    other = described.cluster("other")
    api.put("/api/v1/probers/ping/configs/all", json={"clusters": ["demo"]})
    assert callers.agent(other["id"]).get(f"/api/v1/files/{prober}").status_code == 403


def test_a_token_speaks_for_its_own_cluster_and_its_version_only(
    api: TestClient, demo: Any, callers: Any, described: Any, context: Context, clock: Any
) -> None:
    other = described.cluster("other")
    address = "/api/v1/clusters/demo/configuration"
    assert callers.agent(other["id"]).get(address).status_code == 403
    assert callers.agent(str(UUID(int=5))).get(address).status_code == 403
    with context.database.writing() as session:
        row = session.get_one(models.Cluster, UUID(demo["id"]))
        row.agent_token_version, row.previous_agent_token_version = 3, 2
    clock.forward(seconds=1)
    allowed = {
        version: callers.agent(demo["id"], version).get(address).status_code for version in range(5)
    }
    assert allowed == {0: 403, 1: 403, 2: 200, 3: 200, 4: 403}

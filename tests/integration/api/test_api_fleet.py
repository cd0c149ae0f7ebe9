"""The agents of all clusters, by what operators look for."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from common.contracts.reports import AgentReport
from database import models

FLEET = "/api/v1/agents"


@pytest.fixture
def fleet(api: TestClient, described: Any, callers: Any, clock: Any, context: Context) -> None:
    """Cluster a has a good agent, b one that is silent, old, with a wrong clock; hosts a-2 and b-2 never came."""
    for slug, back, version, skew in (("a", 0, "2.0", 0), ("b", 600, "1.0", 90)):
        cluster = described.cluster(slug)
        agent = callers.agent(cluster["id"])
        document = agent.get(f"/api/v1/clusters/{slug}/configuration").json()
        known = document["revision"] - (1 if back else 0)
        clock.forward(seconds=-back)
        report = AgentReport(
            instance=uuid4(), boot=1, host=f"{slug}-1", version=version, document_revision=known,
            clock=clock.now + timedelta(seconds=skew),
        )  # fmt: skip
        answer = agent.post(f"/api/v1/clusters/{slug}/reports", json=report.model_dump(mode="json"))
        assert answer.status_code == 204
        clock.forward(seconds=back)
        with context.database.writing() as session:
            row = session.get_one(models.Cluster, UUID(cluster["id"]))
            row.hosts = {f"{slug}-1": {}, f"{slug}-2": {"address": "192.0.2.1"}}


@pytest.mark.parametrize(
    ("query", "hosts"),
    [
        ({}, {"a-1", "b-1"}),
        ({"presence": "reporting"}, {"a-1"}),
        ({"presence": "silent"}, {"b-1"}),
        ({"version": "2.0"}, {"a-1"}),
        ({"stale": "true"}, {"b-1"}),
        ({"stale": "false"}, {"a-1"}),
        ({"clock_skew_above_seconds": "60"}, {"b-1"}),
        ({"clock_skew_above_seconds": "60", "presence": "reporting"}, set()),
    ],
)
def test_agents_are_found_by_what_is_wrong_with_them(
    api: TestClient, fleet: None, query: dict[str, str], hosts: set[str]
) -> None:
    found = api.get(FLEET, params=query).json()["items"]
    assert {one["host"] for one in found} == hosts
    assert all(one["host"].startswith(one["cluster"]) for one in found)
    of_b = api.get("/api/v1/clusters/b/agents", params=query).json()["items"]
    assert {one["host"] for one in of_b} == hosts & {"b-1"}


def test_the_fleet_comes_in_pages(api: TestClient, fleet: None) -> None:
    first = api.get(FLEET, params={"page_size": 1}).json()
    second = api.get(FLEET, params={"page_size": 1, "page_token": first["next_page_token"]}).json()
    hosts = [one["host"] for page in (first, second) for one in page["items"]]
    assert sorted(hosts) == ["a-1", "b-1"]
    assert second["next_page_token"] == ""


def test_hosts_that_never_came_are_listed(api: TestClient, fleet: None) -> None:
    missing = api.get(f"{FLEET}/missing").json()["items"]
    assert missing == [
        {"cluster": slug, "host": f"{slug}-2", "address": "192.0.2.1"} for slug in ("a", "b")
    ]


@pytest.mark.parametrize("query", [{"presence": "expected"}, {"clock_skew_above_seconds": "nan"}])
def test_what_cannot_be_asked_is_refused(api: TestClient, query: dict[str, str]) -> None:
    assert api.get(FLEET, params=query).status_code == 422

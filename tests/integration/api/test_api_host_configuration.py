"""The effective configuration of one host, explained over HTTP."""

from typing import Any
from uuid import UUID

from fastapi.testclient import TestClient

from api.context import Context
from database import models

HOSTS = {
    "demo-1": {"address": "192.0.2.1", "labels": {"zone": "a"}},
    "demo-2": {"address": "192.0.2.2", "labels": {"zone": "b"}},
}


def configuration(api: TestClient, host: str = "demo-1") -> dict[str, Any]:
    answer = api.get(f"/api/v1/clusters/demo/hosts/{host}/configuration")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def give_hosts(context: Context) -> None:
    with context.database.writing() as session:
        row = session.query(models.Cluster).filter_by(slug="demo").one()
        row.hosts = HOSTS
        row.configuration_change += 1


def test_names_the_layer_of_each_setting(api: TestClient, described: Any, context: Context) -> None:
    described.cluster("demo", variables={"port": 80})
    give_hosts(context)
    described.prober("ping", command=["./ping", "${target}"], defaults={"interval_seconds": 20})
    settings: dict[str, Any] = {
        "variables": {"port": "${cluster.variables.port}"},
        "matrix": {"target": {"values": "${cluster.hosts}"}},
    }
    described.config("ping", slug="all", settings=settings)
    special = {"grace_seconds": 1, "variables": {"color": "red"}}
    described.config("ping", slug="zone-a", order=7, host_labels={"zone": "a"}, settings=special)
    shown = configuration(api)
    (prober,) = shown["probers"]
    assert (shown["host"], shown["labels"], prober["problem"]) == ("demo-1", {"zone": "a"}, "")
    said = prober["settings"]
    assert said["interval_seconds"] == {"value": 20, "layer": "prober", "config": "", "order": 0}
    assert said["time_limit_seconds"]["layer"] == "built-in"
    assert said["grace_seconds"] == {"value": 1, "layer": "host", "config": "zone-a", "order": 7}
    assert said["variables.port"]["layer"] == "cluster"
    assert said["matrix.target"]["config"] == "all"
    assert (prober["combinations"], prober["runs_in_all"]) == (1, 1)
    (run,) = prober["runs"]
    assert run["arguments"] == ["./ping", "demo-2"]
    assert run["combinations"] == [{"target": "demo-2"}]
    assert run["environment"]["VAR_PORT"] == "80"
    assert run["environment"]["VAR_TARGET_ADDRESS"] == "192.0.2.2"
    other = configuration(api, "demo-2")["probers"][0]["settings"]
    assert other["grace_seconds"]["layer"] == "built-in"
    assert "variables.color" not in other


def test_says_why_a_prober_cannot_run(api: TestClient, described: Any, context: Context) -> None:
    described.cluster("demo")
    give_hosts(context)
    described.prober("ping", command=["./ping", "${cluster.variables.unknown}"])
    described.config("ping")
    (prober,) = configuration(api)["probers"]
    assert "cluster.variables.unknown" in prober["problem"]
    assert (prober["runs"], prober["combinations"]) == ([], 0)


def test_the_agents_own_labels_win(
    api: TestClient, described: Any, context: Context, callers: Any
) -> None:
    cluster = described.cluster("demo")
    give_hosts(context)
    report = {
        "instance": str(UUID(int=1)), "boot": 1, "host": "demo-1", "version": "1",
        "clock": "2026-01-01T12:00:00Z", "probers": [], "labels": {"zone": "mine"},
    }  # fmt: skip
    agent = callers.agent(cluster["id"])
    assert agent.post("/api/v1/clusters/demo/reports", json=report).status_code == 204
    assert configuration(api)["labels"] == {"zone": "mine"}
    report |= {"host": "laptop", "instance": str(UUID(int=2))}
    agent.post("/api/v1/clusters/demo/reports", json=report)
    assert configuration(api, "laptop")["labels"] == {"zone": "mine"}


def test_a_host_that_nobody_knows_is_not_found(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    for host in ("unknown", "demo-3"):
        answer = api.get(f"/api/v1/clusters/demo/hosts/{host}/configuration")
        assert answer.status_code == 404
    assert api.get("/api/v1/clusters/other/hosts/a/configuration").status_code == 404

"""What people do with clusters and probers beside describing them, as the API answers; Creator's tests show the effect."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from common.contracts.clusters import DeploymentState
from common.contracts.keys import Role
from common.contracts.reports import AgentReport
from database import models

DEMO = "/api/v1/clusters/demo"


@pytest.fixture
def demo(described: Any) -> dict[str, Any]:
    cluster: dict[str, Any] = described.cluster("demo", deploy_policy="approve")
    return cluster


def _act(api: TestClient, action: str, body: Any = None) -> Any:
    answer = api.post(f"{DEMO}/{action}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


def _status(api: TestClient, action: str, body: Any = None) -> int:
    return api.post(f"{DEMO}/{action}", json=body).status_code


# Pauses and requests


def test_a_pause_says_who_why_and_until_when(api: TestClient, demo: Any, clock: Any) -> None:
    until = (clock.now + timedelta(hours=1)).isoformat()
    paused = _act(api, "pause", {"reason": "works on the rack", "until": until})["paused"]
    assert (paused["by"], paused["reason"]) == ("admin", "works on the rack")
    assert _status(api, "deploy") == 409
    assert _act(api, "resume")["paused"] is None
    assert _act(api, "resume")["paused"] is None
    for until in (clock.now.isoformat(), "9999-12-31T23:59:59-23:59"):
        assert _status(api, "pause", {"reason": "x", "until": until}) == 422
    assert _status(api, "pause", {}) == 422


def test_a_request_waits_for_creator(api: TestClient, demo: Any) -> None:
    assert _act(api, "deploy")["deploy_requested_by"] == "admin"
    assert _act(api, "deploy")["deploy_requested_by"] == "admin"


# Deletion


def test_a_protected_cluster_is_not_deleted(api: TestClient, demo: Any) -> None:
    assert api.patch(DEMO, json={"protected": True}).json()["protected"] is True
    refused = api.delete(DEMO)
    assert refused.status_code == 409
    assert "set `protected` to false first" in refused.json()["detail"]
    api.patch(DEMO, json={"protected": False})
    assert api.delete(DEMO).status_code == 202


def test_a_deletion_can_be_taken_back_until_destroying_starts(
    api: TestClient, demo: Any, context: Context
) -> None:
    api.delete(DEMO)
    assert _act(api, "undelete")["state"] == "active"
    assert _act(api, "undelete")["state"] == "active"
    api.delete(DEMO)
    deployment = _add_deployment(context, demo, DeploymentState.FAILED)
    with context.database.writing() as session:
        session.add(
            models.DeploymentStep(deployment_id=UUID(deployment), kind="destroy", arguments=[])
        )
    refused = api.post(f"{DEMO}/undelete")
    assert refused.status_code == 409
    assert "is being destroyed already" in refused.json()["detail"]


def test_nothing_is_taken_back_once_creator_applies(
    api: TestClient, demo: Any, context: Context
) -> None:
    api.delete(DEMO)
    _add_deployment(context, demo, DeploymentState.APPLYING)
    assert _status(api, "undelete") == 409


# Rulings on plans


def test_an_approver_rules_on_the_plan_that_waits(
    api: TestClient, demo: Any, context: Context, callers: Any
) -> None:
    waiting = _add_deployment(context, demo, DeploymentState.WAITING_FOR_APPROVAL)
    approver = callers.role(Role.APPROVER)
    assert (
        callers.role(Role.EDITOR).post(f"{DEMO}/deployments/{waiting}/approve").status_code == 403
    )
    approved = _act(approver, f"deployments/{waiting}/approve")
    assert (approved["approved"], approved["decided_by"]) == (True, "approver")
    assert approved["state"] == "waiting_for_approval"
    # Until Creator acts on it, a person may think again.
    rejected = _act(approver, f"deployments/{waiting}/reject", {"reason": "too much goes"})
    assert (rejected["approved"], rejected["state"]) == (False, "superseded")
    assert rejected["error"] == "rejected by approver: too much goes"
    assert _status(approver, f"deployments/{waiting}/approve") == 409
    assert _status(approver, f"deployments/{uuid4()}/approve") == 404


def test_who_rejects_a_plan_rejects_what_it_was_to_make_anew(
    api: TestClient, demo: Any, context: Context
) -> None:
    waiting = _add_deployment(context, demo, DeploymentState.WAITING_FOR_APPROVAL)
    with context.database.writing() as session:
        row = session.get_one(models.Deployment, UUID(waiting))
        row.changes = [
            {"address": "vm.sick", "action": "replace", "state": "planned"},
            {"address": "vm.fine", "action": "update", "state": "planned"},
        ]
        cluster = session.get_one(models.Cluster, UUID(demo["id"]))
        cluster.replace_addresses = ["vm.fine", "vm.sick"]
    before = api.get(DEMO).headers["ETag"]

    _act(api, f"deployments/{waiting}/reject", {"reason": "it recovered"})

    shown = api.get(DEMO)
    assert shown.json()["replace_addresses"] == ["vm.fine"], "a younger wish stays"
    assert shown.headers["ETag"] != before


def test_by_policy_nobody_approves_what_they_changed(
    api: TestClient, demo: Any, context: Context, callers: Any
) -> None:
    waiting = _add_deployment(context, demo, DeploymentState.WAITING_FOR_APPROVAL)
    object.__setattr__(context, "approver_must_differ", True)
    path = f"deployments/{waiting}/approve"
    assert _status(api, path) == 403
    assert _status(callers.role(Role.APPROVER), path) == 200


# The token of agents


def test_a_rotation_waits_for_every_agent(
    api: TestClient, demo: Any, callers: Any, clock: Any
) -> None:
    one, two = _report("h1", clock.now), _report("h2", clock.now)
    for report in (one, two):
        assert _send(callers.agent(demo["id"], 1), report) == 204
    rotated = _act(api, "agent-token/rotate")
    assert (rotated["agent_token_version"], rotated["previous_agent_token_version"]) == (2, 1)
    clock.forward(seconds=2)
    assert _status(api, "agent-token/rotate") == 409
    assert _send(callers.agent(demo["id"], 2), one) == 204
    clock.forward(seconds=2)
    assert _send(callers.agent(demo["id"], 1), two) == 204
    assert _previous(api) == 1
    clock.forward(hours=2)  # also a silent one counts
    assert _send(callers.agent(demo["id"], 2), one) == 204
    assert _previous(api) == 1
    assert _send(callers.agent(demo["id"], 2), two) == 204
    assert _previous(api) is None
    clock.forward(seconds=2)
    assert _send(callers.agent(demo["id"], 1), two) == 403
    assert _status(api, "agent-token/rotate") == 200


def test_a_forced_rotation_locks_the_oldest_token_out(
    api: TestClient, demo: Any, callers: Any, clock: Any
) -> None:
    _act(api, "agent-token/rotate")
    _act(api, "agent-token/rotate", {"force": True})
    clock.forward(seconds=2)
    address = f"{DEMO}/configuration"
    statuses = [callers.agent(demo["id"], version).get(address).status_code for version in range(5)]
    assert statuses == [403, 403, 200, 200, 403]


# The installation and probers


def test_the_global_switch_says_who_and_why(api: TestClient, callers: Any) -> None:
    address = "/api/v1/installation"
    assert api.get(address).json()["applies_stopped"] is False
    body = {"applies_stopped": True, "reason": "the cloud is on fire"}
    stopped = callers.role(Role.EDITOR).put(address, json=body).json()
    assert (stopped["changed_by"], stopped["reason"]) == ("editor", "the cloud is on fire")
    assert callers.role(Role.VIEWER).put(address, json=body).status_code == 403
    assert api.get(address).json() == stopped


def test_a_stopped_prober_is_in_no_document(
    api: TestClient, demo: Any, described: Any, callers: Any, clock: Any
) -> None:
    described.prober("ping", severity="critical")
    described.config()
    assert _documented(callers, demo, clock) == {"ping": 1}
    stopped = api.post("/api/v1/probers/ping/stop", json={"reason": "floods the network"}).json()
    assert (stopped["stopped"]["by"], stopped["severity"]) == ("admin", "critical")
    assert _documented(callers, demo, clock) == {}
    api.post("/api/v1/probers/ping/start")
    assert _documented(callers, demo, clock) == {"ping": 1}
    assert api.post("/api/v1/probers/ping/stop", json={}).status_code == 422


def test_of_a_stopped_revision_the_one_before_runs(
    api: TestClient, demo: Any, described: Any, callers: Any, clock: Any, file_upload: Any
) -> None:
    described.prober("ping")
    described.config()
    api.post("/api/v1/probers/ping/revisions", json={"files": [file_upload("ping", b"#!new")]})
    assert _documented(callers, demo, clock) == {"ping": 2}
    body = {"reason": "it hangs", "revision": 2}
    stopped = api.post("/api/v1/probers/ping/stop", json=body).json()
    assert stopped["revision"]["stopped"]["reason"] == "it hangs"
    assert _documented(callers, demo, clock) == {"ping": 1}
    api.post("/api/v1/probers/ping/stop", json={"reason": "this one, too", "revision": 1})
    assert _documented(callers, demo, clock) == {}
    api.post("/api/v1/probers/ping/start", json={"revision": 2})
    assert _documented(callers, demo, clock) == {"ping": 2}
    assert api.post("/api/v1/probers/ping/stop", json={**body, "revision": 9}).status_code == 404


def _documented(callers: Any, demo: Any, clock: Any) -> dict[str, int]:
    clock.forward(seconds=2)
    document = callers.agent(demo["id"]).get(f"{DEMO}/configuration").json()
    return {prober["slug"]: prober["revision"] for prober in document["probers"]}


def _add_deployment(context: Context, cluster: Any, state: DeploymentState) -> str:
    with context.database.writing() as session:
        revision = session.query(models.RecipeRevision).first()
        assert revision
        row = models.Deployment(
            cluster_id=UUID(cluster["id"]), cause="a test", state=state, fingerprint="",
            recipe_revision_id=revision.id,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return str(row.id)


def _previous(api: TestClient) -> int | None:
    previous: int | None = api.get(DEMO).json()["previous_agent_token_version"]
    return previous


def _report(host: str, now: Any) -> dict[str, Any]:
    report = AgentReport(instance=uuid4(), boot=1, host=host, version="1", clock=now)
    return report.model_dump(mode="json")


def _send(agent: TestClient, report: dict[str, Any]) -> int:
    return agent.post(f"{DEMO}/reports", json=report).status_code

"""What operators need of a running API: readiness, metrics, ids of requests."""

from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from common.contracts.keys import Role
from common.object_storage import ObjectStorageError


def _samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_requests_by_route_and_not_by_object(
    api: TestClient, described: Any, callers: Any
) -> None:
    cluster = described.cluster("demo")
    described.cluster("clusters")
    for slug in ("demo", "clusters", "none"):
        api.get(f"/api/v1/clusters/{slug}")
    callers.agent(cluster["id"]).get("/api/v1/clusters/demo/configuration")
    for path in ("/static/style.css", "/nobody/knows", "/clusters/demo"):
        api.get(path)
    api.request("BREW", "/coffee")
    answer = callers.role(Role.VIEWER).get("/metrics")
    samples = _samples(answer.text)
    requests = "mr_prober_api_requests_total"
    for method, route, status, count in (
        ("GET", "/api/v1/clusters/{slug}", "200", 2),
        ("GET", "/api/v1/clusters/{slug}", "404", 1),
        ("GET", "/api/v1/clusters/{slug}/configuration", "200", 1),
        ("GET", "/static/…", "200", 1),
        ("GET", "none", "404", 1),
        ("GET", "/clusters/{slug}", "200", 1),
    ):
        assert samples[requests, (method, route, status)] == count, route
    assert not [labels for name, labels in samples if {"demo", "BREW"} & set(labels)]
    assert samples["mr_prober_api_held_requests", ()] == 0
    assert samples["mr_prober_api_database_connections_in_use", ()] >= 0


def test_metrics_count_builds_of_documents_and_what_became_of_reports(
    api: TestClient, described: Any, callers: Any, clock: Any
) -> None:
    agent = callers.agent(described.cluster("demo")["id"])
    for _ in range(3):  # one build for all who ask
        agent.get("/api/v1/clusters/demo/configuration")
    said = {"boot": 1, "host": "demo-1", "version": "1", "clock": clock.now.isoformat()}
    for number in range(2):
        body = {**said, "instance": str(UUID(int=number))}
        assert agent.post("/api/v1/clusters/demo/reports", json=body).status_code == 204
    samples = _samples(api.get("/metrics").text)
    assert samples["mr_prober_api_document_build_seconds_count", ()] == 1
    assert samples["mr_prober_api_document_build_seconds_sum", ()] > 0
    assert samples["mr_prober_api_written_reports_total", ()] == 2
    assert samples["mr_prober_api_lost_reports_total", ()] == 0
    assert samples["mr_prober_api_waiting_reports", ()] == 0


def test_metrics_need_a_key(callers: Any, described: Any) -> None:
    assert callers.nobody().get("/metrics").status_code == 401
    assert callers.agent(described.cluster()["id"]).get("/metrics").status_code == 403


@pytest.mark.parametrize("given", ["trace-0123456789", "a.b_c-12345"])
def test_a_callers_own_id_of_a_request_is_kept(api: TestClient, given: str) -> None:
    answer = api.get("/health/live", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "short", "with space", "x" * 65, "line%0Abreak", '"quoted"'])
def test_an_id_that_could_spoil_a_log_is_replaced(api: TestClient, given: str) -> None:
    answer = api.get("/health/live", headers={"X-Request-Id": given})
    assert len(answer.headers["X-Request-Id"]) == 32


def test_ready_means_that_database_and_storage_answer(callers: Any, context: Any) -> None:
    class Broken:
        def write(self, key: str, _content: bytes) -> None:
            raise ObjectStorageError("write", key, "no space left")

    assert callers.nobody().get("/health/ready").status_code == 200
    object.__setattr__(context, "storage", Broken())
    answer = callers.nobody().get("/health/ready")
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"

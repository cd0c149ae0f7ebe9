"""Faults: what is set happens to the next pushes, in order, and to nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from solomon_stand_in.app import application
from solomon_stand_in.store import Store

CLASSIC = "/api/v2/push?project=p&cluster=c&service=s"
CLOUD = "/monitoring/v2/data/write?folderId=F&service=custom"
SENSORS = [{"kind": "GAUGE", "labels": {"name": f"m{n}"}, "value": 1} for n in range(3)]
METRICS = [{"name": f"m{n}", "value": 1} for n in range(3)]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    store = Store(tmp_path / "series.sqlite")
    with TestClient(application(store, token=None, page_token=None)) as client:
        yield client
    store.close()


def push(client: TestClient) -> Any:
    headers = {"Authorization": "OAuth any"}
    return client.post(CLASSIC, json={"sensors": SENSORS}, headers=headers)


def write(client: TestClient) -> Any:
    headers = {"Authorization": "Bearer any"}
    return client.post(CLOUD, json={"metrics": METRICS}, headers=headers)


def set_faults(client: TestClient, *faults: dict[str, Any]) -> Any:
    headers = {"Authorization": "OAuth any"}
    return client.post("/faults", json={"faults": faults}, headers=headers)


def test_codes_come_so_many_times_in_order_and_then_all_is_well(client: TestClient) -> None:
    slow_down = {"times": 2, "status": 429, "retry_after": "7", "body": "too many requests"}
    set_faults(client, slow_down, {"status": 500})
    answers = [push(client), write(client), push(client), write(client)]
    assert [answer.status_code for answer in answers] == [429, 429, 500, 200]
    assert (answers[0].headers["retry-after"], answers[0].text) == ("7", "too many requests")


def test_some_metrics_are_not_taken_and_the_count_says_so(client: TestClient) -> None:
    set_faults(client, {"times": 2, "partial": 2})
    assert push(client).json() == {"sensorsProcessed": 1}
    assert write(client).json() == {
        "writtenMetricsCount": "1", "errorMessage": "2 metrics were not written",
    }  # fmt: skip
    names = client.get(
        "/api/v2/projects/p/sensors/names", headers={"Authorization": "OAuth any"}
    ).json()
    assert names == {"names": ["m0"]}


def test_reading_is_not_hit_and_a_fault_can_be_taken_back(client: TestClient) -> None:
    set_faults(client, {"times": 5, "status": 500})
    headers = {"Authorization": "OAuth any"}
    assert client.get("/api/v2/projects/p/sensors", headers=headers).status_code == 200
    [left] = client.get("/faults", headers=headers).json()["faults"]
    assert (left["times"], left["status"]) == (5, 500)
    assert client.delete("/faults", headers=headers).json() == {"faults": []}
    assert push(client).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [{"times": 0}, {"status": 100}, {"delay_seconds": 61}, {"delay_seconds": "1"}, {"oops": 1}],
)
def test_a_fault_that_is_none_is_refused_and_sets_nothing(
    client: TestClient, fault: dict[str, Any]
) -> None:
    assert set_faults(client, {"status": 500}, fault).status_code == 400
    assert push(client).status_code == 200


def test_faults_are_set_only_with_a_token(client: TestClient) -> None:
    assert client.post("/faults", json={"faults": []}).status_code == 401

"""The cloud dialect of the stand-in: what is taken, what is refused and why, and what comes back."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from solomon_stand_in.app import application
from solomon_stand_in.cloud_body import metrics_of
from solomon_stand_in.downsampling import Downsampling
from solomon_stand_in.errors import BodyError, ForbiddenError, UnauthenticatedError
from solomon_stand_in.metrics import Point
from solomon_stand_in.store import Store
from solomon_stand_in.tokens import TOKEN_PATH, TokenDesk

NOW = datetime.now(UTC).replace(microsecond=0)
AT = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
BEARER = {"Authorization": "Bearer any"}
WRITE = "/monitoring/v2/data/write"
SHARD = {"folderId": "F", "service": "custom"}
GOOD = {
    "ts": AT,
    "labels": {"agent": "node-17"},
    "metrics": [
        {"name": "runs_ok", "labels": {"prober": "dns"}, "type": "IGAUGE", "value": 12},
        {
            "name": "rtt",
            "timeseries": [{"ts": AT, "value": 8.5}, {"ts": "2026-01-01T00:00:00.5+03:00", "value": 9}],
        },
    ],
}  # fmt: skip


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    store = Store(tmp_path / "series.sqlite")
    with TestClient(application(store, token=None, page_token=None), headers=BEARER) as client:
        yield client
    store.close()


def write(client: TestClient, body: object = GOOD, **changes: Any) -> tuple[int, Any]:
    arguments: dict[str, Any] = {"params": SHARD, "json": body} | changes
    answer = client.post(WRITE, **arguments)
    return answer.status_code, answer.json()


def test_a_good_write_says_as_text_how_many_metrics_it_took(client: TestClient) -> None:
    assert write(client) == (200, {"writtenMetricsCount": "2"})


def test_needs_a_bearer_token_or_an_api_key(client: TestClient) -> None:
    for header in ("OAuth any", "Bearer", "Bearer "):
        assert write(client, headers={"Authorization": header})[0] == 401
    assert write(client, headers={"Authorization": "Api-Key any"})[0] == 200


@pytest.mark.parametrize("change", [{"folderId": ""}, {"service": "x" * 51}, {"cluster": "a"}])
def test_wrong_parameters_are_refused(client: TestClient, change: dict[str, str]) -> None:
    assert write(client, params=SHARD | change)[0] == 400


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ({"value": 1}, "a metric needs a name"),
        ({"name": "a"}, "either value or timeseries"),
        ({"name": "a", "value": 1, "timeseries": []}, "either value or timeseries"),
        ({"name": "a", "timeseries": []}, "timeseries is empty"),
        ({"name": "a", "timeseries": [{"value": 1}]}, "needs ts and value"),
        ({"name": "a", "value": 1, "ts": 1763827200}, "ts must be a string"),
        ({"name": "a", "value": 1, "ts": "2026-11-22 16:00:00"}, "a timestamp looks like"),
        ({"name": "a", "value": 1, "ts": "2199-01-01T00:00:00Z"}, "in the future"),
        ({"name": "a", "value": 1, "kind": "DGAUGE"}, 'unexpected key "kind"'),
        ({"name": "a", "value": 1, "type": "HIST_RATE"}, "histograms are not taken"),
        ({"name": "a", "value": 1.5, "type": "IGAUGE"}, "must be an integer"),
        ({"name": "a", "value": "nan"}, "must be a number"),
        ({"name": "a", "value": 1, "labels": {"name": "x"}}, "'name' is reserved"),
        ({"name": "a", "value": 1, "labels": {"cluster": "x"}}, "'cluster' is reserved"),
        ({"name": "a", "value": 1, "labels": {"agent": "x"}}, "is a common label"),
        ({"name": "a", "value": 1, "labels": {f"label{n}": "x" for n in range(12)}}, "more than 16"),
        ({"name": 'a"b', "value": 1}, "printable ASCII"),
    ],
)  # fmt: skip
def test_one_bad_metric_fails_the_whole_body(metric: dict[str, Any], reason: str) -> None:
    body = {"labels": {"agent": "x"}, "metrics": [{"name": "fine", "value": 1}, metric]}
    with pytest.raises(BodyError, match=reason) as error:
        metrics_of(json.dumps(body).encode(), now=NOW)
    assert error.value.where.startswith("metrics[1]")


def test_what_was_written_can_be_read_with_its_times(client: TestClient) -> None:
    write(client)
    body = {
        "query": 'runs_ok{folderId="F", service="custom", prober="*"}',
        "fromTime": "2026-01-01T00:00:00Z",
        "toTime": AT,
        "downsampling": {"disabled": True},
    }
    answer = client.post("/monitoring/v2/data/read", params={"folderId": "F"}, json=body)
    assert answer.json() == {
        "metrics": [
            {
                "name": "runs_ok",
                "labels": {
                    "folderId": "F", "service": "custom", "agent": "node-17", "prober": "dns",
                },
                "type": "IGAUGE",
                "timeseries": {"timestamps": [int(NOW.timestamp() * 1000)], "int64Values": [12]},
            }
        ]
    }  # fmt: skip
    elsewhere = client.post("/monitoring/v2/data/read", params={"folderId": "G"}, json=body)
    assert elsewhere.json() == {"metrics": []}


@pytest.mark.parametrize(
    "downsampling",
    [None, {}, {"disabled": False}, {"maxPoints": 10}, {"maxPoints": 20, "disabled": True},
     {"gridInterval": 0}, {"gridInterval": "1"}, {"gridInterval": 60000, "gridAggregation": "P99"}],
)  # fmt: skip
def test_a_read_says_how_it_wants_the_grid(client: TestClient, downsampling: object) -> None:
    body: dict[str, object] = {"query": "{}", "fromTime": "2026-01-01T00:00:00Z", "toTime": AT}
    body |= {} if downsampling is None else {"downsampling": downsampling}
    answer = client.post("/monitoring/v2/data/read", params={"folderId": "F"}, json=body)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("aggregation", "gaps", "rows"),
    [
        ("AVG", "NONE", [(0, 2.0), (200, 5.0)]),
        ("MAX", "NULL", [(0, 3.0), (100, None), (200, 5.0)]),
        ("LAST", "PREVIOUS", [(0, 3.0), (100, 3.0), (200, 5.0)]),
        ("COUNT", "NONE", [(0, 2), (200, 1)]),
    ],
)
def test_points_fall_into_cells_that_begin_at_multiples(
    aggregation: str, gaps: str, rows: list[tuple[int, float | None]]
) -> None:
    points = [Point(10, 1.0), Point(99, 3.0), Point(200, 5.0)]
    assert Downsampling(100, aggregation, gaps).rows(points) == rows


def test_says_what_series_there_are(client: TestClient) -> None:
    write(client)
    meta = "/monitoring/v2/metrics"
    folder = {"folderId": "F"}
    names = client.get(f"{meta}/names", params=folder).json()
    assert names == {"names": ["rtt", "runs_ok"], "nextPageToken": ""}
    page = client.get(meta, params=folder | {"pageSize": 1}).json()
    assert [metric["name"] for metric in page["metrics"]] == ["runs_ok"]
    rest = client.get(meta, params=folder | {"pageToken": page["nextPageToken"]}).json()
    assert [metric["name"] for metric in rest["metrics"]] == ["rtt"]
    values = client.get(f"{meta}/labels/prober/values", params=folder).json()
    assert values == {
        "values": ["dns"], "metricsCount": "2", "absent": True, "nextPageToken": "",
    }  # fmt: skip


def test_the_metadata_service_gives_tokens_that_end() -> None:
    now = NOW
    desk = TokenDesk(None, lifetime=timedelta(seconds=60), clock=lambda: now)
    token, seconds = desk.give()
    assert seconds == 60
    desk.check(token)
    desk.check("anything else")
    now += timedelta(seconds=60)
    with pytest.raises(UnauthenticatedError):
        desk.check(token)


def test_a_token_that_is_set_is_the_only_one_beside_those_given_out() -> None:
    desk = TokenDesk("right", lifetime=timedelta(seconds=60), clock=lambda: NOW)
    desk.check("right")
    desk.check(desk.give()[0])
    with pytest.raises(ForbiddenError):
        desk.check("wrong")


def test_the_metadata_service_wants_its_header(client: TestClient) -> None:
    assert client.get(TOKEN_PATH).status_code == 403
    given = client.get(TOKEN_PATH, headers={"Metadata-Flavor": "Google"}).json()
    assert given["token_type"] == "Bearer"
    assert write(client, headers={"Authorization": f"Bearer {given['access_token']}"})[0] == 200
    assert write(client, headers={"Authorization": "Bearer t1.stand-in.999.x"})[0] == 401


def test_tokens_are_not_given_away_where_one_is_needed(tmp_path: Path) -> None:
    store = Store(tmp_path / "series.sqlite")
    with TestClient(application(store, token="right", page_token=None)) as client:
        assert client.get(TOKEN_PATH, headers={"Metadata-Flavor": "Google"}).status_code == 404
    store.close()

"""Both dialects against the stand-in, which misbehaves in every way: what arrives, and what is counted as lost."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from agent.sinks.choice import Destination, DialectName, SpoolBounds, solomon_sink, token_source
from agent.sinks.port import Batch
from agent.sinks.solomon import SolomonSink
from common.solomon.answers import PushStatus
from common.solomon.client import HttpSolomonClient, cloud_address
from common.solomon.points import Histogram, Kind, Point
from common.solomon.tokens import FixedToken
from tests.integration.agent.stand_ins import wait_until

HEADERS = {"Authorization": "Bearer any"}
CELLS = 4
NAMES = [f"metric_{n}" for n in range(5)]
both_dialects = pytest.mark.parametrize("dialect", ["classic", "cloud"])


@pytest.fixture
def sink(stand_in: str, dialect: DialectName, tmp_path: Path) -> Iterator[SolomonSink]:
    tokens = token_source("any" if dialect == "classic" else None, stand_in)
    destination = Destination(stand_in, dialect, tokens, "F", "F", "custom")
    bounds = SpoolBounds(tmp_path / "spool", 10_000_000, timedelta(days=1), 1000.0)
    made = solomon_sink(destination, bounds, offset_seconds=0)
    made.start()
    yield made
    made.close(time_limit_seconds=20)


def ask(url: str, **body: Any) -> Any:
    answer = requests.post(
        f"{url}/monitoring/v2/data/read",
        params={"folderId": "F"},
        json={"toTime": "2100-01-01T00:00:00Z", "downsampling": {"disabled": True}, **body},
        headers=HEADERS,
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["metrics"]


def stored(url: str) -> set[tuple[str, int]]:
    """Name and time (seconds) of each point."""
    found = ask(url, query='{name="metric_*"}', fromTime="2020-01-01T00:00:00Z")
    return {
        (series["name"], moment // 1000)
        for series in found
        for moment in series["timeseries"]["timestamps"]
    }


@both_dialects
@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        ({"times": 2, "status": 429, "retry_after": "1", "body": "too many requests"}, {}),
        ({"times": 2, "status": 500}, {}),
        ({"status": 503, "body": "shard is not ready yet", "retry_after": "1"}, {}),
        ({"status": 401}, {}),
        ({"status": 200, "body": "<html>welcome to this hotel</html>"}, {}),
        ({"drop": True}, {}),
        ({"times": 2, "delay_seconds": 0.2}, {}),
        ({"partial": 2}, {"partial": 2}),
        ({"status": 400, "body": '{"message": "no"}'}, {"refused": 5}),
        ({"status": 413, "body": "more than 1000000 metrics in shard"}, {"refused": 5}),
    ],
)
def test_all_arrives_with_its_times_but_what_is_counted_as_lost(
    stand_in: str, sink: SolomonSink, fault: dict[str, Any], lost: dict[str, int]
) -> None:
    faults = {"faults": [fault]}
    requests.post(f"{stand_in}/faults", json=faults, headers=HEADERS, timeout=20)
    first = int(datetime.now(UTC).timestamp()) // 15 * 15 - 3600
    times = [first + 15 * cell for cell in range(CELLS)]
    for at in times:
        points = [Point(name, Kind.GAUGE, 1.5) for name in NAMES]
        sink.accept(Batch(datetime.fromtimestamp(at, UTC), points, {"host": "h1"}))
        wait_until(lambda: not sink._queue)
    wait_until(lambda: len(stored(stand_in)) == CELLS * len(NAMES) - sum(lost.values()))
    wait_until(lambda: sink.figures().spool_bytes == 0)
    assert sink.figures().dropped == lost
    assert {at for _, at in stored(stand_in)} >= set(times[1:])


@pytest.mark.parametrize("dialect", ["cloud"])
def test_counters_and_histograms_arrive_as_counts_of_each_cell(
    stand_in: str, sink: SolomonSink
) -> None:
    first = int(datetime.now(UTC).timestamp()) // 15 * 15 - 3600
    for cell, (count, buckets) in enumerate([(3, (1, 0)), (3, (1, 0)), (10, (1, 5))]):
        points = [
            Point("runs", Kind.RATE, count),
            Point("rtt", Kind.HIST_RATE, Histogram((0.001, 50.0), buckets, 0)),
        ]
        at = datetime.fromtimestamp(first + 15 * cell, UTC)
        sink.accept(Batch(at, points, {"host": "h1"}))
    period = {"fromTime": "2020-01-01T00:00:00Z"}

    def values(query: str) -> dict[str, list[int]]:
        return {
            series["labels"].get("bin", ""): series["timeseries"]["int64Values"]
            for series in ask(stand_in, query=query, **period)
        }

    wait_until(lambda: values('{name="runs"}') == {"": [3, 0, 7]})
    assert values('{name="rtt"}') == {"0.001": [1, 0, 0], "50": [5]}


@pytest.mark.parametrize("dialect", ["cloud"])
def test_the_token_of_the_vm_is_used_and_never_told(
    stand_in: str, sink: SolomonSink, caplog: pytest.LogCaptureFixture
) -> None:
    faults = {"faults": [{"status": 401, "body": '{"code": 16, "message": "ended"}'}]}
    requests.post(f"{stand_in}/faults", json=faults, headers=HEADERS, timeout=20)
    at = datetime.now(UTC)
    sink.accept(Batch(at, [Point("metric_0", Kind.GAUGE, 1.0)], {}))
    wait_until(lambda: stored(stand_in))
    left = requests.get(f"{stand_in}/faults", headers=HEADERS, timeout=20).json()
    assert left == {"faults": []}
    assert not re.search(r"t1\.stand-in", caplog.text)


def test_an_answer_that_drips_is_given_up_at_the_deadline(stand_in: str) -> None:
    faults = {"faults": [{"drip_seconds": 0.05}]}
    requests.post(f"{stand_in}/faults", json=faults, headers=HEADERS, timeout=20)
    client = HttpSolomonClient(
        cloud_address(stand_in, folder_id="F", service="custom"), FixedToken("any")
    )
    # The stand-in would drip for a minute, always in time for the next read.
    dripping = client.push(b'{"metrics": []}', time_limit=timedelta(seconds=0.5))
    assert (dripping.status, dripping.message) == (PushStatus.RETRY, "no answer in time")
    assert client.push(b'{"metrics": []}').status is PushStatus.OK
    client.close()

"""Points on their way: encoded and pushed over HTTP, and hours of them sent from the spool. CPU of this process only."""

import http.client
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.metrics import BOUNDS, CELL_SECONDS
from agent.sinks.pace import Pace
from agent.sinks.solomon import Deliverer, SinkClocks
from agent.sinks.spool import Spool
from benchmarks.measurement import Measurement, best_cpu_milliseconds
from common import processes
from common.contracts.states import Outcome, SkipReason
from common.solomon.classic import ClassicDialect
from common.solomon.client import HttpSolomonClient, classic_address, cloud_address
from common.solomon.cloud import CloudDialect
from common.solomon.encoder import EncodedPush, PushEncoder
from common.solomon.points import Histogram, Kind, Point
from common.solomon.tokens import FixedToken

ROOT = Path(__file__).resolve().parents[1]
COMMON_LABELS = {"cluster_slug": "mesh-a", "host": "mesh-a-17.example.net"}
_POINTS = 100_000
_REPETITIONS = 5
_PROBERS = 200
_OUTAGE = timedelta(hours=2)
_OUTAGES_IN_A_DAY = 12
# The defaults of MR_PROBER_SPOOL_REQUESTS_PER_SECOND and MR_PROBER_SPOOL_MAX_BYTES.
_REQUESTS_PER_SECOND = 50
_SPOOL_BYTES = 256 * 1024 * 1024
_TIME_LIMIT = timedelta(seconds=15)


def measure() -> list[Measurement]:
    """About 15 seconds."""
    with tempfile.TemporaryDirectory(prefix="mr-prober-bench-") as name, _taker(Path(name)) as url:
        return [
            _pushed("classic", url),
            _pushed("cloud", url),
            _replayed(Path(name) / "spool", url),
        ]


@contextmanager
def _taker(folder: Path) -> Iterator[str]:
    port = folder / "port"
    process = processes.start(
        [sys.executable, "-m", "benchmarks.solomon_taker", str(port)],
        environment={"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    try:
        for _ in range(1000):
            if port.exists():
                break
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port.read_text()}"
    finally:
        process.kill()
        process.wait()


def _client(dialect: str, url: str) -> HttpSolomonClient:
    if dialect == "cloud":
        return HttpSolomonClient(
            cloud_address(url, folder_id="f", service="custom"), FixedToken("x")
        )
    address = classic_address(url, project="p", cluster="prod", service="mr_prober")
    return HttpSolomonClient(address, FixedToken("x"))


def _pushed(dialect: str, url: str) -> Measurement:
    encoder = PushEncoder(CloudDialect() if dialect == "cloud" else ClassicDialect())
    client = _client(dialect, url)
    # Another cell each time: the same series with other values.
    cells = iter([_single_points(cell) for cell in range(_REPETITIONS + 1)])

    def push() -> None:
        pushes = _encoded(encoder, next(cells))
        for one in pushes:
            result = client.push(one.body, time_limit=_TIME_LIMIT)
            assert result.taken == one.metrics, result  # noqa: S101 - else the figures mean nothing

    push()  # the series are known from then on, as in every cell of an agent but its first
    milliseconds = best_cpu_milliseconds(push, repetitions=_REPETITIONS)
    client.close()
    rate = _POINTS / milliseconds * 1000
    return Measurement(
        what=f"{_POINTS:,} points, {dialect} dialect: encode and push ({rate:,.0f} points per second of CPU)",
        floor="json.dumps of ready dictionaries, http.client",
        floor_milliseconds=best_cpu_milliseconds(_floor(dialect, url), repetitions=_REPETITIONS),
        our_milliseconds=milliseconds,
    )


def _encoded(encoder: PushEncoder, points: Sequence[Point]) -> Sequence[EncodedPush]:
    at = datetime.now(UTC)
    return encoder.encode(points, at=at, common_labels=COMMON_LABELS).pushes


def _floor(dialect: str, url: str) -> Callable[[], None]:
    """The straight way: a dictionary per point, all that never changes already in it."""
    encoder = PushEncoder(CloudDialect() if dialect == "cloud" else ClassicDialect())
    bodies = [json.loads(one.body) for one in _encoded(encoder, _single_points(0))]

    def push() -> None:
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        for body in bodies:
            content = json.dumps(body, separators=(",", ":")).encode()
            connection.request("POST", "/", content, {"Content-Type": "application/json"})
            connection.getresponse().read()
        connection.close()

    return push


def _single_points(cell: int) -> list[Point]:
    values = random.Random(cell)  # noqa: S311 - no secret
    points: list[Point] = []
    for number in range(_POINTS // 4):
        labels = {"prober_slug": f"prober-{number % 200}", "target": f"target-{number // 200}"}
        runs = {**labels, "outcome": "success"}
        points += (
            Point("mr_prober_state", Kind.IGAUGE, values.randrange(4), labels),
            Point("mr_prober_seconds_since_success", Kind.GAUGE, values.random() * 60, labels),
            Point("mr_prober_start_lag_seconds", Kind.GAUGE, values.random() / 100, labels),
            Point("mr_prober_runs", Kind.RATE, cell * 15 + values.randrange(15), runs),
        )
    return points


def _replayed(folder: Path, url: str) -> Measurement:
    spool = Spool(folder, max_bytes=_SPOOL_BYTES, max_age_seconds=2 * _OUTAGE.total_seconds())
    spool.open()
    points, requests, body = _fill(spool)
    size = spool.size
    clocks = SinkClocks()
    # At the full rate it would take minutes; the rate itself is a matter of arithmetic.
    unbounded = Pace(replays_per_second=1e9)
    deliverer = Deliverer(
        _client("classic", url), PushEncoder(ClassicDialect()), spool, unbounded, clocks=clocks
    )

    def replay() -> None:
        while deliverer.next_replay is not None:
            deliverer.replay()

    ours = best_cpu_milliseconds(replay, repetitions=1)
    assert not deliverer.figures().dropped, deliverer.figures()  # noqa: S101 - else the figures mean nothing
    deliverer.close()
    return Measurement(
        what=(
            f"{_OUTAGE} without Solomon at {_PROBERS} probers ({points / 1e6:.2f} million points,"
            f" {requests:,} requests, {size / 1e6:.1f} MB on disk): send them. A day:"
            f" {_OUTAGES_IN_A_DAY * size / 1e6:.0f} MB, {_OUTAGES_IN_A_DAY * requests / _REQUESTS_PER_SECOND:.0f} s"
            f" at {_REQUESTS_PER_SECOND} requests a second"
        ),
        floor="http.client, as many requests from memory",
        floor_milliseconds=best_cpu_milliseconds(_posts(url, body, requests), repetitions=1),
        our_milliseconds=ours,
    )


def _posts(url: str, body: bytes, count: int) -> Callable[[], None]:
    def post() -> None:
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        for _ in range(count):
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            connection.getresponse().read()
        connection.close()

    return post


def _fill(spool: Spool) -> tuple[int, int, bytes]:
    """How many points and requests wait then, and one body."""
    encoder = PushEncoder(ClassicDialect())
    values = random.Random(0)  # noqa: S311 - no secret
    now = int(time.time())
    points = requests = 0
    body = b""
    for cell in range(int(_OUTAGE.total_seconds()) // CELL_SECONDS):
        at = datetime.fromtimestamp(now + CELL_SECONDS * cell - _OUTAGE.total_seconds(), UTC)
        of_cell = _agent_points(cell, values)
        for one in encoder.encode(of_cell, at=at, common_labels=COMMON_LABELS).pushes:
            spool.append(one.body, points=one.metrics, at=int(at.timestamp()))
            points += one.metrics
            requests += 1
            body = one.body
    spool.flush()
    return points, requests, body


def _agent_points(cell: int, values: random.Random) -> list[Point]:
    """What an agent says in a cell in which every prober ran three times."""
    points: list[Point] = []
    for number in range(_PROBERS):
        labels = {"prober_slug": f"prober-{number}"}
        buckets = tuple(cell * (bound == 0.05) + cell * 2 * (bound == 0.1) for bound in BOUNDS)
        gauges = {"seconds_since_success": 15, "start_lag_seconds": 0.01, "cpu_seconds": 0.2}
        points += (
            Point("mr_prober_state", Kind.IGAUGE, 0, labels),
            Point("mr_prober_run_seconds", Kind.HIST_RATE, Histogram(BOUNDS, buckets, 0), labels),
            Point("mr_prober_peak_rss_bytes", Kind.IGAUGE, values.randrange(2**24), labels),
            *(
                Point(f"mr_prober_{name}", Kind.GAUGE, values.random() * scale, labels)
                for name, scale in gauges.items()
            ),
            *(
                Point("mr_prober_runs", Kind.RATE, 3 * cell, {**labels, "outcome": outcome.value})
                for outcome in Outcome
            ),
            *(
                Point("mr_prober_skipped_runs", Kind.RATE, 0, {**labels, "reason": reason.value})
                for reason in (SkipReason.OVERLAP, SkipReason.SUSPENDED)
            ),
        )
    return points

"""What Creator tells of itself, to both of its listeners."""

from datetime import UTC, datetime, timedelta

from common.solomon.answers import PushResult, PushStatus
from common.solomon.points import Histogram, Kind, Point
from creator.lanes import Lane
from creator.metrics import Figures, Metrics
from creator.solomon_push import SolomonPush

NOW = datetime(2026, 11, 22, 12, 0, 7, tzinfo=UTC)


def metrics() -> Metrics:
    made = Metrics(lambda: NOW)
    made.converged(3.0)
    made.converged(4.0)
    made.converged(999999.0)
    made.failed("plan")
    made.failed("plan")
    made.failed("lease_lost")
    made.figures = Figures(
        waiting={Lane.PEOPLE: 4},
        running=2,
        oldest_plan_at=NOW - timedelta(minutes=3),
        plans_too_old=1,
    )
    return made


def test_a_scraper_reads_all_of_it() -> None:
    lines = metrics().text().decode().splitlines()

    for line in (
        'mr_prober_creator_waiting{lane="people"} 4.0',
        'mr_prober_creator_waiting{lane="drift"} 0.0',
        "mr_prober_creator_steps_running 2.0",
        "mr_prober_creator_plan_age_seconds 180.0",
        "mr_prober_creator_plans_too_old 1.0",
        'mr_prober_creator_failures_total{reason="plan"} 2.0',
        'mr_prober_creator_convergence_seconds_bucket{le="5.0"} 2.0',
        "mr_prober_creator_convergence_seconds_count 3.0",
    ):
        assert line in lines


def test_solomon_gets_the_same() -> None:
    points = {(point.name, *point.labels.values()): point for point in metrics().points()}

    assert points["mr_prober_creator_waiting", "people"].value == 4
    failures = points["mr_prober_creator_failures", "plan"]
    assert (failures.kind, failures.value) == (Kind.RATE, 2)
    histogram = points[("mr_prober_creator_convergence_seconds",)].value
    assert isinstance(histogram, Histogram)
    assert len(histogram.bounds) == len(histogram.buckets) == 15
    assert dict(zip(histogram.bounds, histogram.buckets, strict=True))[5.0] == 2
    assert histogram.above == 1


class RecordingClient:
    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def push(self, body: bytes, *, time_limit: timedelta) -> PushResult:  # noqa: ARG002 - the port's
        self.bodies.append(body)
        return PushResult(PushStatus.OK)


def test_a_push_is_of_the_last_point_of_the_grid() -> None:
    client = RecordingClient()
    points = [Point("mr_prober_creator_x", Kind.GAUGE, 1.0)]
    push = SolomonPush(client, lambda: points, {"host": "vm-1"}, lambda: NOW)

    push.push()

    (body,) = client.bodies
    assert f'"ts":{int(NOW.timestamp()) - 7}'.encode() in body
    assert b'"host":"vm-1"' in body

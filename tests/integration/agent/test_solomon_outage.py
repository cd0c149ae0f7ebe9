"""Solomon away for an hour, on an injected clock: 200 probers lose nothing, fresh points go on, the oldest go out first."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.metrics import CELL_SECONDS, MetricBook
from agent.sinks.pace import Pace
from agent.sinks.port import Batch
from agent.sinks.solomon import Deliverer, SinkClocks
from agent.sinks.spool import Spool
from common.contracts.states import State
from common.solomon.answers import PushResult, PushStatus
from common.solomon.classic import ClassicDialect
from common.solomon.encoder import PushEncoder
from common.solomon.points import Kind, Point
from tests.unit.agent.factories import SECOND_NS, host_plan, planned, run_key, run_result

START = int(datetime(2026, 11, 22, 16, 0, tzinfo=UTC).timestamp())


def moment_of(body: bytes) -> int:
    # Not parsed as JSON: there are hundreds of megabytes of it.
    return int(body[6 : body.index(b",")])


class World:
    """A clock, and a Solomon that is there or not."""

    def __init__(self) -> None:
        self.now = float(START)
        self.answer = PushResult(PushStatus.OK)
        self.order: list[int] = []
        self.points: Counter[int] = Counter()

    def push(self, body: bytes, *, time_limit: timedelta) -> PushResult:
        del time_limit
        if self.answer.status is PushStatus.OK:
            self.order.append(moment_of(body))
            self.points[moment_of(body)] += body.count(b'"kind":')
        return self.answer

    def interrupt(self) -> None:
        """Nothing takes time."""

    def close(self) -> None:
        """Nothing is open."""


def deliverer(world: World, folder: Path, *, replays_per_second: float = 50) -> Deliverer:
    spool = Spool(folder, max_bytes=256 * 1024 * 1024, max_age_seconds=86_400)
    made = Deliverer(
        world,
        PushEncoder(ClassicDialect()),
        spool,
        Pace(replays_per_second=replays_per_second),
        clocks=SinkClocks(lambda: world.now, lambda: world.now),
    )
    made.open()
    return made


def batch(world: World, points: list[Point]) -> Batch:
    return Batch(datetime.fromtimestamp(world.now, UTC), points, {"cluster_slug": "c", "host": "h"})


def replay(made: Deliverer, world: World, *, until: float) -> None:
    while (due := made.next_replay) is not None and due < until:
        world.now = max(world.now, due)
        made.replay()
    world.now = until


def test_an_hour_without_solomon_at_200_probers_loses_nothing(tmp_path: Path) -> None:
    world = World()
    book = MetricBook()
    book.apply(host_plan(*(planned(number) for number in range(200))), 0)
    sent: Counter[int] = Counter()
    made = deliverer(world, tmp_path)
    cells = 3600 // CELL_SECONDS
    for cell in range(cells + 10):
        away = 2 <= cell < cells + 2
        world.answer = PushResult(PushStatus.RETRY) if away else PushResult(PushStatus.OK)
        for number in range(0, 200, 10):
            book.record(run_result(key=run_key(number)), State.SUCCESS)
        points = book.close_cell(cell * CELL_SECONDS * SECOND_NS)
        sent[int(world.now)] += len(points)
        made.deliver([made.keep(batch(world, points))], seconds=10)
        replay(made, world, until=world.now + CELL_SECONDS)
        if cell == cells:  # as a reboot would
            made.close()
            made = deliverer(world, tmp_path)
    assert world.points == sent
    assert dict(made.figures().dropped) == {}
    assert made.figures().spool_bytes == 0
    fresh_first = START + (cells + 2) * CELL_SECONDS
    waited = [at for at in world.order if START + 2 * CELL_SECONDS <= at < fresh_first]
    assert waited == sorted(waited)
    assert world.order.index(fresh_first) < world.order.index(waited[-1])


def test_what_waits_goes_out_no_faster_than_it_may(tmp_path: Path) -> None:
    world = World()
    world.answer = PushResult(PushStatus.RETRY)
    made = deliverer(world, tmp_path, replays_per_second=2)
    for _ in range(100):
        made.deliver([made.keep(batch(world, [Point("a", Kind.GAUGE, 1.0)]))], seconds=10)
        world.now += CELL_SECONDS
    world.answer = PushResult(PushStatus.OK)
    made.deliver([made.keep(batch(world, [Point("a", Kind.GAUGE, 1.0)]))], seconds=10)
    replay(made, world, until=world.now + 10)
    assert 19 <= len(world.order) - 1 <= 20


def test_a_pause_that_solomon_asks_for_is_kept_and_nothing_is_lost(tmp_path: Path) -> None:
    world = World()
    world.answer = PushResult(PushStatus.SLOW_DOWN, pause=timedelta(seconds=60))
    made = deliverer(world, tmp_path)
    made.deliver([made.keep(batch(world, [Point("a", Kind.GAUGE, 1.0)]))], seconds=10)
    world.answer = PushResult(PushStatus.OK)
    for _ in range(3):
        replay(made, world, until=world.now + CELL_SECONDS)
        made.deliver([made.keep(batch(world, [Point("a", Kind.GAUGE, 1.0)]))], seconds=10)
        assert world.order == [] or world.now >= START + 48
    replay(made, world, until=START + 90)
    assert sorted(world.order) == [START, START + 15, START + 30, START + 45]


def test_one_request_that_makes_solomon_ill_does_not_hold_up_the_others(tmp_path: Path) -> None:
    world = World()
    world.answer = PushResult(PushStatus.RETRY)
    made = deliverer(world, tmp_path)
    for _ in range(3):
        made.deliver([made.keep(batch(world, [Point("a", Kind.GAUGE, 1.0)]))], seconds=10)
        world.now += CELL_SECONDS

    class IllAtTheFirst(World):
        def push(self, body: bytes, *, time_limit: timedelta) -> PushResult:
            if moment_of(body) == START:
                return PushResult(PushStatus.RETRY)
            return super().push(body, time_limit=time_limit)

    ill = IllAtTheFirst()
    ill.now = world.now
    made.close()
    made = deliverer(ill, tmp_path)
    for _ in range(10):
        made.deliver([made.keep(batch(ill, [Point("a", Kind.GAUGE, 1.0)]))], seconds=10)
        replay(made, ill, until=ill.now + CELL_SECONDS)
    assert dict(made.figures().dropped) == {"refused": 1}
    assert sorted(ill.points) == [START + CELL_SECONDS * n for n in range(1, 13)]


@pytest.mark.parametrize("status", [PushStatus.RETRY, PushStatus.NEW_TOKEN, PushStatus.SLOW_DOWN])
def test_while_nothing_is_taken_a_cell_costs_one_try(tmp_path: Path, status: PushStatus) -> None:
    class Counting(World):
        tries = 0

        def push(self, body: bytes, *, time_limit: timedelta) -> PushResult:
            del body, time_limit
            self.tries += 1
            return PushResult(status)

    world = Counting()
    made = deliverer(world, tmp_path)
    points = [Point(f"name_{n}", Kind.GAUGE, 1.0) for n in range(5000)]
    made.deliver([made.keep(batch(world, points)), made.keep(batch(world, points))], seconds=10)
    assert world.tries == 1
    assert made.figures().dropped == {}

"""The way to Solomon over real HTTP: order, repetition, giving up, the last push."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from agent.sinks import Batch, SolomonSink
from common.solomon import HttpSolomonClient, Kind, Point, PushStatus
from tests.integration.agent.stand_ins import StubSolomon, wait_until

AT = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)


def client(url: str) -> HttpSolomonClient:
    return HttpSolomonClient(url, "secret", project="p", cluster="local", service="s")


@pytest.fixture
def sink(stub_solomon: StubSolomon) -> Iterator[SolomonSink]:
    made = SolomonSink(client(stub_solomon.url), offset_seconds=0)
    made.start()
    yield made
    made.close(time_limit_seconds=10)


def batch(*names: str) -> Batch:
    return Batch(AT, [Point(name, Kind.IGAUGE, 1) for name in names], {"host": "h1"})


def test_pushes_with_the_time_of_the_cell(sink: SolomonSink, stub_solomon: StubSolomon) -> None:
    sink.accept(batch("a"))
    wait_until(lambda: stub_solomon.pushes)
    assert stub_solomon.pushes[0]["ts"] == int(AT.timestamp())
    assert stub_solomon.paths == ["/api/v2/push?project=p&cluster=local&service=s"]
    assert stub_solomon.tokens == ["OAuth secret"]
    assert sink.dropped() == {}


def test_splits_large_batches(sink: SolomonSink, stub_solomon: StubSolomon) -> None:
    sink.accept(batch(*(f"name_{n}" for n in range(2500))))
    wait_until(lambda: len(stub_solomon.pushes) == 3)
    assert [len(push["sensors"]) for push in stub_solomon.pushes] == [1000, 1000, 500]


def test_repeats_after_a_server_error_and_keeps_the_order(
    sink: SolomonSink, stub_solomon: StubSolomon
) -> None:
    stub_solomon.answers = [(503, b"not ready")]
    sink.accept(batch("a"))
    sink.accept(batch("b"))
    wait_until(lambda: len(stub_solomon.pushes) == 3)
    names = [push["sensors"][0]["labels"]["name"] for push in stub_solomon.pushes]
    assert names == ["a", "a", "b"]
    assert sink.dropped() == {}


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "refused"), (401, "unauthorized"), (413, "refused")]
)
def test_gives_up_what_is_refused_and_counts_it(
    sink: SolomonSink, stub_solomon: StubSolomon, status: int, reason: str
) -> None:
    stub_solomon.answers = [(status, b"no")]
    sink.accept(batch("a", "b"))
    sink.accept(batch("c"))
    wait_until(lambda: len(stub_solomon.pushes) == 2)
    wait_until(lambda: sink.dropped() == {reason: 2})


def test_points_that_solomon_did_not_take_are_lost_and_counted(
    sink: SolomonSink, stub_solomon: StubSolomon
) -> None:
    stub_solomon.answers = [(200, b'{"sensorsProcessed": 1}')]
    sink.accept(batch("a", "b", "c"))
    wait_until(lambda: sink.dropped() == {"partial": 2})


def test_what_is_left_is_sent_at_the_end_without_waiting(stub_solomon: StubSolomon) -> None:
    late = SolomonSink(client(stub_solomon.url), offset_seconds=10**10)
    late.start()
    late.accept(batch("last"))
    late.close(time_limit_seconds=10)
    assert stub_solomon.sensors("last")


def test_the_end_does_not_wait_for_a_solomon_that_is_away() -> None:
    away = SolomonSink(client("http://127.0.0.1:1"), offset_seconds=0)
    away.start()
    for _ in range(3):
        away.accept(batch("a"))
    away.close(time_limit_seconds=10)
    assert sum(away.dropped().values()) == 3


def test_while_nobody_listens_only_so_much_waits() -> None:
    stuck = SolomonSink(client("http://127.0.0.1:1"), offset_seconds=10**10)
    for _ in range(7):
        stuck.accept(batch("a"))
    assert stuck.dropped() == {"queue_full": 3}


def test_the_client_classifies_answers_and_hides_its_token(stub_solomon: StubSolomon) -> None:
    stub_solomon.answers = [(429, b"too many requests"), (200, b'{"sensorsProcessed": 0}')]
    speaking = client(stub_solomon.url)
    assert speaking.push(b'{"sensors":[]}').status is PushStatus.SLOW_DOWN
    assert speaking.push(b'{"sensors":[]}').processed == 0
    speaking.close()
    gone = client("http://127.0.0.1:1").push(b"{}")
    assert gone.status is PushStatus.RETRY
    assert "secret" not in gone.message

"""The way to Solomon over real HTTP: original times, what waits on disk, what is lost and counted, the last push."""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.sinks.choice import Destination, SpoolBounds, solomon_sink
from agent.sinks.port import Batch
from agent.sinks.solomon import SolomonSink
from common.solomon.points import Kind, Point
from common.solomon.tokens import FixedToken
from tests.integration.agent.stand_ins import StubSolomon, wait_until

AT = datetime.now(UTC).replace(microsecond=0)
Make = Callable[..., SolomonSink]


@pytest.fixture
def make_sink(stub_solomon: StubSolomon, tmp_path: Path) -> Iterator[Make]:
    made: list[SolomonSink] = []

    def make(url: str = "", *, offset_seconds: float = 0) -> SolomonSink:
        destination = Destination(
            url or stub_solomon.url, "classic", FixedToken("secret"), "p", "local", ""
        )
        bounds = SpoolBounds(tmp_path / "spool", 10_000_000, timedelta(days=1), 1000.0)
        sink = solomon_sink(destination, bounds, offset_seconds=offset_seconds)
        sink.start()
        made.append(sink)
        return sink

    yield make
    for sink in made:
        sink.close(time_limit_seconds=20)


def batch(*names: str, at: datetime = AT) -> Batch:
    return Batch(at, [Point(name, Kind.IGAUGE, 1) for name in names], {"host": "h1"})


def names(solomon: StubSolomon) -> list[str]:
    return [push["sensors"][0]["labels"]["name"] for push in solomon.pushes]


def test_pushes_with_the_time_of_the_cell(make_sink: Make, stub_solomon: StubSolomon) -> None:
    sink = make_sink()
    sink.accept(batch("a"))
    wait_until(lambda: stub_solomon.pushes)
    assert stub_solomon.pushes[0]["ts"] == int(AT.timestamp())
    assert stub_solomon.paths == ["/api/v2/push?project=p&cluster=local&service=mr_prober"]
    assert stub_solomon.tokens == ["OAuth secret"]
    assert sink.figures().dropped == {}


@pytest.mark.parametrize(
    "answer",
    [(503, b"not ready"), (401, b"who?"), (403, b"no"), (200, b"<html>welcome to this hotel")],
)
def test_what_is_not_taken_now_is_sent_again_with_its_own_time(
    make_sink: Make, stub_solomon: StubSolomon, answer: tuple[int, bytes]
) -> None:
    stub_solomon.answers = [answer]
    sink = make_sink()
    sink.accept(batch("a"))
    wait_until(lambda: len(stub_solomon.pushes) == 2)
    assert stub_solomon.pushes[0] == stub_solomon.pushes[1]
    wait_until(lambda: sink.figures().spool_bytes == 0)
    assert sink.figures().dropped == {}


@pytest.mark.parametrize("status", [400, 404, 413, 302])
def test_gives_up_what_is_refused_and_counts_it(
    make_sink: Make, stub_solomon: StubSolomon, status: int
) -> None:
    stub_solomon.answers = [(status, b"no")]
    sink = make_sink()
    sink.accept(batch("a", "b"))
    sink.accept(batch("c"))
    wait_until(lambda: len(stub_solomon.pushes) == 2)
    wait_until(lambda: sink.figures().dropped == {"refused": 2})


def test_points_that_solomon_did_not_take_are_lost_and_counted(
    make_sink: Make, stub_solomon: StubSolomon
) -> None:
    stub_solomon.answers = [(200, b'{"sensorsProcessed": 1}')]
    sink = make_sink()
    sink.accept(batch("a", "b", "c"))
    wait_until(lambda: sink.figures().dropped == {"partial": 2})


def test_what_is_left_is_sent_at_the_end_without_waiting(
    make_sink: Make, stub_solomon: StubSolomon
) -> None:
    late = make_sink(offset_seconds=10**10)
    late.accept(batch("last"))
    late.close(time_limit_seconds=10)
    assert stub_solomon.sensors("last")


def test_what_a_solomon_that_is_away_never_got_is_sent_by_the_next_process(
    make_sink: Make, stub_solomon: StubSolomon
) -> None:
    away = make_sink("http://127.0.0.1:1")
    for name in ("a", "b", "c"):
        away.accept(batch(name))
    away.close(time_limit_seconds=10)
    assert away.figures().dropped == {}
    assert away.figures().spool_bytes > 0
    second = make_sink()
    wait_until(lambda: len(stub_solomon.pushes) == 3)
    assert names(stub_solomon) == ["a", "b", "c"]
    wait_until(lambda: second.figures().spool_bytes == 0)


def test_its_end_waits_for_no_answer_and_keeps_what_was_under_way(
    make_sink: Make, stub_solomon: StubSolomon
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        stuck = make_sink(f"http://127.0.0.1:{never_answers.getsockname()[1]}")
        stuck.accept(batch("a"))
        connection, _ = never_answers.accept()
        with connection:
            connection.recv(1)
            stuck.accept(batch("b"))
            stuck.close(time_limit_seconds=5)
            assert not stuck._thread.is_alive()
    make_sink()
    wait_until(lambda: names(stub_solomon) == ["a", "b"])


def test_fresh_points_do_not_wait_for_old_ones(make_sink: Make, stub_solomon: StubSolomon) -> None:
    away = make_sink("http://127.0.0.1:1")
    old = [f"old_{n}" for n in range(4)]
    for name in old:
        away.accept(batch(name))
    away.close(time_limit_seconds=10)
    # The oldest of those on disk is never taken; its pauses hold up nobody else.
    stub_solomon.refused_name = "old_0"
    sink = make_sink()
    sink.accept(batch("new_0"))
    wait_until(lambda: "new_0" in names(stub_solomon))
    sink.accept(batch("new_1"))
    wait_until(lambda: "new_1" in names(stub_solomon))
    assert sink.figures().dropped == {}


def test_what_nobody_takes_out_of_the_queue_is_counted(tmp_path: Path) -> None:
    destination = Destination("http://127.0.0.1:1", "classic", FixedToken("x"), "p", "c", "")
    bounds = SpoolBounds(tmp_path / "spool", 10_000_000, timedelta(days=1), 1000.0)
    not_started = solomon_sink(destination, bounds, offset_seconds=0)
    for _ in range(7):
        not_started.accept(batch("a"))
    assert not_started.figures().dropped == {"queue_full": 3}


def test_a_queue_is_filled_from_any_thread(make_sink: Make, stub_solomon: StubSolomon) -> None:
    sink = make_sink()
    threads = [threading.Thread(target=sink.accept, args=(batch(f"n_{n}"),)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: sorted(names(stub_solomon)) == ["n_0", "n_1", "n_2"])

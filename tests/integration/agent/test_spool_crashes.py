"""The spool in processes that are killed or find the disk full: what was promised is there afterwards."""

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.sinks.choice import Destination, SpoolBounds, solomon_sink
from agent.sinks.port import Batch
from agent.sinks.spool import Spool
from common import processes
from common.solomon.points import Kind, Point
from common.solomon.tokens import FixedToken
from tests.integration.agent.stand_ins import StubSolomon, wait_until

ROOT = Path(__file__).resolve().parents[3]
NOW = 1_000_000.0
# Appends for ever, and says after each record that it was kept.
APPENDING = """
import sys
import threading
from pathlib import Path
from agent.sinks.spool import Spool

spool = Spool(Path(sys.argv[1]), max_bytes=50_000_000, max_age_seconds=1e9)
spool.open()
number = 0
while True:
    body = f"{number} ".encode() + bytes(range(256)) * 20
    spool.append(body, points=1, at=1_000_000)
    print(number, flush=True)
    number += 1
"""
# No file may grow beyond 40 kB; says what was kept and what was lost.
ON_A_FULL_DISK = """
import os, resource, sys
from pathlib import Path
from agent.sinks.spool import Spool

resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
spool = Spool(Path(sys.argv[1]), max_bytes=50_000_000, max_age_seconds=1e9)
spool.open()
for number in range(100):
    spool.append(f"{number} ".encode() + os.urandom(1000), points=2, at=1_000_000)
spool.flush()
first = spool.oldest(1_000_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append(b"again ", points=2, at=1_000_000)
print(spool.lost.get("disk", 0), spool.size, first.body.split()[0].decode())
"""
# Sends what waits, until it is killed.
SENDING = """
import sys, time
from datetime import timedelta
from pathlib import Path
from agent.sinks.choice import Destination, SpoolBounds, solomon_sink
from common.solomon.tokens import FixedToken

destination = Destination(sys.argv[2], "classic", FixedToken("x"), "p", "c", "")
bounds = SpoolBounds(Path(sys.argv[1]), 1_000_000, timedelta(days=1), 100.0)
solomon_sink(destination, bounds, offset_seconds=0).start()
time.sleep(60)
"""


@pytest.fixture
def started() -> Iterator[list[processes.Process]]:
    made: list[processes.Process] = []
    yield made
    for process in made:
        process.kill()
        process.wait()


def start(started: list[processes.Process], script: str, log: Path, *arguments: str) -> int:
    with log.open("wb") as output:
        process = processes.start(
            [sys.executable, "-c", script, *arguments],
            environment={"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
    started.append(process)
    return process.pid


def kept_in(folder: Path, *, damaged: int = 0) -> list[str]:
    spool = Spool(folder, max_bytes=50_000_000, max_age_seconds=1e9)
    spool.open()
    assert spool.lost.get("damaged", 0) <= damaged
    found = []
    while waiting := spool.oldest(NOW):
        found.append(waiting.body.split()[0].decode())
        spool.done()
    return found


@pytest.mark.parametrize("records", [3, 40, 200])
def test_what_was_kept_survives_kill_9(
    started: list[processes.Process], tmp_path: Path, records: int
) -> None:
    log, folder = tmp_path / "log", tmp_path / "spool"
    pid = start(started, APPENDING, log, str(folder))
    wait_until(lambda: log.read_bytes().count(b"\n") >= records)
    os.kill(pid, signal.SIGKILL)
    started[-1].wait()
    promised = [line for line in log.read_text().split("\n")[:-1]]  # noqa: C416 - whole lines only
    kept = kept_in(folder, damaged=1)
    assert kept[: len(promised)] == promised
    assert len(kept) <= len(promised) + 1


def test_a_full_disk_is_a_counted_loss_and_room_makes_it_work_again(
    started: list[processes.Process], tmp_path: Path
) -> None:
    log, folder = tmp_path / "log", tmp_path / "spool"
    start(started, ON_A_FULL_DISK, log, str(folder))
    assert started[-1].wait(30) == 0, log.read_text()
    lost, size, first = log.read_text().splitlines()[-1].split()
    kept = kept_in(folder)
    assert first == kept[0] == "0"
    assert kept[-1] == "again"
    assert 0 < int(lost) == 2 * (100 - (len(kept) - 1))
    assert int(size) < 50_000


def test_killed_while_it_sends_nothing_is_lost(
    started: list[processes.Process], stub_solomon: StubSolomon, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    destination = Destination("http://127.0.0.1:1", "classic", FixedToken("x"), "p", "c", "")
    bounds = SpoolBounds(folder, 1_000_000, timedelta(days=1), 100.0)
    at = datetime.now(UTC)
    for number in range(12):
        away = solomon_sink(destination, bounds, offset_seconds=0)
        away.start()
        points = [Point(f"n_{number}_{n}", Kind.IGAUGE, hash((number, n))) for n in range(700)]
        away.accept(Batch(at + timedelta(seconds=number), points, {}))
        away.close(time_limit_seconds=20)
    pid = start(started, SENDING, tmp_path / "log", str(folder), stub_solomon.url)
    wait_until(lambda: len(stub_solomon.pushes) >= 3)
    os.kill(pid, signal.SIGKILL)
    started[-1].wait()
    before = len(stub_solomon.pushes)
    start(started, SENDING, tmp_path / "log", str(folder), stub_solomon.url)
    wait_until(lambda: not list(folder.iterdir()))
    numbers = [
        int(re.findall(r"\d+", push["sensors"][0]["labels"]["name"])[0])
        for push in stub_solomon.pushes
    ]
    assert set(numbers) == set(range(12))
    assert numbers[before:] == sorted(numbers[before:])
    assert sum(len(push["sensors"]) for push in stub_solomon.pushes[before:]) <= 12 * 700


@pytest.mark.parametrize("handed_over", [6, 7])
def test_a_cell_before_its_push_is_sent_by_the_next_one_if_it_was_handed_over(
    stub_solomon: StubSolomon, tmp_path: Path, handed_over: int
) -> None:
    folder = tmp_path / "spool"
    destination = Destination(stub_solomon.url, "classic", FixedToken("x"), "p", "c", "")
    bounds = SpoolBounds(folder, 1_000_000, timedelta(days=1), 100.0)
    kept = threading.Event()
    # Its push would be due long after this test: its process is as good as killed.
    killed = solomon_sink(destination, bounds, offset_seconds=100_000)
    killed.start()
    at = datetime.now(UTC)
    killed.accept(Batch(at, [Point("a", Kind.IGAUGE, 1)], {}, 7, on_kept=kept.set))
    assert kept.wait(30)
    bounds = SpoolBounds(folder, 1_000_000, timedelta(days=1), 100.0, handed_over)
    following = solomon_sink(destination, bounds, offset_seconds=0)
    following.start()
    wait_until(lambda: not list(folder.iterdir()))
    following.accept(Batch(at, [Point("b", Kind.IGAUGE, 1)], {}, 8))
    wait_until(lambda: "b" in names_in(stub_solomon))
    following.close(time_limit_seconds=20)
    assert ("a" in names_in(stub_solomon)) == (handed_over == 7)
    killed.close(time_limit_seconds=20)


def names_in(solomon: StubSolomon) -> set[str]:
    return {sensor["labels"]["name"] for push in solomon.pushes for sensor in push["sensors"]}

"""The flight recorder in processes that are killed, and on a disk that is full: what it says is there can be read afterwards."""

import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from agent.recorder.format import FOLDER
from agent.recorder.reader import Wanted, read_records
from agent.recorder.recorder import Recorder
from common import processes
from common.contracts.states import Outcome
from tests.integration.agent.stand_ins import wait_until
from tests.integration.needs import need
from tests.unit.agent.factories import run_key
from tests.unit.agent.recorder.flights import flight

ROOT = Path(__file__).parents[3]
# Takes runs of which nine in ten are bad for ever, and says which number was on disk last.
TAKING = """
import sys, time
from pathlib import Path
from agent.recorder.reader import Wanted
from agent.recorder.recorder import Recorder
from tests.unit.agent.recorder.flights import flight

recorder = Recorder(Path(sys.argv[1]), max_bytes=1_000_000, boot=int(sys.argv[2]))
recorder.start()
while True:
    for number in range(10):
        recorder.take(flight(slug=f"prober-{number % 3}", is_good=number == 0, printed=b"x" * 3000))
    print(recorder.records(Wanted(failed=True, limit=1)).newest, flush=True)
"""


@pytest.fixture
def started() -> Iterator[list[processes.Process]]:
    made: list[processes.Process] = []
    yield made
    for process in made:
        process.kill()
        process.wait()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 256 KiB."""
    need(os.geteuid() == 0 and shutil.which("mount"), "root, to mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    is_mounted = (
        processes.start(["/bin/mount", *options], environment={}, cwd=tmp_path).wait(20) == 0
    )
    need(is_mounted, "a small disk of its own: `mount -t tmpfs`")
    yield disk
    unmount = processes.start(["/bin/umount", "-l", str(disk)], environment={}, cwd=tmp_path)
    assert unmount.wait(20) == 0


def start_taking(started: list[processes.Process], folder: Path, log: Path, boot: int) -> None:
    with log.open("wb") as output:
        process = processes.start(
            [sys.executable, "-c", TAKING, str(folder), str(boot)],
            environment={"PYTHONPATH": str(ROOT)}, cwd=ROOT, stdout=output, stderr=output,
        )  # fmt: skip
    started.append(process)


def has_lines(log: Path, count: int) -> bool:
    return log.read_bytes().count(b"\n") >= count


def numbers_in(folder: Path, *, failed: bool = False) -> list[int]:
    found = read_records(folder, Wanted(failed=failed, limit=200))
    return [record.number for record in found.records]


def test_what_it_said_was_on_disk_survives_kill_9_and_the_next_one_goes_on(
    started: list[processes.Process], tmp_path: Path
) -> None:
    newest = 0
    for boot in (1, 2, 3):
        log = tmp_path / f"log-{boot}"
        start_taking(started, tmp_path, log, boot)
        wait_until(partial(has_lines, log, 5 * boot))
        started[-1].kill()
        started[-1].wait()
        promised = [int(line) for line in log.read_text().split("\n")[:-1]]
        numbers = numbers_in(tmp_path, failed=True)
        assert promised[-1] in numbers
        assert numbers == sorted(numbers)
        assert numbers[-1] > newest
        newest = numbers[-1]
    files = list((tmp_path / FOLDER).rglob("*.jsonl"))
    assert files
    assert sum(path.stat().st_size for path in files) <= 1_000_000
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_half_a_line_is_cut_off_and_costs_nobody_else_a_record(tmp_path: Path) -> None:
    for boot in (1, 2):
        recorder = Recorder(tmp_path, max_bytes=1_000_000, boot=boot)
        recorder.start()
        recorder.take(flight(slug="tcp"))
        recorder.close(time_limit_seconds=20)
        with (tmp_path / FOLDER / "tcp" / "failures.jsonl").open("ab") as file:
            file.write(b'{"format":1,"number":77,"prober":')
    found = read_records(tmp_path, Wanted(prober="tcp"))
    assert len(found.records) == 2
    assert found.damaged == 1


def test_a_full_disk_costs_records_and_never_a_run_and_room_makes_it_work_again(
    small_disk: Path,
) -> None:
    recorder = Recorder(small_disk, max_bytes=50_000_000, boot=1)
    recorder.start()
    for number in range(100):
        recorder.take(flight(slug=f"prober-{number}", printed=os.urandom(2500).hex().encode()))
    wait_until(lambda: recorder.state().dropped_records > 0)
    state = recorder.state()
    assert "No space left" in state.problem
    assert state.bytes < 300_000
    kept = numbers_in(small_disk)
    assert kept
    assert read_records(small_disk, Wanted()).damaged == 0
    shutil.rmtree(small_disk / FOLDER / "prober-0")
    shutil.rmtree(small_disk / FOLDER / "prober-1")

    def works_again() -> bool:
        recorder.take(flight(slug="prober-5"))
        return recorder.records(Wanted(limit=1)).newest in numbers_in(small_disk)

    wait_until(works_again)
    recorder.close(time_limit_seconds=20)
    assert recorder.state().problem == ""


def test_failures_outlast_successes_and_no_prober_takes_the_room_of_others(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, max_bytes=1_000_000, boot=1)
    recorder.start()
    recorder.take(flight(slug="quiet"))
    for number in range(1500):
        printed = b"x" * 5000
        recorder.take(flight(slug="loud", is_good=number % 2 == 0, printed=printed))
        if number % 100 == 0:
            recorder.records(Wanted(limit=1))
    recorder.close(time_limit_seconds=20)
    (quiet,) = read_records(tmp_path, Wanted(prober="quiet")).records
    assert quiet.outcome is Outcome.FAILURE
    loud = read_records(tmp_path, Wanted(prober="loud", limit=200)).records
    assert {record.outcome for record in loud} == set(Outcome) & {Outcome.SUCCESS, Outcome.FAILURE}
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl")) <= 1_000_000
    assert recorder.state().dropped_records == 0


def test_what_the_loop_hands_over_faster_than_it_can_be_written_is_lost_and_counted(
    tmp_path: Path,
) -> None:
    recorder = Recorder(tmp_path, max_bytes=1_000_000, boot=1)
    for _ in range(3000):  # nobody writes yet
        recorder.take(flight(printed=b"x" * 1000))
    assert recorder.state().dropped_records == 1000
    recorder.start()
    recorder.close(time_limit_seconds=20)
    assert numbers_in(tmp_path)


def test_of_successes_few_are_written_at_a_time_and_of_each_combination_the_last_of_a_minute(
    tmp_path: Path,
) -> None:
    clock = [0]
    recorder = Recorder(tmp_path, max_bytes=1_000_000, boot=1, clock_ns=lambda: clock[0])
    recorder.start()
    on_disk = []
    for second in range(1, 64):
        for prober in range(8 if second <= 10 else 0):
            recorder.take(flight(key=run_key(prober), is_good=True))
        clock[0] = second * 1_000_000_000
        recorder.records(Wanted(limit=1))  # a look
        on_disk.append(numbers_in(tmp_path))
    counts = [len(numbers) for numbers in on_disk]
    assert counts[:59] == [0] * 59
    assert [count for count in counts if count][:2] == [5, 8]
    assert max(counts) == 8
    newest = recorder.records(Wanted(limit=1)).newest
    assert on_disk[-1] == list(range(newest - 7, newest + 1))
    recorder.close(time_limit_seconds=20)

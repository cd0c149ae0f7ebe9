"""The demo's supervisor with real child processes."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from common.processes import start_ticks
from demo.services import Service
from demo.supervisor import Supervisor

SLEEP = "import time; time.sleep(60)"


def _service(name: str, program: str) -> Service:
    return Service(name, (sys.executable, "-c", program), {"PATH": os.defpath})


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, told: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(
        tmp_path, logs=tmp_path, tell=told.append, between_restarts=timedelta(hours=1)
    )
    yield supervisor
    supervisor.stop()


def _recorded_pid(folder: Path) -> int:
    text = (folder / "processes.json").read_text()
    return int(text.split('"pid": ')[1].split(",")[0])


def test_starts_a_service_again_that_was_killed(
    supervisor: Supervisor, tmp_path: Path, told: list[str]
) -> None:
    supervisor.start(_service("sleeper", SLEEP))
    first = _recorded_pid(tmp_path)
    os.kill(first, signal.SIGKILL)
    _wait_until(lambda: supervisor.ended("sleeper") is not None)
    supervisor.start_ended_again()
    assert supervisor.ended("sleeper") is None
    assert _recorded_pid(tmp_path) != first
    assert told == ["sleeper ended with status -9; starting it again"]


def test_a_service_that_goes_on_ending_is_told_of_once_with_its_last_words(
    supervisor: Supervisor, told: list[str]
) -> None:
    supervisor.start(_service("failing", "import sys; sys.exit('no disk')"))
    for _ in range(3):
        _wait_until(lambda: supervisor.ended("failing") == 1)
        supervisor.start_ended_again()
    assert told == ["failing ended with status 1; starting it again: no disk"]


def test_ends_what_a_killed_demo_left(tmp_path: Path, told: list[str]) -> None:
    killed = Supervisor(tmp_path, logs=tmp_path, tell=told.append)
    killed.start(_service("sleeper", SLEEP))
    left = _recorded_pid(tmp_path)
    Supervisor(tmp_path, logs=tmp_path, tell=told.append).end_leftovers()
    _wait_until(lambda: killed.ended("sleeper") == -signal.SIGTERM)
    assert start_ticks(left) is None
    assert not (tmp_path / "processes.json").exists()


def test_leaves_a_process_alone_that_got_the_pid_of_a_leftover(tmp_path: Path) -> None:
    own = os.getpid()
    (tmp_path / "processes.json").write_text(f'[{{"pid": {own}, "start_ticks": 1}}]')
    Supervisor(tmp_path, logs=tmp_path, tell=print).end_leftovers()
    assert not (tmp_path / "processes.json").exists()


def test_output_of_a_service_is_in_its_log(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(_service("speaker", "print('here I am')"))
    _wait_until(lambda: supervisor.ended("speaker") == 0)
    assert (tmp_path / "speaker.log").read_text() == "here I am\n"

"""A terraform whose Creator is gone does not outlive the demo, whatever it does with signals."""

import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from common.processes import PIPE, Process, start
from demo.leftovers import end_terraforms, terraforms

# Says when it is ready; ends in order at SIGINT with status 7, or does not listen.
_LISTENING = "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(7)); print(flush=True); signal.pause()"
_DEAF = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); signal.pause()"
)


@pytest.fixture
def started() -> Iterator[list[Process]]:
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _start(started: list[Process], program: str, data: Path) -> Process:
    process = start(
        [sys.executable, "-c", program],
        environment={"TF_CLI_CONFIG_FILE": str(data / "terraform.rc")},
        cwd=Path.cwd(),
        stdout=PIPE,
    )
    started.append(process)
    assert process.stdout
    process.stdout.readline()
    return process


def test_lets_terraform_end_in_order(started: list[Process], tmp_path: Path) -> None:
    terraform = _start(started, _LISTENING, tmp_path)
    assert terraforms(tmp_path) == [terraform.pid]
    end_terraforms(tmp_path, grace=timedelta(seconds=60))
    assert terraform.wait(timeout=60) == 7
    assert terraforms(tmp_path) == []


def test_kills_what_does_not_listen(started: list[Process], tmp_path: Path) -> None:
    terraform = _start(started, _DEAF, tmp_path)
    end_terraforms(tmp_path, grace=timedelta(seconds=0.2))
    assert terraform.wait(timeout=60) == -signal.SIGKILL


def test_leaves_the_terraform_of_another_folder_alone(
    started: list[Process], tmp_path: Path
) -> None:
    terraform = _start(started, _LISTENING, tmp_path / "another")
    end_terraforms(tmp_path, grace=timedelta(seconds=0.2))
    assert terraform.poll() is None

"""The stand-in as a process: listens, keeps what it acknowledged through kill -9, ends on SIGTERM, says clearly what is wrong."""

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from common.processes import Process, start

ROOT = Path(__file__).parents[3]
HEADERS = {"Authorization": "OAuth any"}
SHARD = {"project": "mr_prober", "cluster": "local", "service": "agent"}
BODY = {"sensors": [{"kind": "GAUGE", "labels": {"name": "up"}, "value": 1}]}
SECONDS = 20  # longest wait for anything; only a broken stand-in needs it

StartStandIn = Callable[..., Process]


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "stand_in.log"


@pytest.fixture
def start_stand_in(tmp_path: Path, log_file: Path) -> Iterator[StartStandIn]:
    """`start_stand_in("--help", MR_PROBER_LOG_LEVEL="DEBUG")`; all processes are ended after the test."""
    processes: list[Process] = []

    def start_one(*arguments: str, **environment: str) -> Process:
        defaults = {
            "PYTHONPATH": str(ROOT),
            "MR_PROBER_SOLOMON_STAND_IN_PORT": "0",
            "MR_PROBER_SOLOMON_STAND_IN_DATABASE": str(tmp_path / "series.sqlite"),
        }
        program = [sys.executable, str(ROOT / "solomon_stand_in" / "main.py"), *arguments]
        with log_file.open("wb") as log:
            process = start(
                program,
                environment=defaults | environment,
                cwd=tmp_path,
                stdout=log,
                stderr=log,
            )
        processes.append(process)
        return process

    yield start_one
    for process in processes:
        process.kill()
        process.wait(SECONDS)


def address(log_file: Path) -> str:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := re.search(r"url=(\S+)/\n", log_file.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"it does not listen: {log_file.read_text()}")


def push(url: str) -> None:
    answer = requests.post(
        f"{url}/api/v2/push", params=SHARD, json=BODY, headers=HEADERS, timeout=SECONDS
    )
    assert answer.json() == {"sensorsProcessed": 1}


def names(url: str) -> object:
    path = f"{url}/api/v2/projects/mr_prober/sensors/names"
    return requests.get(path, headers=HEADERS, timeout=SECONDS).json()["names"]


def test_keeps_what_it_acknowledged_through_kill_9(
    start_stand_in: StartStandIn, log_file: Path
) -> None:
    process = start_stand_in()
    push(address(log_file))
    process.kill()
    process.wait(SECONDS)
    start_stand_in()
    assert names(address(log_file)) == ["up"]


def test_ends_on_sigterm_with_success(start_stand_in: StartStandIn, log_file: Path) -> None:
    process = start_stand_in()
    push(address(log_file))
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(SECONDS) == 0
    assert "Traceback" not in log_file.read_text()


def test_a_busy_port_is_one_clear_line(start_stand_in: StartStandIn, log_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        process = start_stand_in(MR_PROBER_SOLOMON_STAND_IN_PORT=str(port))
        assert process.wait(SECONDS) == 1
    [line] = log_file.read_text().splitlines()
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in line


def test_listens_for_others_only_with_a_token(start_stand_in: StartStandIn, log_file: Path) -> None:
    process = start_stand_in(MR_PROBER_SOLOMON_STAND_IN_HOST="0.0.0.0")  # noqa: S104 - it refuses
    assert process.wait(SECONDS) == 1
    [line] = log_file.read_text().splitlines()
    assert "0.0.0.0 is not a loopback address: set MR_PROBER_SOLOMON_TOKEN" in line


def test_wrong_settings_are_named_all_at_once(start_stand_in: StartStandIn, log_file: Path) -> None:
    process = start_stand_in(MR_PROBER_SOLOMON_STAND_IN_PORT="many", MR_PROBER_LOG_LEVEL="LOUD")
    assert process.wait(SECONDS) == 1
    [line] = log_file.read_text().splitlines()
    assert "MR_PROBER_SOLOMON_STAND_IN_PORT: " in line
    assert "MR_PROBER_LOG_LEVEL: " in line


def test_help_says_what_it_is(start_stand_in: StartStandIn, log_file: Path) -> None:
    assert start_stand_in("--help").wait(SECONDS) == 0
    assert "not Solomon" in log_file.read_text()

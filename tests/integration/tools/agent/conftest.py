"""A real agent beside the tool: a cluster of one host whose target the test can break."""

import os
import pwd
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.control.client import ControlClient
from common import processes
from common.errors import MrProberError
from tests.integration.agent.stand_ins import (
    StubApi,
    agent_environment,
    document,
    prober,
    wait_until,
)
from tools.agent.main import run_with

ROOT = Path(__file__).parents[4]
USER = pwd.getpwuid(os.geteuid()).pw_name
# Good for target a; for target b only as long as the test's file is there.
CHECK = """#!/bin/sh
echo "asked $VAR_TARGET with $VAR_WORD"
[ "$VAR_TARGET" = a ] || [ -e "$VAR_SWITCH" ] || { echo "no answer from $VAR_TARGET" >&2; exit 1; }
"""


@dataclass
class Patient:
    """The agent of the test, and what it sees."""

    folder: Path
    api: StubApi
    switch: Path  # target b answers as long as this file is there
    process: processes.Process

    @property
    def control(self) -> ControlClient:
        return ControlClient(self.folder)

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(30) == 0

    def ran(self, count: int) -> bool:
        """Whether each prober that can run has run so often since the start."""
        figures = [one.figures for one in self.control.state().probers]
        return all(sum(one.runs.values()) >= count for one in figures)


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    api = StubApi()
    serving = threading.Thread(target=api.server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    switch = tmp_path / "answers"
    switch.touch()
    api.serve_files(CHECK.encode())
    api.secrets = {"word": {"version": 1, "value": "sesame-open-42"}}
    settings = {
        "interval_seconds": 0.5,
        "time_limit_seconds": 20,
        "allow_overlap": True,
        "variables": {"switch": str(switch), "word": "${cluster.variables.word}"},
        "matrix": {"target": {"values": ["a", "b"]}},
    }
    api.document = document(
        prober(1, {"check.sh": CHECK.encode()}, ["./check.sh"], **settings),
        prober(2, {}, ["true"], interval_seconds=0.5, time_limit_seconds=20, allow_overlap=True),
        variables={"word": {"secret": "word", "version": 1}},
    )
    folder = tmp_path / "agent"
    with (tmp_path / "log").open("wb") as log:
        process = processes.start(
            [sys.executable, "agent/main.py"],
            environment=agent_environment(folder, api),
            cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    patient = Patient(folder, api, switch, process)
    wait_until(lambda: _answers(patient) and patient.ran(1), seconds=60)
    yield patient
    if process.poll() is None:
        process.terminate()
        process.wait(30)
    api.server.shutdown()
    serving.join()
    api.server.server_close()


def _answers(patient: Patient) -> bool:
    try:
        return len(patient.control.state().probers) == 2
    except MrProberError:
        return False


@dataclass
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Tool = Callable[..., Said]


@pytest.fixture
def tool(patient: Patient, capsys: pytest.CaptureFixture[str]) -> Tool:
    """Calls the tool as a person does."""

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = run_with(["--dir", str(patient.folder), *arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call

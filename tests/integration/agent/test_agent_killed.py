"""The agent killed with SIGKILL at any moment: no program survives its restart, and no beat is counted twice."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.running.group import kill_group, make_group, remove_group
from common import processes
from tests.integration.agent.stand_ins import (
    StubApi,
    agent_environment,
    document,
    prober,
    wait_until,
)

ROOT = Path(__file__).parents[3]
# A daemon without any mark of its run, a child outside the group, one that ignores SIGTERM.
HOSTILE = """trap '' TERM
setsid sleep 300 &
setsid env -i /bin/sleep 300 &
echo run >> {witness}
sleep 300
"""


class Agents:
    """Starts one agent after the other in the same folder, and knows every process below each of them."""

    def __init__(self, folder: Path, api: StubApi) -> None:
        self._folder = folder
        self._environment = agent_environment(folder, api)
        self.running: processes.Process | None = None

    def start(self) -> None:
        with (self._folder.parent / "agent.log").open("ab") as log:
            self.running = processes.start(
                [sys.executable, "agent/main.py"],
                environment=self._environment, cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def below(self) -> list[psutil.Process]:
        assert self.running
        try:
            return psutil.Process(self.running.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        assert self.running
        self.running.kill()
        self.running.wait()

    def launchers(self) -> list[psutil.Process]:
        return [child for child in self.below() if "agent.running.launcher" in str(child.cmdline())]


@pytest.fixture
def agents(stub_api: StubApi, agent_folder: Path) -> Iterator[Agents]:
    started = Agents(agent_folder, stub_api)
    yield started
    if started.running and started.running.poll() is None:
        started.running.terminate()
        started.running.wait(30)
    if group := make_group(agent_folder):
        kill_group(group)
        remove_group(group)


def are_gone(programs: list[psutil.Process]) -> bool:
    return not any(
        program.is_running() and program.status() != psutil.STATUS_ZOMBIE for program in programs
    )


def hostile(witness: Path, **settings: Any) -> Any:
    script = HOSTILE.format(witness=witness)
    return prober(1, {}, ["sh", "-c", script], interval_seconds=60, **settings)


def test_all_programs_die_with_an_agent_that_is_killed(
    agents: Agents, stub_api: StubApi, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    stub_api.document = document(hostile(witness))
    agents.start()
    wait_until(lambda: witness.exists() and len(agents.below()) >= 5)
    programs = agents.below()
    agents.kill()
    wait_until(lambda: are_gone(programs))


def test_no_program_survives_the_restart_even_if_its_launcher_was_stopped(
    agents: Agents, stub_api: StubApi, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    # Only by a cgroup, which root can make, is known what has lost its mark and its launcher.
    unmarked = "setsid env -i /bin/sleep 300 &" if os.geteuid() == 0 else "true;"
    script = f"{unmarked} setsid sleep 300 & echo run >> {witness}; sleep 300"
    stub_api.document = document(prober(1, {}, ["sh", "-c", script]))
    agents.start()
    wait_until(lambda: witness.exists() and len(agents.below()) >= 4 + (os.geteuid() == 0))
    programs = agents.below()
    for launcher in agents.launchers():
        launcher.send_signal(signal.SIGSTOP)
    agents.kill()
    assert not are_gone(programs)
    agents.start()
    wait_until(lambda: are_gone(programs))


def test_a_killed_launcher_is_replaced_and_nothing_of_its_runs_is_left(
    agents: Agents, stub_api: StubApi, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    stub_api.document = document(hostile(witness, time_limit_seconds=50, grace_seconds=0))
    agents.start()
    wait_until(lambda: witness.exists() and len(agents.below()) >= 5)
    programs = agents.below()
    for launcher in agents.launchers():
        launcher.kill()
    wait_until(lambda: are_gone(programs))
    wait_until(lambda: stub_api.reports and stub_api.reports[-1]["probers"][0]["states"] == "3")


def test_the_balance_goes_on_after_the_agent_was_killed(
    agents: Agents, stub_api: StubApi, agent_folder: Path, tmp_path: Path
) -> None:
    """What its successor counts as skipped begins where the last handed over cell ended."""
    witness = tmp_path / "witness"
    stub_api.document = document(
        prober(1, {}, ["sh", "-c", f"echo run >> {witness}"], interval_seconds=0.2)
    )
    agents.start()
    wait_until(lambda: witness.exists() and stub_api.reports)
    agents.kill()
    agents.start()
    wait_until(lambda: len(witness.read_text().split()) > 3)
    assert agents.running
    agents.running.terminate()
    assert agents.running.wait(30) == 0
    accounted = json.loads((agent_folder / "accounted.json").read_text())
    assert accounted["open"] == {}
    assert 0 <= time.time_ns() - accounted["until_unix_ns"] < 60 * 10**9


WARM = """
import sys

with open("/proc/self/cmdline") as file, open(sys.argv[1], "a") as told:
    told.write("fork\\n" if "warm_interpreter" in file.read() else "program\\n")
"""
SERVER = """
import os, sys
while line := sys.stdin.buffer.readline():
    if line.startswith(b"Content-Length: "):
        sys.stdin.buffer.readline()
        request_id = sys.stdin.buffer.read(int(line.split()[1]))[1]
        with open(sys.argv[1], "a") as file:
            file.write("server\\n")
        os.write(1, b"Content-Length: 2\\n\\n" + bytes([8, request_id]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_warm_parents_and_servers_end_with_the_agent(
    agents: Agents, stub_api: StubApi, tmp_path: Path, number: signal.Signals
) -> None:
    witness, warm, server = tmp_path / "witness", tmp_path / "warm.py", tmp_path / "server.py"
    # It starts like any program, then as a fork, whose command is that of its parent.
    warm.write_text(WARM)
    server.write_text(SERVER)
    stub_api.document = document(
        prober(1, {}, ["python3", str(warm), str(witness)], interval_seconds=0.5, mode="warm"),
        prober(2, {}, ["python3", str(server), str(witness)], interval_seconds=0.5, mode="server"),
    )
    agents.start()
    wait_until(lambda: witness.exists() and {"fork", "server"} <= {*witness.read_text().split()})
    programs = agents.below()
    commands = " ".join(str(program.cmdline()) for program in programs)
    assert "warm_interpreter" in commands
    assert "server.py" in commands
    assert agents.running
    agents.running.send_signal(number)
    agents.running.wait(60)
    wait_until(lambda: are_gone(programs))

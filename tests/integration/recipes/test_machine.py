"""The program that is a virtual machine: started, stopped, killed, without terraform."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from sys import executable
from typing import Any

import pytest

from common.processes import PIPE, start
from tests.ports import free_ports

PROGRAM = Path(__file__).parents[3] / "configs/recipes/local-processes/machine.py"
# root may write to read-only folders; with this it may do as little as anybody else.
WITHOUT_RIGHTS_OF_ROOT = (
    ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
)
# Each writes its pid; the first one ends when told to, the second one belongs to a prober and ignores that.
STUB_AGENT = """
import json, os, pathlib, subprocess, sys, time
folder = pathlib.Path(os.environ["MR_PROBER_AGENT_DIR"])
folder.mkdir(exist_ok=True)
prober = subprocess.Popen(
    [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
    start_new_session=True,
    env={"TMPDIR": f"{folder}/tmp"},
)
(folder / "environment").write_text(json.dumps(dict(os.environ)))
draft = folder / "draft"
draft.write_text(f"{os.getpid()} {prober.pid}")
draft.replace(folder / "pids")
time.sleep(600)
"""


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _eventually(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.02)


class Machine:
    """One machine of one test."""

    def __init__(self, folder: Path) -> None:
        home = folder / "home"
        (home / "agent").mkdir(parents=True)
        (home / "agent/main.py").write_text(STUB_AGENT)
        self._data_folder = folder / "data"
        self._data_folder.mkdir()
        self.folder = self._data_folder / "machines/demo/demo-1"
        number = os.getpid()
        self.address = f"127.79.{number % 250}.{number // 250 % 250 + 1}"
        [self.port] = free_ports(1, self.address)
        self._environment = {
            "PATH": os.defpath,
            "MR_PROBER_HOME": str(home),
            "MR_PROBER_DATA_DIR": str(self._data_folder),
            "MR_PROBER_AGENT_TOKEN": "the token",
            "MR_PROBER_ENVIRONMENT": "preprod",
        }

    def run(self, *arguments: str, below: Sequence[str] = (), **changes: object) -> tuple[int, str]:
        """Exit code and output of one command; `below` starts it with less rights."""
        description: dict[str, Any] = {
            "cluster": "demo",
            "host": "demo-1",
            "address": self.address,
            "port": self.port,
            "api_url": "http://api",
            "solomon_url": "http://solomon",
            "token_sha256": "",
        }
        process = start(
            [*below, executable, str(PROGRAM), *arguments],
            environment=self._environment
            | {"MR_PROBER_MACHINE": json.dumps(description | changes)},
            cwd=self._data_folder,
            stdout=PIPE,
            stderr=PIPE,
        )
        # Both are pipes, as terraform's are: a machine that held them open would hang us here.
        said, complained = process.communicate(timeout=30)
        return process.returncode, (said + complained).decode()

    @property
    def keeper(self) -> int:
        """Pid of the keeper."""
        pid: int = json.loads((self.folder / "machine.pid").read_text())["pid"]
        return pid

    def pids(self) -> tuple[int, int]:
        """Of the agent and its prober, as soon as both run."""
        _eventually((self.folder / "agent/pids").exists)
        agent, prober = (self.folder / "agent/pids").read_text().split()
        return int(agent), int(prober)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Stopped at the end, whatever happens."""
    made = Machine(tmp_path)
    yield made
    made.run("stop")


def test_a_machine_listens_and_runs_an_agent_that_knows_where_it_is(machine: Machine) -> None:
    assert machine.run("start") == (0, f"demo-1 runs on {machine.address}:{machine.port}\n")

    with socket.create_connection((machine.address, machine.port), 5) as connection:
        connection.sendall(b"hello")
        assert connection.recv(5) == b"hello"
    machine.pids()
    environment = json.loads((machine.folder / "agent/environment").read_text())
    assert environment["MR_PROBER_CLUSTER"] == "demo"
    assert environment["MR_PROBER_HOST"] == "demo-1"
    assert environment["MR_PROBER_API_URL"] == "http://api"
    assert environment["MR_PROBER_SOLOMON_URL"] == "http://solomon"
    assert environment["MR_PROBER_ENVIRONMENT"] == "preprod"
    token = Path(environment["MR_PROBER_AGENT_TOKEN_FILE"])
    assert token.read_text() == "the token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert "the token" not in str(environment)
    assert b"the token" not in Path(f"/proc/{machine.keeper}/environ").read_bytes()


def test_a_second_start_changes_nothing(machine: Machine) -> None:
    machine.run("start")
    keeper = machine.keeper

    assert machine.run("start") == (0, "demo-1 runs already\n")

    assert machine.keeper == keeper


def test_a_start_with_another_description_makes_a_new_machine(machine: Machine) -> None:
    machine.run("start")
    keeper, (agent, _) = machine.keeper, machine.pids()

    assert machine.run("start", api_url="http://elsewhere")[0] == 0

    assert machine.keeper != keeper
    assert not _runs(agent)


def test_stop_leaves_no_process_and_no_folder_and_may_be_repeated(machine: Machine) -> None:
    machine.run("start")
    pids = (machine.keeper, *machine.pids())

    assert machine.run("stop") == (0, "demo-1 is stopped\n")

    assert not [pid for pid in pids if _runs(pid)]
    assert not machine.folder.exists()
    assert machine.run("stop") == (0, "demo-1 does not exist\n")


def test_stop_finds_what_a_killed_keeper_could_not_take_along(machine: Machine) -> None:
    machine.run("start")
    pids = (machine.keeper, *machine.pids())
    os.kill(machine.keeper, signal.SIGKILL)

    machine.run("stop")

    assert not [pid for pid in pids if _runs(pid)]


def test_an_agent_that_ends_is_started_again_and_leaves_no_zombie(machine: Machine) -> None:
    machine.run("start")
    agent, prober = machine.pids()
    (machine.folder / "agent/pids").unlink()

    os.kill(agent, signal.SIGKILL)

    assert machine.pids()[0] != agent
    assert not Path(f"/proc/{agent}").exists()
    # Like on a real machine: a prober outlives its agent, and has a new parent.
    assert _runs(prober)


def test_a_keeper_that_is_killed_takes_its_agent_along_and_comes_back_at_power_on(
    machine: Machine,
) -> None:
    machine.run("start")
    agent, prober = machine.pids()
    os.kill(machine.keeper, signal.SIGKILL)
    _eventually(lambda: not _runs(agent))
    (machine.folder / "agent/pids").unlink()

    assert machine.run("power-on", "--all") == (0, "demo-1 runs again\n")

    assert not _runs(prober)
    assert machine.pids()[0] != agent
    assert machine.run("power-on", "--all") == (0, "")


def test_a_machine_that_was_powered_off_keeps_its_folder_and_comes_back(machine: Machine) -> None:
    machine.run("start")
    pids = (machine.keeper, *machine.pids())

    assert machine.run("stop", "--all") == (0, "demo-1 is powered off\n")

    assert not [pid for pid in pids if _runs(pid)]
    assert machine.run("stop", "--all") == (0, "")
    assert machine.run("power-on", "--all") == (0, "demo-1 runs again\n")


def test_a_wrong_command_shows_the_usage(machine: Machine) -> None:
    code, said = machine.run("power-on")

    assert code == 64
    assert "machine.py power-on --all" in said


def test_a_stopped_machine_stays_off_at_power_on(machine: Machine) -> None:
    machine.run("start")
    machine.run("stop")

    assert machine.run("power-on", "--all") == (0, "")


def test_a_start_that_fails_says_why_and_leaves_nothing_running(machine: Machine) -> None:
    with socket.create_server((machine.address, machine.port)):
        code, said = machine.run("start")

    assert code == 1
    assert f"cannot listen on {machine.address}:{machine.port}: Address already in use" in said
    assert machine.run("power-on", "--all") == (0, "")


def test_machines_that_terraform_forgot_are_stopped_with_their_cluster(machine: Machine) -> None:
    machine.run("start")
    pids = (machine.keeper, *machine.pids())

    assert machine.run("stop-cluster") == (0, "demo-1 is stopped\n")

    assert not [pid for pid in pids if _runs(pid)]


def test_stop_removes_the_read_only_folders_of_probers(machine: Machine) -> None:
    assert machine.run("start")[0] == 0
    machine.pids()
    unpacked = machine.folder / "agent/probers/tcp-connect"
    unpacked.mkdir(parents=True)
    (unpacked / "tcp_connect.py").touch(mode=0o444)
    unpacked.chmod(0o555)

    assert machine.run("stop", below=WITHOUT_RIGHTS_OF_ROOT) == (0, "demo-1 is stopped\n")
    assert not machine.folder.exists()

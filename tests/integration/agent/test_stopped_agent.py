"""A whole agent that stands still for seconds (SIGSTOP), alone or with its launchers, and goes on.

Who ended in time keeps its verdict, the ledger balances beat by beat, nothing is made up for, and the witness agrees:
a file to which the programs append.
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.accounts import Accounted, Accounts
from agent.scheduler import PAUSE_NS, SECOND_NS
from tests.integration.agent.control_agent import ControlAgent
from tests.integration.agent.ledger import accounted_until_ns, beats, counted
from tests.integration.agent.stand_ins import (
    StubApi,
    StubSolomon,
    document,
    prober,
    wait_until,
)

FREQUENT = range(1, 11)
INTERVAL_SECONDS = 0.5
DAY_SECONDS = 86_400
# Run once: three wait until they may end, one never ends; with the states that they come to.
ONCE = {11: "1", 12: "0", 13: "0", 14: "2"}
PATIENT = 3
LIMIT_SECONDS = 5.0
STANDSTILL_SECONDS = 1.3 * PAUSE_NS / SECOND_NS
SERVER = """
import os, pathlib, sys, time

witness, may_end = sys.argv[1:]


def tell(word):
    with open(witness, "a") as file:
        file.write(word + "\\n")


while line := sys.stdin.buffer.readline():
    if line.startswith(b"Content-Length: "):
        sys.stdin.buffer.readline()
        request_id = sys.stdin.buffer.read(int(line.split()[1]))[1]
        tell("begun")
        while not pathlib.Path(may_end).exists():
            time.sleep(0.02)
        os.write(1, b"Content-Length: 2\\n\\n" + bytes([8, request_id]))
        tell("ended")
"""


class Witness:
    """What the programs say of themselves."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "witness"
        self.may_end = folder / "may_end"

    def words(self) -> Counter[str]:
        return Counter(self.file.read_text().split() if self.file.exists() else ())

    def probers(self) -> list[Any]:
        tell, wait = f">> {self.file}", f"while ! test -e {self.may_end}; do sleep 0.02; done"
        patient = f"echo begun {tell}; {wait}; echo ended {tell}"
        server = ["python3", "-c", SERVER, str(self.file), str(self.may_end)]
        once = {
            "interval_seconds": DAY_SECONDS,
            "time_limit_seconds": LIMIT_SECONDS,
            "grace_seconds": 0.1,
        }
        often = {"interval_seconds": INTERVAL_SECONDS, "time_limit_seconds": 60}
        return [
            *(prober(number, {}, ["sh", "-c", f"echo {number} {tell}"], **often) for number in FREQUENT),
            prober(11, {}, ["sh", "-c", f"{patient}; exit 1"], **once),
            prober(12, {}, ["sh", "-c", patient], **once),
            prober(13, {}, server, mode="server", **once),
            prober(14, {}, ["sh", "-c", f"echo begun {tell}; sleep 300"], **once),
        ]  # fmt: skip


def slept(agent: ControlAgent, witness: Witness, *, with_launchers: bool) -> Counter[str]:
    """Have the agent stand still until all time limits are over; what the witness had seen then."""
    assert agent.process
    stopped = [psutil.Process(agent.process.pid)]
    if with_launchers:
        below = stopped[0].children(recursive=True)
        stopped += [one for one in below if "agent.running.launcher" in str(one.cmdline())]
        assert len(stopped) > 1
    try:
        for one in stopped:
            one.send_signal(signal.SIGSTOP)
        wait_until(lambda: all(one.status() == psutil.STATUS_STOPPED for one in stopped))
        begin = time.monotonic()
        witness.may_end.touch()
        wait_until(lambda: witness.words()["ended"] == PATIENT)
        end = begin + max(LIMIT_SECONDS, STANDSTILL_SECONDS)
        wait_until(lambda: time.monotonic() > end)
        return witness.words()
    finally:
        for one in stopped:
            os.kill(one.pid, signal.SIGCONT)


def interval_of(number: int) -> float:
    return DAY_SECONDS if number in ONCE else INTERVAL_SECONDS


@pytest.mark.parametrize("with_launchers", [False, True], ids=["alone", "with its launchers"])
def test_after_a_standstill_verdicts_are_right_and_the_ledger_balances(
    control_agent: ControlAgent, stub_api: StubApi, stub_solomon: StubSolomon,
    tmp_path: Path, *, with_launchers: bool,
) -> None:  # fmt: skip
    witness = Witness(tmp_path)
    stub_api.document = document(*witness.probers())
    # So that the run of the day counts, which an earlier agent has not seen.
    since_ns = time.time_ns() - DAY_SECONDS * SECOND_NS
    control_agent.folder.mkdir()
    Accounts(control_agent.folder).write(Accounted(since_ns))
    control_agent.start(MR_PROBER_SOLOMON_URL=stub_solomon.url, MR_PROBER_SOLOMON_TOKEN="x")
    wait_until(lambda: witness.words()["begun"] == len(ONCE))
    before = slept(control_agent, witness, with_launchers=with_launchers)
    awake = time.monotonic()
    wait_until(lambda: "4" not in [control_agent.shown(f"prober-{number}") for number in ONCE])
    assert {number: control_agent.shown(f"prober-{number}") for number in ONCE} == ONCE
    wait_until(lambda: all(witness.words()[str(one)] > before[str(one)] + 1 for one in FREQUENT))
    state = control_agent.state()
    assert state
    assert state.own.canary_problem == ""
    assert control_agent.end() == 0
    fit_in = (time.monotonic() - awake) / INTERVAL_SECONDS

    until_ns = accounted_until_ns(control_agent.folder)
    told = witness.words()
    for number in FREQUENT:
        ledger, runs = counted(stub_solomon, number), told[str(number)]
        assert ledger.total() == beats(number, interval_of(number), since_ns, until_ns)
        assert ledger.keys() <= {"success", "suspended", "overlap", "agent_restart"}
        # The last one may have been ended by the end of the agent.
        assert ledger["success"] <= runs <= ledger["success"] + 1
        assert ledger["suspended"] >= PAUSE_NS / SECOND_NS / INTERVAL_SECONDS
        # The first one, and one that the launcher had been told before.
        assert runs - before[str(number)] <= fit_in + 2
    for number, outcome in zip(ONCE, ("failure", "success", "success", "timeout"), strict=True):
        ledger = counted(stub_solomon, number)
        assert (ledger.pop(outcome), ledger.keys() - {"agent_restart"}) == (1, set())
        assert 1 + ledger.total() == beats(number, interval_of(number), since_ns, until_ns)

"""An agent whose newest document cannot be put in force, killed and started again: the one that was in force before holds."""

import sys
from pathlib import Path

import pytest

from tests.integration.agent.control_agent import ControlAgent
from tests.integration.agent.stand_ins import StubApi, document, prober, wait_until

# Its loop cannot put documents in force that are about an odd number of probers: it stands for any mistake of ours.
FAULTY = """
import sys

import agent.loop, agent.main

between = agent.loop.changes_between


def changes_between(running, wanted):
    if len(wanted) % 2:
        raise ZeroDivisionError
    return between(running, wanted)


agent.loop.changes_between = changes_between
sys.exit(agent.main.main())
"""
AWAY = "http://127.0.0.1:1"
GOOD, BAD = 2, 1


class FaultyHost:
    """The agent, its API, and the file in which its programs write of which document they are."""

    def __init__(self, agent: ControlAgent, api: StubApi, witness: Path) -> None:
        self.agent = agent
        self.api = api
        self.witness = witness
        agent.program = [sys.executable, "-c", FAULTY]

    def publish(self, revision: int, probers: int) -> None:
        script = f"#!/bin/sh\necho of-{revision} >> {self.witness}\n".encode()
        self.api.serve_files(script)
        ours = [
            prober(number, {"run.sh": script}, ["./run.sh"], interval_seconds=0.2)
            for number in range(probers)
        ]
        self.api.document = document(*ours, revision=revision)

    def restart(self, *, api_is_away: bool) -> None:
        if self.agent.process:
            self.agent.kill()
        self.api.reports.clear()
        self.witness.unlink(missing_ok=True)
        self.agent.start(MR_PROBER_API_URL=AWAY if api_is_away else self.api.url)

    def reports(self, revision: int, problem: str) -> None:
        """Wait until it does."""

        def is_reported() -> bool:
            last = self.api.reports[-1] if self.api.reports else {}
            said = last.get("configuration_problem", "-")
            return last.get("document_revision") == revision and is_said(problem, said)

        wait_until(is_reported)

    def runs(self, revision: int, problem: str) -> None:
        """Wait for programs, which are of this document, as is the state."""
        wait_until(
            lambda: self.witness.exists() and len(self.witness.read_text().split()) >= 3 * GOOD
        )
        assert {*self.witness.read_text().split()} == {f"of-{revision}"}
        state = self.agent.state()
        assert state
        assert state.configuration.revision == revision
        assert is_said(problem, state.configuration.problem)


def is_said(problem: str, said: str) -> bool:
    return problem in said if problem else not said


@pytest.fixture
def host(control_agent: ControlAgent, stub_api: StubApi, tmp_path: Path) -> FaultyHost:
    made = FaultyHost(control_agent, stub_api, tmp_path / "witness")
    made.publish(1, GOOD)
    made.restart(api_is_away=False)
    made.runs(1, "")
    return made


def fault_of(revision: int) -> str:
    return f"document {revision} cannot be put in force: a bug of the agent (ZeroDivisionError)"


def test_the_document_that_was_in_force_before_holds_after_a_restart(host: FaultyHost) -> None:
    host.publish(2, BAD)
    host.reports(1, fault_of(2))
    host.restart(api_is_away=True)
    host.runs(1, fault_of(2))
    host.restart(api_is_away=False)
    host.reports(1, fault_of(2))
    host.runs(1, fault_of(2))
    # Its predecessor never was in force.
    host.publish(3, BAD)
    host.reports(1, fault_of(3))
    host.restart(api_is_away=True)
    host.runs(1, fault_of(3))


def test_a_good_document_ends_it_for_this_start_and_the_next(host: FaultyHost) -> None:
    host.publish(2, BAD)
    host.reports(1, fault_of(2))
    host.publish(3, GOOD)
    host.reports(3, "")
    host.restart(api_is_away=True)
    host.runs(3, "")
    host.restart(api_is_away=False)
    host.publish(4, BAD)
    host.reports(3, fault_of(4))
    host.restart(api_is_away=True)
    host.runs(3, fault_of(4))

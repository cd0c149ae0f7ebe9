"""An agent as a process whose control socket tests ask."""

import sys
from pathlib import Path

from agent.control.client import ControlClient
from agent.errors import AgentNotRunningError, ControlRefusedError
from common import processes
from common.contracts.control import AgentState, RunProgress, RunWanted
from tests.integration.agent.stand_ins import StubApi, agent_environment, wait_until

ROOT = Path(__file__).parents[3]


class ControlAgent:
    """One agent after the other in one folder; ended with the test."""

    def __init__(self, folder: Path, api: StubApi) -> None:
        self.folder = folder
        self.client = ControlClient(folder)
        self.process: processes.Process | None = None
        self.log = folder.parent / "control-agent.log"
        self.program = [sys.executable, "agent/main.py"]
        self._environment = agent_environment(folder, api)

    def start(self, **environment: str) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = processes.start(
                self.program,
                environment={**self._environment, **environment},
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(lambda: self.state() is not None)

    def state(self) -> AgentState | None:
        """None as long as it does not answer."""
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.state()
        except (AgentNotRunningError, ControlRefusedError):
            return None

    def shown(self, prober: str) -> str:
        """The state characters of a prober."""
        state = self.state()
        found = [one.states for one in (state.probers if state else ()) if one.slug == prober]
        return found[0] if found else ""

    def ran(self, wanted: RunWanted) -> RunProgress:
        """Have it run, and wait for the end."""
        ticket = self.client.run(wanted)
        return self.client.progress(ticket.id, wait_seconds=20)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def end(self) -> int | None:
        """Whatever has become of it."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)

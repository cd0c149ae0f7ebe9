"""Agents that kill themselves at a step that they are told: a program of its own, which forks one life after the other.

Each line of its input is a step, or empty for a life that goes on until the test ends it; each life writes down the steps
that it comes to. A step is one thing that outlives the process, done by one function: a rename, a write, a message.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import agent.loop
import agent.main
import agent.metrics
import agent.sinks.choice
import agent.sinks.pace
from agent.running.launchers import Launcher
from agent.sinks.port import Batch
from common import processes
from common.agent_api_client import AgentApiClient
from common.solomon.client import HttpSolomonClient

ROOT = str(Path(__file__).parents[3])
_SYSTEM = ("replace", "rename", "unlink", "mkdir", "rmdir", "pwrite", "ftruncate", "fsync")
_WRITER = "write_atomically"


class Fate:
    """When this life ends."""

    def __init__(self, end: str, passed: Path) -> None:
        self.end = end
        self._passed = os.open(passed, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._known: set[str] = set()

    def come_to(self, step: str) -> None:
        """Die if this is the step; like somebody whom the kernel had to end."""
        if step == self.end:
            os.kill(os.getpid(), signal.SIGKILL)
        if step not in self._known:
            self._known.add(step)
            os.write(self._passed, f"{step}\n".encode())

    def wrap(self, owner: Any, name: str) -> None:
        """Make a step of each call: before it and after it."""
        done: Callable[..., object] = getattr(owner, name)

        def step(*arguments: Any, **named: Any) -> object:
            who = _caller(name)
            # What is done on behalf of nobody of ours is the library's.
            if who:
                self.come_to(f"before {name} in {who}")
            result = done(*arguments, **named)
            if who:
                self.come_to(f"after {name} in {who}")
            return result

        setattr(owner, name, step)


def _caller(name: str) -> str:
    """The function of ours that does it; of a whole file that is put in place the one that wants it."""
    frame: FrameType | None = sys._getframe(2)
    names: list[str] = []
    while frame is not None and len(names) < 2:
        if frame.f_code.co_filename.startswith((f"{ROOT}/agent", f"{ROOT}/common")):
            names.append(frame.f_code.co_qualname)
        frame = frame.f_back
    if names and names[0] == _WRITER and name == "replace":
        return f"{names[0]} for {names[1]}"
    return names[0] if names else ""


def hasten(*, cell_seconds: int = 1) -> None:
    """Short cells, sent right away: what an agent hands over does not take the test's time."""
    vars(agent.metrics)["CELL_SECONDS"] = cell_seconds
    vars(agent.sinks.choice)["send_offset_seconds"] = lambda _: 0.2
    vars(agent.sinks.pace)["FIRST_PAUSE_SECONDS"] = 0.1


def live(end: str, passed: Path) -> None:
    """One life; `end` is its number and the step."""
    number, _, step = end.partition(" ")
    fate = Fate(step, passed)
    hasten()
    # So that the test knows whose figures it sees.
    vars(agent.loop)["Batch"] = lambda at, points, labels, *more, **named: Batch(
        at, points, {**labels, "life": number}, *more, **named
    )
    for name in _SYSTEM:
        fate.wrap(os, name)
    for owner, name in (
        (processes, "start"), (Launcher, "start"), (Launcher, "signal"),
        (AgentApiClient, "report"), (HttpSolomonClient, "push"),
    ):  # fmt: skip
        fate.wrap(owner, name)
    sys.argv = ["agent/main.py"]
    os._exit(agent.main.main())


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.setsid()
            live(line.strip(), Path(sys.argv[1]))
        os.write(1, f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())

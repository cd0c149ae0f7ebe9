"""Runs that are over a limit as a whole are killed: *act*; for `launcher.py` alone.

The imports of this module are memory of every launcher: it has few.
"""

import os
import signal
from collections.abc import Iterable, Sequence, Set

from agent.running import kernel
from agent.running.orphans import Orphans
from agent.running.sandbox import Sandbox
from agent.running.started import Run


class Limits:
    """What a run may have with all its processes, also those that have left its group."""

    def __init__(self, sandbox: Sandbox, orphans: Orphans) -> None:
        self._sandbox = sandbox
        self._orphans = orphans

    def enforce(self, runs: Iterable[Run], *, own: Set[int]) -> None:
        """Kill those that are over a limit, and note which; `own` are the children that are no strays."""
        strays: dict[str, list[int]] = {}
        for pid in set(kernel.children_of(os.getpid())) - own:
            if name := self._orphans.name_of(pid):
                strays.setdefault(name, []).append(pid)
        for run in runs:
            run.limit_cpu()
            members: dict[int, kernel.Stat] = {}
            for pid in (run.pid, *strays.get(run.name, ())):
                members |= kernel.tree(pid, limit=self._sandbox.processes + 1)
            run.breach = run.breach or self._breach(run, list(members.values()))
            if run.breach:
                _end(run, strays.get(run.name, []))

    def _breach(self, run: Run, members: Sequence[kernel.Stat]) -> str:
        """The setting whose limit the run is over."""
        if len(members) > self._sandbox.processes:
            return "processes"
        if sum(member.rss_bytes for member in members) > self._sandbox.memory_bytes:
            return "memory_mb"
        cpu_ns = sum(member.cpu_ticks for member in members) * kernel.TICK_NS
        if run.program.cpu_seconds and cpu_ns > run.program.cpu_seconds * 10**9:
            return "cpu_seconds"
        return ""


def _end(run: Run, strays: Sequence[int]) -> None:
    for pid in kernel.halted(lambda: (run.pid, *strays)):
        kernel.send(pid, signal.SIGKILL)
    kernel.send_group(run.pid, signal.SIGKILL)

"""Processes that probers leave behind: found, killed and reaped: *act*.

A sub-reaper becomes the parent of whoever loses its parent below it: a launcher for what its runs leave behind,
the agent for what a launcher leaves behind that was killed.
An orphan belongs to a run if its environment carries the run's TMPDIR.
One without this mark may belong to any run in progress that started before it, and is left alone until those have ended.
"""

import os
import signal
from collections.abc import Callable, Iterable, Mapping

from agent.running import kernel


class Orphans:
    """The children of this process that it did not start itself."""

    def __init__(self, temporary: str, *, kill: Callable[[int, int], None] = kernel.send) -> None:
        """`temporary` is the folder in which each run has its TMPDIR."""
        self._kill = kill
        self._mark = os.fsencode(temporary) + b"/"
        # Whoever is our child already was never started by a prober of ours.
        self._strangers = {
            pid: stat.start_ticks
            for pid in kernel.children_of(os.getpid())
            if (stat := kernel.process_stat(pid))
        }

    def sweep(self, own: Iterable[int], active: Mapping[str, int]) -> set[int]:
        """Reap the dead, kill those whose run is over, with all below them; whom there was to kill.

        `own` are the children that somebody else waits for: their status is never taken here.
        `active` maps the name of each TMPDIR in use to the start of its run, CLOCK_BOOTTIME in nanoseconds.
        """
        mine = set(own)
        left = self._left(mine, active)
        if left:
            for pid in kernel.halted(lambda: self._left(mine, active)):
                self._kill(pid, signal.SIGKILL)
        return left

    def name_of(self, pid: int) -> str | None:
        """The TMPDIR whose mark a process carries."""
        marked = kernel.variable_of(pid, b"TMPDIR") or b""
        if not marked.startswith(self._mark):
            return None
        return marked[len(self._mark) :].decode(errors="replace")

    def _left(self, own: set[int], active: Mapping[str, int]) -> set[int]:
        return {
            pid
            for pid in set(kernel.children_of(os.getpid())) - own
            if not (self._is_stranger(pid) or _reaped(pid) or self._may_belong_to(pid, active))
        }

    def _is_stranger(self, pid: int) -> bool:
        if pid not in self._strangers:
            return False
        stat = kernel.process_stat(pid)
        return stat is not None and stat.start_ticks == self._strangers[pid]

    def _may_belong_to(self, pid: int, active: Mapping[str, int]) -> bool:
        if not active:
            return False
        name = self.name_of(pid)
        if name is not None:
            return name in active
        stat = kernel.process_stat(pid)
        if stat is None or stat.has_ended:
            return False
        born_ns = (stat.start_ticks + 1) * kernel.TICK_NS
        return any(started_ns <= born_ns for started_ns in active.values())


def kill_marked(temporary: str) -> set[int]:
    """Kill whatever on this host was started below a folder of temporary folders; who was found.

    For the start of an agent whose predecessor was killed together with its launchers.
    """
    mark = os.fsencode(temporary) + b"/"

    def marked() -> set[int]:
        pids = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {os.getpid()}
        return {pid for pid in pids if (kernel.variable_of(pid, b"TMPDIR") or b"").startswith(mark)}

    found = kernel.halted(marked)
    for pid in found:
        kernel.send(pid, signal.SIGKILL)
    return found


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True

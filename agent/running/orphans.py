"""Processes that probers leave behind: found, killed and reaped: *act*.

The agent is a sub-reaper: whoever loses its parent below it becomes its child.
An orphan belongs to a run if its environment carries the run's TMPDIR.
One without this mark may belong to any run in progress that started before it, and is left alone until those have ended.
"""

import contextlib
import ctypes
import logging
import os
import signal
from collections.abc import Callable, Mapping, Set
from pathlib import Path

from common.processes import start_ticks

log = logging.getLogger(__name__)

_PR_SET_CHILD_SUBREAPER = 36
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own; a log line says so where that cannot be."""
    try:
        failed = ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        failed = -1
    if failed:
        log.warning("cannot become a sub-reaper: children that leave their group may survive")


def kill_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the process group of a process that is not yet waited for."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        log.warning("may not send %s to process group %d", number.name, pid)


class Orphans:
    """The agent's children that it did not start itself."""

    def __init__(self, temporary: Path, *, kill: Callable[[int, int], None] = os.kill) -> None:
        """`temporary` is the folder in which each run has its TMPDIR."""
        self._kill = kill
        self._mark = f"TMPDIR={temporary}/".encode()
        # Whoever is our child already was never started by a prober of ours.
        self._strangers = {pid: start_ticks(pid) for pid in _children()}
        # Who is in the log already: what even SIGKILL does not end must not fill it.
        self._told: set[int] = set()

    def sweep(self, own: Set[int], active: Mapping[str, int]) -> int:
        """Reap the dead, kill those whose run is over; how many still live that must go.

        `own` are the children that the runner waits for itself: their status is never taken here.
        `active` maps the name of each TMPDIR in use to the start of its run, CLOCK_BOOTTIME in nanoseconds.
        """
        left = {
            pid
            for pid in _children() - own
            if not (self._is_stranger(pid) or _reaped(pid) or self._may_belong_to(pid, active))
        }
        for pid in left:
            if pid not in self._told:
                log.info("kill an orphan of a finished run pid=%d", pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                self._kill(pid, signal.SIGKILL)
        self._told = left
        return len(left)

    def _is_stranger(self, pid: int) -> bool:
        return pid in self._strangers and self._strangers[pid] == start_ticks(pid)

    def _may_belong_to(self, pid: int, active: Mapping[str, int]) -> bool:
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            variables = []
        for variable in variables:
            if variable.startswith(self._mark):
                return variable[len(self._mark) :].decode(errors="replace") in active
        ticks = start_ticks(pid)
        if ticks is None:
            return False
        return any(started_ns <= (ticks + 1) * _TICK_NS for started_ns in active.values())


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _children() -> set[int]:
    try:
        tasks = list(Path("/proc/self/task").iterdir())
        return {int(pid) for task in tasks for pid in _children_of(task)}
    except FileNotFoundError:  # a kernel without this file
        return _children_by_parent()


def _children_of(task: Path) -> list[str]:
    try:
        return (task / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        if task.exists():
            raise
        return []  # the thread has just ended


def _children_by_parent() -> set[int]:
    found = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                found.add(int(folder.name))
    return found

"""Read and act: processes by names that are theirs for ever, from /proc. Linux only, standard library only."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from common.processes import start_ticks
from creator.steps.launches import STEP_VARIABLE

_GONE = (b"Z", b"X")  # ended, but nobody has asked for the exit status yet
_SESSION = 3


class ProcessIdentity(NamedTuple):
    """One process for ever on this boot: a pid is used again some day, but not with the same start."""

    pid: int
    start_ticks: int


def identity_of(pid: int) -> ProcessIdentity | None:
    """The living process that has this pid now."""
    ticks = start_ticks(pid)
    return None if ticks is None else ProcessIdentity(pid, ticks)


def is_alive(process: ProcessIdentity) -> bool:
    """Whether this very process still runs."""
    return start_ticks(process.pid) == process.start_ticks


def open_living(process: ProcessIdentity) -> int | None:
    """A descriptor that becomes readable when the process ends (pidfd_open(2)); None if it has ended."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    # Asked only now: from here on the descriptor cannot name another process.
    if is_alive(process):
        return descriptor
    os.close(descriptor)
    return None


def session_members(leader: int) -> list[int]:
    """Living processes of a session, without its leader."""
    members = []
    for pid in _pids():
        fields = _stat_fields(pid)
        if fields and fields[0] not in _GONE and int(fields[_SESSION]) == leader and pid != leader:
            members.append(pid)
    return members


def kill_step(leader: int, step: str) -> int:
    """Kill what a step has left in the session of its wrapper, which is dead; how many that were.

    The step's mark in the environment tells them from the session of a stranger who was given the same pid since.
    """
    killed = 0
    for pid in session_members(leader):
        if _is_of(step, pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def has_processes(step: str) -> bool:
    """Whether anybody lives who belongs to the step."""
    return any(_is_of(step, pid) for pid in _pids())


def _is_of(step: str, pid: int) -> bool:
    with contextlib.suppress(OSError):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        return f"{STEP_VARIABLE}={step}".encode() in environment.split(b"\0")
    return False


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - each pass makes hundreds of Paths


def _stat_fields(pid: int) -> list[bytes] | None:
    """Fields of proc(5) stat from the third: state, parent, group, session, …"""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The second field is the name in brackets, which may hold any bytes.
    return stat.rpartition(b")")[2].split()

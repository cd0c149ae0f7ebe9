"""Read and act: processes by names that are theirs for ever, from /proc. Linux only, standard library only."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from common.processes import start_ticks
from creator.steps.launches import STEP_VARIABLE

_GONE = (b"Z", b"X")  # ended, but nobody has asked for the exit status yet
_SESSION = 3
# Of a process that was killed, on a busy machine; one that a dead disk holds takes longer than anybody waits.
_LONGEST_DEATH_SECONDS = 30.0


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
    """Kill what a step has left in the session of its wrapper, which is dead, and see it die; how many that were.

    The step's mark in the environment tells them from the session of a stranger who was given the same pid since.
    """
    killed = 0
    limit = time.monotonic() + _LONGEST_DEATH_SECONDS
    # Again, as long as anybody is found: they may have forked meanwhile.
    while time.monotonic() < limit:
        found = (identity_of(pid) for pid in session_members(leader))
        ours = [process for process in found if process is not None and _is_of(step, process.pid)]
        if not ours:
            break
        kill(ours)
        killed += len(ours)
    return killed


def kill(processes: Iterable[ProcessIdentity]) -> None:
    """Kill them, and return when they are dead: whoever comes next must not meet their locks. One that cannot die is left."""
    dying = []
    for process in processes:
        descriptor = open_living(process)
        if descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            dying.append(descriptor)
    limit = time.monotonic() + _LONGEST_DEATH_SECONDS
    for descriptor in dying:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(max(0.0, limit - time.monotonic()) * 1000)
        os.close(descriptor)


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

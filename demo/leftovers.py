"""What Creator leaves behind when it is told to end at once: a terraform that goes on by itself. Linux only."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path


def end_terraforms(data_folder: Path, *, grace: timedelta) -> None:
    """End every terraform that a Creator of this data folder started, and its provisioners.

    One SIGINT lets it save its state; what is left after the grace is killed.
    """
    for pid in terraforms(data_folder):
        if _is_group_leader(pid):  # terraform itself; a provisioner is its business
            _signal(pid, signal.SIGINT)
    if not _holds_within(grace, lambda: not terraforms(data_folder)):
        for pid in terraforms(data_folder):
            _signal(pid, signal.SIGKILL)
        _holds_within(grace, lambda: not terraforms(data_folder))


def terraforms(data_folder: Path) -> list[int]:
    """Pids of terraform and its provisioners: their environment names the data folder's terraform.rc."""
    mark = os.fsencode(f"TF_CLI_CONFIG_FILE={data_folder / 'terraform.rc'}")
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # Of other users' processes, and of those that have just ended, nothing can be read.
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def _is_group_leader(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid) == pid
    return False


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _holds_within(limit: timedelta, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + limit.total_seconds()
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

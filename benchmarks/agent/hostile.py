"""40 programs that do not want to end: what of them is left, while a system runs and after it has ended."""

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from agent.running import kernel
from benchmarks.agent.runs import end, start
from benchmarks.agent.systems import SYSTEMS, Command, Load
from common import processes

# A witness as the other one, then: the first half ignores SIGTERM, of the others a child leaves the group.
_SCRIPT = """#!/bin/sh
echo "$2 0" >> "$1"
if [ "$2" -lt 20 ]; then
    trap '' TERM
    exec sleep {token}
fi
setsid sleep {token} &
exit 0
"""
_NAPS = "86437"
_PROGRAMS = 40
_TIME_LIMIT_SECONDS = 2
_START_SECONDS = 150.0
# Time limit, every grace and every pause of anybody.
_PATIENCE_SECONDS = 15.0
_AGAIN_SECONDS = 15.0
_NAMES = ("Mr. Prober", "Mr. Prober, sandbox", "Nagios Core", "Icinga 2")


@dataclass(frozen=True)
class HostileRow:
    """One system; how many processes are left."""

    system: str
    started: int
    while_it_runs: int
    after_its_end: int


def measure() -> list[HostileRow]:
    """One row per system that is installed."""
    rows = []
    for name in _NAMES:
        # Not a private folder: some of the systems drop their rights.
        folder = Path(tempfile.mkdtemp(prefix="mr-prober-bench-"))
        folder.chmod(0o755)
        try:
            command = SYSTEMS[name](load := _load(folder))
            if command:
                rows.append(_measured(name, load, command))
        finally:
            for pid in _left():
                kernel.send(pid, 9)
            shutil.rmtree(folder, ignore_errors=True)
    return rows


def _load(folder: Path) -> Load:
    script = folder / "hostile"
    script.write_text(_SCRIPT.format(token=_NAPS))
    script.chmod(0o755)
    file = folder / "starts"
    file.touch()
    file.chmod(0o666)
    return Load(_PROGRAMS, 300, script, file, folder, time_limit_seconds=_TIME_LIMIT_SECONDS)


def _measured(name: str, load: Load, command: Command) -> HostileRow:
    system = start(command, load)
    try:
        limit = time.monotonic() + _START_SECONDS
        while _started(load) < _PROGRAMS and time.monotonic() < limit and system.poll() is None:
            time.sleep(0.2)
        time.sleep(_PATIENCE_SECONDS)
        left = set(_left())
        # Whoever was started again meanwhile, by the schedule, is within its time limit and its grace.
        time.sleep(_AGAIN_SECONDS)
        while_it_runs = len(left.intersection(_left()))
    finally:
        _asked_to_end(system)
    time.sleep(1)
    row = HostileRow(name, _started(load), while_it_runs, len(_left()))
    end(system)
    return row


def _asked_to_end(system: processes.Process) -> None:
    system.terminate()
    try:
        system.wait(30)
    except processes.TimeLimitError:
        system.kill()
        system.wait()


def _started(load: Load) -> int:
    return len(set(load.file.read_text().split("\n")) - {""})


def _left() -> list[int]:
    """Our programs, whoever their parent is now."""
    command = f"sleep\0{_NAPS}\0".encode()
    pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return [pid for pid in pids if kernel.file_bytes(f"/proc/{pid}/cmdline") == command]

"""Keeps the demo's services running, as a service manager does on servers, and ends them.

What runs is written to `processes.json`, so that a demo after a kill -9 first ends what the last one left.
"""

import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path

from common.atomic_files import write_atomically
from common.processes import Process, start, start_ticks
from demo.services import Service

log = logging.getLogger(__name__)

_GRACE = timedelta(seconds=10)
# A service that ends at once, again and again, must not fill the terminal.
_BETWEEN_RESTARTS = timedelta(seconds=5)
_LAST_WORDS_BYTES = 4096


class Supervisor:
    """Starts services, starts them again when they end, stops them in the opposite order."""

    def __init__(
        self,
        folder: Path,
        *,
        logs: Path,
        tell: Callable[[str], None],
        between_restarts: timedelta = _BETWEEN_RESTARTS,
    ) -> None:
        self._folder = folder
        self._logs = logs
        self._tell = tell
        self._between_restarts = between_restarts
        self._record = folder / "processes.json"
        self._running: dict[str, tuple[Service, Process]] = {}
        self._next_restart: dict[str, float] = {}

    def end_leftovers(self) -> None:
        """End the services that a killed demo left running: the same pids with the same start times."""
        for pid, ticks in _recorded(self._record):
            if start_ticks(pid) == ticks:
                log.info("ending a leftover of the last demo pid=%d", pid)
                _signal(pid, signal.SIGTERM)
                if not _ended(partial(_is_gone, pid, ticks)):
                    _signal(pid, signal.SIGKILL)
        self._record.unlink(missing_ok=True)

    def start(self, service: Service) -> None:
        """Start a service with its output at the end of its log file."""
        with (self._logs / f"{service.name}.log").open("ab") as output:
            process = start(
                service.arguments,
                environment=service.environment,
                cwd=self._folder,
                stdout=output,
                stderr=output,
            )
        self._running[service.name] = (service, process)
        self._write_record()

    def start_ended_again(self) -> None:
        """Start each service again that has ended by itself; one that goes on ending, every few seconds."""
        now = time.monotonic()
        for service, process in list(self._running.values()):
            if process.poll() is None or now < self._next_restart.get(service.name, now):
                continue
            said = f": {self.last_words(service.name)}" if process.returncode > 0 else ""
            self._tell(
                f"{service.name} ended with status {process.returncode}; starting it again{said}"
            )
            self._next_restart[service.name] = now + self._between_restarts.total_seconds()
            self.start(service)

    def last_words(self, name: str) -> str:
        """The last line of a service's log."""
        with (self._logs / f"{name}.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    def ended(self, name: str) -> int | None:
        """Exit status of a service that has ended, None while it runs."""
        return self._running[name][1].poll()

    def stop(self) -> None:
        """End all services, the last started first."""
        for name, (_, process) in reversed(list(self._running.items())):
            _signal(process.pid, signal.SIGTERM)
            if not _ended(partial(_has_exited, process)):
                self._tell(f"{name} does not end; killing it")
                process.kill()
                process.wait()
        self._running.clear()
        self._record.unlink(missing_ok=True)

    def _write_record(self) -> None:
        pids = [process.pid for _, process in self._running.values()]
        record = [{"pid": pid, "start_ticks": start_ticks(pid)} for pid in pids]
        write_atomically(self._record, json.dumps(record).encode())


def _recorded(record: Path) -> Iterable[tuple[int, int]]:
    try:
        entries = json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return []
    return [(entry["pid"], entry["start_ticks"]) for entry in entries if entry["start_ticks"]]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        log.debug("pid=%d has ended already", pid)


def _is_gone(pid: int, ticks: int) -> bool:
    return start_ticks(pid) != ticks


def _has_exited(process: Process) -> bool:
    return process.poll() is not None


def _ended(has_ended: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _GRACE.total_seconds()
    while not has_ended():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

"""Starts servers as processes with one worker each, and tells what they cost."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from benchmarks.api.fleet import ROOT
from common.processes import Process, start

_FIRST_CPU = 0


@dataclass(frozen=True)
class Server:
    """A server that answers on loopback."""

    process: Process
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """What it has used until now."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


def http_session(token: str = "") -> requests.Session:
    """A session that takes nothing from the environment."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {token}"
    return session


@contextmanager
def running(arguments: list[str], environment: dict[str, str], folder: Path) -> Iterator[Server]:
    """A server; `{port}` in arguments and values is a free port. It is on the first CPU, so that all have one core."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    values = {name: value.format(port=port) for name, value in environment.items()}
    with (folder / f"{port}.log").open("wb") as log:
        process = start(
            [sys.executable, *(one.format(port=port) for one in arguments)],
            environment={"PATH": "", "PYTHONPATH": str(ROOT), **values},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    server = Server(process, port)
    try:
        _wait_until_live(server, folder / f"{port}.log")
        _pin(process.pid, _FIRST_CPU)
        yield server
    finally:
        process.terminate()
        process.wait()


def pin_to_other_cpus(pid: int) -> None:
    """Keep the load generator off the server's core, if there is another one."""
    others = os.sched_getaffinity(0) - {_FIRST_CPU}
    if others:
        os.sched_setaffinity(pid, others)


def _pin(pid: int, cpu: int) -> None:
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, {cpu})
    os.sched_setaffinity(pid, {cpu})


def _wait_until_live(server: Server, log: Path) -> None:
    pause = threading.Event()
    for _ in range(300):
        try:
            if http_session().get(f"{server.url}/health/live", timeout=5).ok:
                return
        except requests.ConnectionError:
            pause.wait(0.1)
        if server.process.poll() is not None:
            break
    raise RuntimeError(log.read_text())

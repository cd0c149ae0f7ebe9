"""The demo's targets as a process: the stock probers like them, they end on SIGTERM and say when a port is busy."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.processes import Process, start
from tests.integration.probers.runs import RunProber
from tests.ports import free_ports

ROOT = Path(__file__).parents[3]
SECONDS = 20  # longest wait; only broken targets need it


class Targets:
    """The process and where it listens."""

    def __init__(self, folder: Path, *, tcp_port: int | None = None) -> None:
        self.tcp, self.http, self.dns = free_ports(3)
        self.tcp = tcp_port or self.tcp
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process: Process = start(
                [
                    sys.executable, "-m", "demo.targets",
                    "--tcp", f"127.0.0.1:{self.tcp}",
                    "--http", f"127.0.0.1:{self.http}",
                    "--dns", f"127.0.0.1:{self.dns}",
                    "--dns-name", "target.test",
                ],
                environment={},
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )  # fmt: skip


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[Targets]:
    started = Targets(tmp_path)
    yield started
    started.process.kill()
    started.process.wait(SECONDS)


def eventually_succeeds(run_prober: RunProber, slug: str, **variables: str) -> None:
    deadline = time.monotonic() + SECONDS
    while (finished := run_prober(slug, **variables)).code != 0:
        assert time.monotonic() < deadline, finished.errors
        time.sleep(0.05)


def test_probers_like_them_and_they_end_without_a_word(
    run_prober: RunProber, targets: Targets
) -> None:
    dns = {"VAR_DNS_SERVER": f"127.0.0.1:{targets.dns}", "VAR_EXPECTED_ADDRESS": "127.0.0.1"}
    eventually_succeeds(run_prober, "dns-resolve", VAR_DNS_NAME="target.test", **dns)
    eventually_succeeds(run_prober, "tcp-connect", VAR_TARGET=f"127.0.0.1:{targets.tcp}")
    mesh = {"VAR_TARGET_ADDRESS": "127.0.0.1", "VAR_MACHINE_PORT": str(targets.tcp)}
    eventually_succeeds(run_prober, "mesh-tcp", **mesh)
    eventually_succeeds(run_prober, "http-get", VAR_URL=f"http://127.0.0.1:{targets.http}/")

    other = run_prober("dns-resolve", VAR_DNS_NAME="other.test", **dns)
    assert other.code == 1
    assert "the server says NXDOMAIN" in other.reason

    with socket.create_connection(("127.0.0.1", targets.tcp)):  # an open one does not keep them
        os.kill(targets.process.pid, signal.SIGTERM)
        assert targets.process.wait(SECONDS) == 0
    assert targets.output.read_text() == ""


def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        targets = Targets(tmp_path, tcp_port=port)
        assert targets.process.wait(SECONDS) == 1
    expected = f"demo.targets: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert targets.output.read_text() == expected

"""The stock probers say the same, whether their file is started or is a fork of a warm parent."""

import http.server
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.results import RunResult
from tests.integration.agent.runner_bench import Bench, opened_bench

PROBERS = Path(__file__).parents[3] / "configs" / "probers"
# Of each prober: one run without its variables, one that its target can answer, one that nobody answers.
NOBODY = "127.0.0.1:1"
CASES: dict[str, list[dict[str, str]]] = {
    "disk-write": [{}, {"VAR_SIZE_BYTES": "many"}, {"VAR_FOLDER": "/no/such/folder"}],
    "dns-resolve": [{}, {"VAR_DNS_SERVER": NOBODY, "VAR_DNS_NAME": "example.test"}],
    "http-get": [
        {}, {"VAR_URL": "http://{server}/"}, {"VAR_URL": "http://{server}/", "VAR_EXPECTED_TEXT": "absent"},
        {"VAR_URL": f"http://{NOBODY}/"}, {"VAR_URL": "no address"},
    ],
    "icmp-ping": [{}, {"VAR_TARGET_ADDRESS": "127.0.0.1", "VAR_COUNT": "2", "VAR_PAUSE_SECONDS": "0"}],
    "mesh-tcp": [{}, {"VAR_TARGET_ADDRESS": "127.0.0.1", "VAR_MACHINE_PORT": "1"}],
    "tcp-connect": [{}, {"VAR_TARGET": "{server}"}, {"VAR_TARGET": NOBODY}],
    "udp-echo": [
        {}, {"VAR_TARGET_ADDRESS": "127.0.0.1", "VAR_MACHINE_PORT": "1", "VAR_TIMEOUT_SECONDS": "0.1", "VAR_PAUSE_SECONDS": "0"},
    ],
}  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with opened_bench(tmp_path) as made:
        yield made


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"here")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def gist(result: RunResult) -> tuple[object, ...]:
    """All that does not depend on how long something took."""
    names = sorted((sample.name, sample.labels, sample.kind) for sample in result.printed.samples)
    reason = re.sub(r"[0-9.]+", "#", result.verdict.reason)
    return result.verdict.outcome, reason, names, result.printed.bad_lines


def test_all_stock_probers_are_in_here() -> None:
    assert CASES.keys() == {folder.name for folder in PROBERS.iterdir() if folder.is_dir()}


@pytest.mark.parametrize("name", CASES)
def test_a_stock_prober_says_the_same_in_both_modes(bench: Bench, server: str, name: str) -> None:
    [program] = (PROBERS / name).glob("*.py")
    shutil.copy(program, bench.folder)
    spec = bench.spec("python3", program.name, mode="warm", output="prometheus", environment={})
    cases = [
        replace(spec, environment={key: value.format(server=server) for key, value in case.items()})
        for case in CASES[name]
    ]
    started = [gist(bench.run(replace(case, mode="run"))) for case in cases]
    bench.warm_up(spec)
    assert [gist(bench.run(case)) for case in cases] == started
    assert len({outcome for outcome, *_ in started}) > 1


def test_nothing_of_ours_listens_at_the_port_that_nobody_answers() -> None:
    host, port = NOBODY.split(":")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)))

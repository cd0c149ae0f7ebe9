"""Debian's monitoring-plugins as probers, unmodified, against servers on loopback."""

import http.server
import shutil
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from agent.plan import RunKey, RunSpec
from agent.results import RunResult
from agent.running.wiper import Wiper
from common.contracts.states import Outcome
from tests.integration.agent.one_run import results_of
from tests.integration.needs import need

ROOT = Path(__file__).parents[3]
# Debian's place, and the one where `make test` unpacks its package.
PLACES = ("/usr/lib/nagios/plugins", str(ROOT / ".venv/plugins/usr/lib/nagios/plugins"))
FOUND = shutil.which("check_tcp", path=":".join(PLACES))


@pytest.fixture(autouse=True)
def _plugins() -> None:
    need(FOUND, "Debian's monitoring-plugins, which `make test` unpacks")


class Pages(http.server.BaseHTTPRequestHandler):
    """/ is there, nothing else is."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 500)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def web_port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def run(folder: Path, plugin: str, *arguments: str) -> RunResult:
    spec = RunSpec(
        key=RunKey(UUID(int=1), "{}"),
        prober_slug="plugin",
        labels={"target": "a"},
        arguments=(str(Path(FOUND or "").with_name(plugin)), *arguments),
        environment={},
        folder=folder,
        interval=timedelta(seconds=60),
        time_limit=timedelta(seconds=20),
        grace=timedelta(seconds=1),
        output="nagios",
    )
    wiper = Wiper()
    try:
        (result,) = results_of(spec, folder / "temporary", wiper)
    finally:
        wiper.close(time_limit_seconds=10)
    return result


def values(result: RunResult) -> dict[tuple[str, str], float]:
    """By metric and label."""
    assert result.printed.bad_lines == 0, result.printed.first_problem
    return {(s.name, dict(s.labels)["label"]): s.value for s in result.printed.samples}


def test_an_open_port_is_success_with_its_time(folder: Path, web_port: int) -> None:
    result = run(folder, "check_tcp", "-H", "127.0.0.1", "-p", str(web_port))
    assert result.verdict.outcome is Outcome.SUCCESS
    assert 0 <= values(result)["nagios_perfdata_seconds", "time"] < 20


def test_a_closed_port_is_critical(folder: Path, closed_port: int) -> None:
    result = run(folder, "check_tcp", "-H", "127.0.0.1", "-p", str(closed_port))
    assert result.verdict.outcome is Outcome.FAILURE
    assert result.verdict.reason.startswith("critical: ")
    assert "refused" in result.verdict.reason


@pytest.mark.parametrize(
    ("path", "outcome", "words"),
    [("/", Outcome.SUCCESS, ""), ("/broken", Outcome.FAILURE, "critical: HTTP CRITICAL")],
)
def test_pages_have_time_and_size(
    folder: Path, web_port: int, path: str, outcome: Outcome, words: str
) -> None:
    result = run(folder, "check_http", "-I", "127.0.0.1", "-p", str(web_port), "-u", path)
    assert result.verdict.outcome is outcome
    assert result.verdict.reason.startswith(words)
    assert ("nagios_perfdata_seconds", "time") in values(result)
    assert values(result)["nagios_perfdata_bytes", "size"] > 5


def test_a_slow_page_is_a_warning(folder: Path, web_port: int) -> None:
    result = run(folder, "check_http", "-I", "127.0.0.1", "-p", str(web_port), "-w", "0.0000001")
    assert result.verdict.outcome is Outcome.FAILURE
    assert result.verdict.reason.startswith("warning: HTTP WARNING")


def test_the_disk_has_a_label_with_a_slash_and_bytes(folder: Path) -> None:
    result = run(folder, "check_disk", "-w", "0%", "-c", "0%", "-p", "/")
    assert result.verdict.outcome is Outcome.SUCCESS
    used = values(result)["nagios_perfdata_bytes", "/"]
    total, _, _ = shutil.disk_usage("/")
    assert 2**20 <= used <= total


def test_load_has_three_values(folder: Path) -> None:
    result = run(folder, "check_load", "-w", "9999,9999,9999", "-c", "9999,9999,9999")
    assert result.verdict.outcome is Outcome.SUCCESS
    assert {label for _, label in values(result)} >= {"load1", "load5", "load15"}


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        ("0", Outcome.SUCCESS, ""),
        ("1", Outcome.FAILURE, "warning: WARNING: so be it"),
        ("2", Outcome.FAILURE, "critical: CRITICAL: so be it"),
        ("3", Outcome.BROKEN, "unknown: UNKNOWN: so be it"),
    ],
)
def test_each_status_is_understood(
    folder: Path, status: str, outcome: Outcome, reason: str
) -> None:
    said = run(folder, "check_dummy", status, "so be it").verdict
    assert (said.outcome, said.reason) == (outcome, reason)


def test_a_plugin_with_wrong_arguments_is_broken(folder: Path) -> None:
    assert run(folder, "check_tcp", "-p", "nonsense").verdict.outcome is Outcome.BROKEN

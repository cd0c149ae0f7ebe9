"""The API as a process: how it starts, what it says when it cannot, how it ends."""

import json
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
import requests

from common.processes import Process, start

ROOT = Path(__file__).parents[3]
Start = Callable[..., "Started"]


class Started:
    """A process of the API and what it has said so far."""

    def __init__(self, folder: Path, arguments: list[str], environment: dict[str, str]) -> None:
        self._pause = Event()
        self._out, self._err = folder / "stdout", folder / "stderr"
        with self._out.open("wb") as stdout, self._err.open("wb") as stderr:
            self.process: Process = start(
                [sys.executable, "api/main.py", *arguments],
                environment={"PATH": "", "PYTHONPATH": ".", **environment},
                cwd=ROOT,
                stdout=stdout,
                stderr=stderr,
            )

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    def said(self, pattern: str) -> str:
        """The first group of the pattern, as soon as stdout has it."""
        for _ in range(600):
            if found := re.search(pattern, self.stdout):
                return found[1]
            if self.process.poll() is not None:
                break
            self._pause.wait(0.05)
        raise AssertionError(self.stdout + self.stderr)


@pytest.fixture
def run(tmp_path: Path, sqlite_url: str) -> Iterator[Start]:
    started: list[Started] = []

    def run_(*arguments: str, **environment: str) -> Started:
        defaults = {
            "MR_PROBER_DATABASE_URL": sqlite_url,
            "MR_PROBER_DATA_DIR": str(tmp_path / "data"),
            "MR_PROBER_API_PORT": "0",
        }
        folder = tmp_path / f"run{len(started)}"
        folder.mkdir()
        one = Started(folder, list(arguments), {**defaults, **environment})
        started.append(one)
        return one

    yield run_
    for one in started:
        one.process.kill()
        one.process.wait()


def test_starts_signs_in_and_ends_without_a_sound(run: Start, tmp_path: Path) -> None:
    api = run()
    link = api.said(r"Sign in: (\S+)\n")
    session = requests.Session()
    session.trust_env = False
    assert session.get(link, timeout=30).status_code == 200
    assert session.get(api.said(r"Mr. Prober: (\S+)\n"), timeout=30).status_code == 200
    key = (tmp_path / "data" / "admin.key").read_text().strip()
    assert (tmp_path / "data" / "server.key").stat().st_mode & 0o777 == 0o600
    api.process.send_signal(signal.SIGTERM)
    assert api.process.wait(30) == 0
    assert "Traceback" not in api.stderr
    assert key not in api.stderr + api.stdout
    assert link.partition("=")[2] not in api.stderr


def test_prints_a_fresh_link_on_request(run: Start) -> None:
    api = run("--sign-in-link", MR_PROBER_API_URL="https://probers.example/")
    assert api.process.wait(30) == 0
    assert re.fullmatch(r"https://probers\.example/sign-in\?token=[\w-]{43}\n", api.stdout)


def test_explains_itself(run: Start) -> None:
    api = run("--help")
    assert api.process.wait(30) == 0
    assert "PYTHONPATH=. python api/main.py" in api.stdout


def test_says_in_one_line_why_it_cannot_start(run: Start, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "admin.key").write_text("\n")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        mistakes: tuple[tuple[dict[str, str], str], ...] = (
            ({"MR_PROBER_API_PORT": port}, f"cannot listen on 127.0.0.1:{port}"),
            ({"MR_PROBER_API_PORT": "many"}, "MR_PROBER_API_PORT"),
            ({"MR_PROBER_DATABASE_URL": f"sqlite:///{tmp_path}/new"}, "alembic upgrade head"),
            ({"MR_PROBER_DATABASE_URL": f"sqlite:///{tmp_path}/no/new"}, "does not answer"),
            ({"MR_PROBER_DATABASE_URL": "nonsense"}, "MR_PROBER_DATABASE_URL"),
            ({"MR_PROBER_DATABASE_URL": "mysql://h/x"}, "postgresql+psycopg://"),
            ({"MR_PROBER_DATABASE_URL": "postgresql+psycopg:///x"}, "MR_PROBER_SERVER_KEY"),
            ({"MR_PROBER_SERVER_KEY": "k" * 31}, "MR_PROBER_SERVER_KEY has fewer than 32"),
            ({"MR_PROBER_ENCRYPTION_KEYS": "k" * 31}, "MR_PROBER_ENCRYPTION_KEYS"),
            ({"MR_PROBER_DATA_DIR": str(tmp_path / "empty")}, "admin.key is empty"),
        )
        for api, message in [(run(**environment), message) for environment, message in mistakes]:
            assert api.process.wait(60) == 1
            assert len(api.stderr.strip().splitlines()) == 1, api.stderr
            assert message in api.stderr


def test_runs_on_postgresql_with_a_server_key(run: Start, postgresql_url: str) -> None:
    api = run(
        MR_PROBER_DATABASE_URL=postgresql_url,
        MR_PROBER_SERVER_KEY="k" * 40,
        MR_PROBER_ENCRYPTION_KEYS="e" * 40,
    )
    address = api.said(r"Mr. Prober: (\S+)/\n")
    answer = requests.get(f"{address}/health/ready", timeout=30)
    assert answer.json() == {"status": "ready"}
    api.process.send_signal(signal.SIGINT)
    assert api.process.wait(30) == 0


def test_several_workers_answer_on_one_port_and_end_together(run: Start) -> None:
    api = run(MR_PROBER_API_WORKERS="2", MR_PROBER_LOG_FORMAT="json")
    address = api.said(r"Mr. Prober: (\S+)/\n")
    answer = requests.get(f"{address}/health/ready", timeout=60)
    assert answer.json() == {"status": "ready"}
    api.process.send_signal(signal.SIGTERM)
    assert api.process.wait(60) == 0
    lines = [json.loads(line) for line in api.stderr.splitlines()]
    assert {line["level"] for line in lines} == {"INFO"}
    assert "/health/ready" in {line["fields"].get("path") for line in lines}


def test_the_encryption_key_changes_with_a_command(run: Start, tmp_path: Path) -> None:
    path = tmp_path / "data" / "encryption.key"
    for kept in (2, 2):
        command = run("rotate-encryption-key")
        assert command.process.wait(60) == 0
        assert "0 values encrypted again" in command.stdout
        assert len(path.read_text().split()) == kept
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"MR_PROBER_API_TLS_KEY": "/x"}, "set both or none"),
        ({"MR_PROBER_API_TLS_KEY": "/x", "MR_PROBER_API_TLS_CERTIFICATE": "/y"}, "no file /y"),
        ({"MR_PROBER_ENCRYPTION_KEYS": "short"}, "fewer than 32 characters"),
    ],
)
def test_says_what_is_wrong_with_keys_and_certificates(
    run: Start, environment: dict[str, str], words: str
) -> None:
    api = run(**environment)
    assert api.process.wait(60) == 1
    assert words in api.stderr

"""Callers who are slow, huge, many, or speak no HTTP: each gets a plain no in time, and the others their answers."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.control.listener import connected_to
from agent.control.server import MAX_CALLERS, Answer, ControlServer, Patience, Request, Service
from common.contracts.control import SOCKET_NAME, Pauses
from tests.integration.agent.control_agent import ControlAgent
from tests.integration.agent.stand_ins import StubApi, document, prober, wait_until

GET = b"GET /v1/state HTTP/1.1\r\n\r\n"
QUICK = Patience(head=0.5, body=0.5, answer=0.5)


def answered(request: Request) -> Answer:
    if request.head.path == "/bug":
        raise ZeroDivisionError
    return Answer(Pauses())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a path that no address of a socket could hold."""
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    deep.mkdir(parents=True)
    return deep


@pytest.fixture
def server(folder: Path) -> Iterator[ControlServer]:
    made = ControlServer(folder, Service(answered), patience=QUICK)
    made.start()
    yield made
    made.close()


def said(folder: Path, *parts: bytes, pause: float = 0.0) -> bytes:
    """What comes back until the end of the connection."""
    with connected_to(folder, time_limit_seconds=20) as connection:
        with contextlib.suppress(BrokenPipeError):
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


def status(answer: bytes) -> int:
    return int(answer.split()[1])


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GET, 200),
        (b"GET /bug HTTP/1.1\r\n\r\n", 500),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(64) + b"\r\n\r\n", 400),
        (b"GET /v1/state HTTP/1.1\r\nX: " + b"x" * 100_000, 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 100_000, 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nxxx", 408),
        (b"GET /v1/st", 408),
    ],
    ids=["good", "bug", "TLS", "long header", "long body", "short body", "half a line"],
)
def test_each_kind_of_request_gets_its_answer(folder: Path, content: bytes, expected: int) -> None:
    assert status(said(folder, content)) == expected
    assert status(said(folder, GET)) == 200


@pytest.mark.usefixtures("server")
def test_who_drips_is_cut_off_after_a_time_for_all_of_it(folder: Path) -> None:
    drops = [b"GET /v1/state HTTP/1.1\r\n", *[b"A: b\r\n" for _ in range(100)]]
    assert status(said(folder, *drops, pause=0.05)) == 408


@pytest.mark.usefixtures("server")
def test_beyond_a_few_callers_others_are_sent_away_at_once(folder: Path) -> None:
    silent = [connected_to(folder, time_limit_seconds=20) for _ in range(MAX_CALLERS)]
    try:
        # Taken up in the order in which they came.
        wait_until(lambda: status(said(folder, GET)) == 503)
        wait_until(lambda: status(said(folder, GET)) == 200)
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.usefixtures("server")
def test_who_hangs_up_or_reads_nothing_keeps_nobody_waiting(folder: Path) -> None:
    for content in (b"", b"GET", GET):
        connected_to(folder, time_limit_seconds=20).close()
        with connected_to(folder, time_limit_seconds=20) as connection:
            connection.sendall(content)
    assert status(said(folder, GET)) == 200


def test_takes_the_place_of_a_stale_socket_and_leaves_none(folder: Path) -> None:
    # Whoever is killed leaves it behind, and nobody can bind to its path.
    stale = ControlServer(folder, Service(answered))
    assert (folder / SOCKET_NAME).is_socket()
    (folder / ".control.draft").mkdir()
    (folder / ".control.draft" / SOCKET_NAME).touch()
    made = ControlServer(folder, Service(answered))
    made.start()
    assert status(said(folder, GET)) == 200
    made.close()
    assert list(folder.iterdir()) == []
    stale.close()


def test_a_flood_of_callers_stops_neither_probers_nor_answers(
    control_agent: ControlAgent, stub_api: StubApi, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    script = f"echo run >> {witness}"
    stub_api.document = document(prober(1, {}, ["sh", "-c", script], interval_seconds=0.2))
    control_agent.start()
    wait_until(witness.exists)
    stopping = threading.Event()

    def flood() -> None:
        while not stopping.is_set():
            with contextlib.suppress(OSError):
                said(
                    control_agent.folder,
                    b"GET /v1/state HTTP/1.1\r\n" + os.urandom(2000) + b"\r\n\r\n",
                )
                said(control_agent.folder, GET)

    callers = [threading.Thread(target=flood) for _ in range(12)]
    for caller in callers:
        caller.start()
    try:
        before = len(witness.read_text().split())
        wait_until(lambda: len(witness.read_text().split()) >= before + 10)
        wait_until(lambda: control_agent.state() is not None)
    finally:
        stopping.set()
        for caller in callers:
            caller.join()
    figures = control_agent.client.prober("prober-1").prober.figures
    assert figures.runs
    assert control_agent.client.state().own.bugs == 0

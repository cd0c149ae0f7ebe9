"""http-get against real servers: good, bad status, dead, hanging, dripping, talking nonsense."""

import socket
import threading
from collections.abc import Callable

import pytest

from tests.integration.probers.runs import Finished, RunProber, ServeTcp

Conversation = Callable[[socket.socket], None]


def answering(answer: bytes) -> Conversation:
    def converse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    return converse


def response(status: str, body: bytes = b"", head: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\nConnection: close\r\n"
    return f"HTTP/1.1 {status}\r\n{length}{head}\r\n".encode() + body


def get(run_prober: RunProber, port: int, **variables: str) -> Finished:
    return run_prober("http-get", VAR_URL=f"http://127.0.0.1:{port}/", **variables)


def test_a_good_status_is_success(run_prober: RunProber, serve_tcp: ServeTcp) -> None:
    _, port = serve_tcp(answering(response("200 OK", b"hello")))
    finished = get(run_prober, port, VAR_EXPECTED_TEXT="ell")
    assert (finished.code, finished.errors) == (0, "")
    assert finished.metrics["http_get_status"] == 200
    assert finished.metrics["http_get_seconds"] > 0


def test_a_bad_status_is_failure_with_its_metrics(
    run_prober: RunProber, serve_tcp: ServeTcp
) -> None:
    _, port = serve_tcp(answering(response("503 Service Unavailable")))
    finished = get(run_prober, port)
    assert finished.code == 1
    assert finished.reason == f"http://127.0.0.1:{port}/ answered with status 503"
    assert finished.metrics["http_get_status"] == 503


def test_a_missing_text_is_failure(run_prober: RunProber, serve_tcp: ServeTcp) -> None:
    _, port = serve_tcp(answering(response("200 OK", b"hello")))
    finished = get(run_prober, port, VAR_EXPECTED_TEXT="bye")
    assert finished.code == 1
    assert "answered without the text 'bye'" in finished.reason


def test_a_dead_server_is_failure(run_prober: RunProber, dead_port: int) -> None:
    finished = get(run_prober, dead_port)
    assert finished.code == 1
    assert finished.reason == f"cannot get http://127.0.0.1:{dead_port}/: Connection refused"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-nonsense\r\n",
        b"\x00\xff" * 500,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        response("302 Found", head="Location: http://[nonsense/\r\n"),
        response("302 Found", head="Location: gopher://x/\r\n"),
        response("302 Found", head="Location: /\r\n"),
    ],
)
def test_nonsense_is_failure(run_prober: RunProber, serve_tcp: ServeTcp, answer: bytes) -> None:
    _, port = serve_tcp(answering(answer))
    finished = get(run_prober, port)
    assert finished.code == 1
    assert finished.reason.startswith(f"cannot get http://127.0.0.1:{port}/: ")


def test_gives_up_by_itself_on_a_silent_and_on_a_dripping_server(
    run_prober: RunProber, serve_tcp: ServeTcp
) -> None:
    finished = threading.Event()

    def be_silent(_: socket.socket) -> None:
        finished.wait(30)

    def drip(connection: socket.socket) -> None:
        while not finished.wait(0.05):
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\n" if not finished.is_set() else b"")
                connection.sendall(b"X-Drip: 1\r\n")
            except OSError:
                return

    for conversation in (be_silent, drip):
        _, port = serve_tcp(conversation)
        run = get(run_prober, port, VAR_TIMEOUT_SECONDS="0.3")
        assert run.code == 1
        assert run.reason == f"no answer of http://127.0.0.1:{port}/ within 0.3 s"
    finished.set()


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1/", "127.0.0.1:80", "http://"])
def test_is_broken_by_what_is_no_http_url(run_prober: RunProber, url: str) -> None:
    finished = run_prober("http-get", VAR_URL=url)
    assert finished.code == 3
    assert "http_get.py: " in finished.reason

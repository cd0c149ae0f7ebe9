"""One deadline for a whole call, against servers that take their time in every way."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

from common.deadline_http import MAX_ANSWER_BYTES, CallFailedError, DeadlineHttp, HttpAnswer

Script = Callable[[socket.socket, threading.Event], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 7\r\n\r\nok"
SOON = timedelta(seconds=0.3)
LATE = timedelta(seconds=20)


class ScriptedServer:
    """Runs one script per connection, in a thread each; the last one again and again."""

    def __init__(self, *scripts: Script) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = 0
        self._scripts = scripts
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                script = self._scripts[min(self.connections, len(self._scripts) - 1)]
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection, script))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket, script: Script) -> None:
        with connection, suppress(OSError):
            script(connection, self._ended)

    def close(self) -> None:
        self._ended.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    servers: list[ScriptedServer] = []

    def start(*scripts: Script) -> ScriptedServer:
        servers.append(ScriptedServer(*scripts))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def call(http: DeadlineHttp, time_limit: timedelta, body: bytes = b"x") -> HttpAnswer:
    return http.call("POST", "/push?a=b", time_limit=time_limit, headers={"X-Test": "1"}, body=body)


def request(connection: socket.socket) -> bytes:
    content = b""
    while not content.endswith(b"\r\n\r\nx"):
        received = connection.recv(65536)
        if not received:
            raise ConnectionError
        content += received
    return content


def answers(content: bytes, *, times: int = 1) -> Script:
    def script(connection: socket.socket, _: threading.Event) -> None:
        for _number in range(times):
            request(connection)
            connection.sendall(content)

    return script


def drips(content: bytes, at_once: int) -> Script:
    """A byte each 50 ms after those that come at once, in time for whoever waits for each of them."""

    def script(connection: socket.socket, ended: threading.Event) -> None:
        request(connection)
        connection.sendall(content[:at_once])
        for byte in content[at_once:]:
            if ended.wait(0.05):
                return
            connection.sendall(bytes([byte]))

    return script


def says_nothing(connection: socket.socket, ended: threading.Event) -> None:
    ended.wait()


def test_an_answer_comes_with_its_headers(serve: Callable[..., ScriptedServer]) -> None:
    seen = []

    def script(connection: socket.socket, _: threading.Event) -> None:
        seen.append(request(connection))
        connection.sendall(OK)

    http = DeadlineHttp(f"{serve(script).url}/base/")
    answer = call(http, LATE)
    http.close()
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (200, b"ok", "7")
    assert seen[0].startswith(b"POST /base/push?a=b HTTP/1.1\r\n")
    assert b"X-Test: 1\r\n" in seen[0]


@pytest.mark.parametrize("at_once", [0, 20, len(OK) - 20])
def test_a_server_that_drips_is_given_up_at_the_deadline(
    serve: Callable[..., ScriptedServer], at_once: int
) -> None:
    http = DeadlineHttp(serve(drips(OK, at_once)).url)
    with pytest.raises(CallFailedError, match="no answer in time"):
        call(http, SOON)


def test_a_server_that_says_nothing_or_reads_nothing_is_given_up(
    serve: Callable[..., ScriptedServer],
) -> None:
    http = DeadlineHttp(serve(says_nothing).url)
    for body in (b"x", b"x" * 50_000_000):
        with pytest.raises(CallFailedError, match="no answer in time"):
            call(http, SOON, body)


def test_endless_interim_answers_are_given_up(serve: Callable[..., ScriptedServer]) -> None:
    def script(connection: socket.socket, ended: threading.Event) -> None:
        request(connection)
        while not ended.wait(0.01):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    with pytest.raises(CallFailedError, match="no answer in time"):
        call(DeadlineHttp(serve(script).url), SOON)


def test_the_connection_is_kept_and_a_closed_one_is_replaced(
    serve: Callable[..., ScriptedServer],
) -> None:
    server = serve(answers(OK, times=2), answers(OK))
    http = DeadlineHttp(server.url)
    assert [call(http, LATE).status for _ in range(3)] == [200, 200, 200]
    assert server.connections == 2
    http.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
    ],
)
def test_nonsense_is_a_failed_call(serve: Callable[..., ScriptedServer], content: bytes) -> None:
    http = DeadlineHttp(serve(answers(content)).url)
    for _ in range(2):  # and the next call is not disturbed by it
        with pytest.raises(CallFailedError):
            call(http, LATE)


def test_of_a_huge_answer_only_the_beginning_is_read(
    serve: Callable[..., ScriptedServer],
) -> None:
    huge = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 10_000_000
    server = serve(answers(huge), answers(OK))
    http = DeadlineHttp(server.url)
    assert len(call(http, LATE).body) == MAX_ANSWER_BYTES
    assert call(http, LATE).body == b"ok"
    http.close()


def test_nobody_there_is_a_failed_call_that_names_no_secret() -> None:
    http = DeadlineHttp("http://127.0.0.1:1")
    with pytest.raises(CallFailedError, match="Connection refused"):
        call(http, LATE)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:80", "ftp://a", "http://", "http://a:b", "http://a:99999"]
)
def test_what_is_no_address_is_said_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="not the address of an HTTP server"):
        DeadlineHttp(url)

"""What a person reads when the API does not answer: one short reason, no names of libraries."""

import socket
from collections.abc import Callable
from datetime import timedelta
from threading import Thread

import pytest

from common.agent_transport import AgentTransport
from common.api_transport import ApiTransport
from common.errors import ApiUnreachableError

Made = type[ApiTransport | AgentTransport]


@pytest.fixture(params=[ApiTransport, AgentTransport])
def made(request: pytest.FixtureRequest) -> Made:
    """The transport of tools, and that of agents."""
    kind: Made = request.param
    return kind


def _reason(made: Made, url: str) -> str:
    with pytest.raises(ApiUnreachableError) as raised:
        made(url, "key").call("GET", "/api/v1/recipes", time_limit=timedelta(seconds=0.3))
    return str(raised.value).removeprefix(f"the API at {url} cannot be reached: ")


def _reason_from(made: Made, answer: Callable[[socket.socket], object]) -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                answer(connection)

        thread = Thread(target=serve)
        thread.start()
        reason = _reason(made, f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    return reason


def test_nobody_listens(made: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert _reason(made, f"http://127.0.0.1:{port}") == "Connection refused"


def test_somebody_listens_and_never_answers(made: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        reason = _reason(made, f"http://127.0.0.1:{server.getsockname()[1]}")
    assert reason == "no answer in time"


def test_an_answer_that_is_no_http(made: Made) -> None:
    assert "nonsense" in _reason_from(made, lambda connection: connection.sendall(b"nonsense\r\n"))


def test_an_answer_of_some_other_server(made: Made) -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".replace(b"200 OK", b"502 Bad Gateway")
    assert (
        _reason_from(made, lambda connection: connection.sendall(page))
        == "unexpected answer, HTTP 502"
    )

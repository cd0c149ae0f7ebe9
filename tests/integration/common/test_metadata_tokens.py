"""Tokens of a VM: when they are asked for, and what happens without one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from common.solomon.tokens import TOKEN_PATH, FixedToken, MetadataToken, NoTokenError


class MetadataService:
    """Gives numbered tokens, or what the test wants."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.expires_in: object = 3600
        self.answer: tuple[int, bytes] | None = None
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked.append((self.path, self.headers["Metadata-Flavor"]))
                given = {
                    "access_token": f"t1.{len(service.asked)}",
                    "expires_in": service.expires_in,
                    "token_type": "Bearer",
                }
                status, body = service.answer or (200, json.dumps(given).encode())
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def service() -> Iterator[MetadataService]:
    made = MetadataService()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_asks_as_the_service_wants_it_and_keeps_the_token(service: MetadataService) -> None:
    clock = Clock()
    tokens = MetadataToken(service.url, clock=clock)
    assert [tokens.token(), tokens.token()] == ["t1.1", "t1.1"]
    assert service.asked == [(TOKEN_PATH, "Google")]


@pytest.mark.parametrize(("expires_in", "renewed_after"), [(1000, 500), (43_200, 3600)])
def test_asks_again_long_before_the_end_and_every_hour(
    service: MetadataService, expires_in: int, renewed_after: int
) -> None:
    service.expires_in = expires_in
    clock = Clock()
    tokens = MetadataToken(service.url, clock=clock)
    tokens.token()
    clock.now += renewed_after - 1
    assert tokens.token() == "t1.1"
    clock.now += 1
    assert tokens.token() == "t1.2"


def test_while_the_service_is_broken_the_old_token_is_used_to_its_end(
    service: MetadataService,
) -> None:
    service.expires_in = 1000
    clock = Clock()
    tokens = MetadataToken(service.url, clock=clock)
    tokens.token()
    service.answer = (500, b"")
    clock.now += 999
    assert tokens.token() == "t1.1"
    clock.now += 1
    with pytest.raises(NoTokenError):
        tokens.token()
    service.answer = None
    clock.now += 10
    assert tokens.token().startswith("t1.")


def test_a_refused_token_is_replaced_at_once_but_not_again_and_again(
    service: MetadataService,
) -> None:
    clock = Clock()
    tokens = MetadataToken(service.url, clock=clock)
    tokens.token()
    clock.now += 60
    assert tokens.refused()
    assert tokens.token() == "t1.2"
    assert not tokens.refused()
    with pytest.raises(NoTokenError):
        tokens.token()
    assert len(service.asked) == 2
    clock.now += 10
    assert tokens.token() == "t1.3"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b'{"access_token": ""}', b'{"access_token": "a\\nb", "expires_in": 9}',
     b'{"access_token": "secret", "expires_in": "nan"}'],
)  # fmt: skip
def test_an_answer_without_a_token_is_none_and_is_not_repeated_in_the_log(
    service: MetadataService, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    service.answer = (200, body)
    tokens = MetadataToken(service.url, clock=Clock())
    with pytest.raises(NoTokenError):
        tokens.token()
    assert "no token from the metadata service" in caplog.text
    assert "secret" not in caplog.text


def test_a_token_from_the_settings_is_what_it_is() -> None:
    tokens = FixedToken("x")
    assert (tokens.token(), tokens.refused()) == ("x", False)

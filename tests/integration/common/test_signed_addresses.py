"""A content goes to a signed address with what the address asks for, and without our key."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from common.agent_transport import AgentTransport
from common.api_transport import ApiTransport
from common.errors import ApiUnreachableError

SECRET = "mrp_" + "k" * 43
both = pytest.mark.parametrize("made", [ApiTransport, AgentTransport])


class Store(ThreadingHTTPServer):
    """Takes what is put there, and remembers it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.came: list[tuple[str, dict[str, str], bytes]] = []


class Handler(BaseHTTPRequestHandler):
    """Refuses what goes to `/no`."""

    server: Store

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.came.append((self.path, headers, content))
        self.send_response(403 if self.path.startswith("/no") else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def store() -> Iterator[Store]:
    server = Store()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join(timeout=30)
    server.server_close()


@both
def test_the_key_stays_here(store: Store, made: type[ApiTransport | AgentTransport]) -> None:
    base = f"http://127.0.0.1:{store.server_port}"
    transport = made(base, SECRET)
    transport.put("/in/api?signature=s", b"one", headers={"Content-Length": "3"})
    elsewhere = made("http://127.0.0.1:1", SECRET)
    elsewhere.put(f"{base}/in/store?signature=s", b"two", headers={"x-amz-meta": "m"})
    assert [(path, content) for path, _, content in store.came] == [
        ("/in/api?signature=s", b"one"), ("/in/store?signature=s", b"two"),
    ]  # fmt: skip
    assert store.came[1][1]["x-amz-meta"] == "m"
    assert SECRET not in str(store.came)


@both
def test_a_refusal_names_the_host_and_nothing_that_is_signed(
    store: Store, made: type[ApiTransport | AgentTransport]
) -> None:
    base = f"http://127.0.0.1:{store.server_port}"
    for address in (f"{base}/no?signature=s", "http://127.0.0.1:1/x?signature=s"):
        with pytest.raises(ApiUnreachableError, match=r"http://127\.0\.0\.1:\d+ cannot") as raised:
            made(base, SECRET).put(address, b"x", headers={})
        assert "signature" not in str(raised.value)

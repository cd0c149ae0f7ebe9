"""Servers that an agent speaks to, for each test anew."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.agent.stand_ins import StubApi, StubSolomon


def _served(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stub_api() -> Iterator[StubApi]:
    api = StubApi()
    served = _served(api.server)
    next(served)
    yield api
    next(served, None)


@pytest.fixture
def stub_solomon() -> Iterator[StubSolomon]:
    solomon = StubSolomon()
    served = _served(solomon.server)
    next(served)
    yield solomon
    next(served, None)


@pytest.fixture
def agent_folder(tmp_path: Path) -> Path:
    return tmp_path / "agent"

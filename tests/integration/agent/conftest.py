"""Servers that an agent speaks to, for each test anew."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from solomon_stand_in.app import application
from solomon_stand_in.store import Store as SeriesStore
from tests.integration.agent.control_agent import ControlAgent
from tests.integration.agent.stand_ins import StubApi, StubSolomon, served, wait_until


@pytest.fixture
def stub_api() -> Iterator[StubApi]:
    api = StubApi()
    with served(api.server):
        yield api


@pytest.fixture
def stub_solomon() -> Iterator[StubSolomon]:
    solomon = StubSolomon()
    with served(solomon.server):
        yield solomon


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[str]:
    """The address of a Solomon stand-in, which gives tokens and takes any."""
    store = SeriesStore(tmp_path / "series.sqlite")
    app = application(store, token=None, page_token=None)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_until(lambda: server.started)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    store.close()


@pytest.fixture
def agent_folder(tmp_path: Path) -> Path:
    return tmp_path / "agent"


@pytest.fixture
def control_agent(stub_api: StubApi, agent_folder: Path) -> Iterator[ControlAgent]:
    """Not started yet: the document comes first."""
    agent = ControlAgent(agent_folder, stub_api)
    yield agent
    agent.end()

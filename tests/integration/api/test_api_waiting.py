"""Held questions for the configuration: over real sockets, since nothing else shows who waits and who hangs up."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import requests
import uvicorn
from fastapi import FastAPI

from api.context import Context
from api.waiting_room import WaitingRoom
from common.agent_tokens import agent_token
from common.object_storage import FileSystemObjectStorage
from database import models
from database.configuration_changes import mark_changed
from database.session import Database

SERVER_KEY = b"server key of the tests"
CLUSTER = UUID(int=7)


class Served:
    """An API on a real socket with one cluster, and agents that ask it."""

    def __init__(self, application: FastAPI, context: Context) -> None:
        application.state.context = context
        self.context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/api/v1/clusters/demo/configuration"
        self.port = port
        config = uvicorn.Config(application, log_config=None, lifespan="off")
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, args=([self._listener],))
        self._thread.start()
        self._agents = ThreadPoolExecutor(20)

    def ask(self, etag: str = "", *, wait: object = 0) -> requests.Response:
        session = requests.Session()
        session.trust_env = False
        token = agent_token(SERVER_KEY, CLUSTER, version=1)
        headers = {"Authorization": f"Bearer {token}", "If-None-Match": etag}
        return session.get(self.address, params={"wait": str(wait)}, headers=headers, timeout=40)

    def ask_and_wait(self, etag: str) -> "Future[requests.Response]":
        return self._agents.submit(self.ask, etag, wait=30)

    def change(self) -> None:
        """What another process does."""
        with self.context.database.writing() as session:
            hosts = session.get_one(models.Cluster, CLUSTER).hosts
            session.get_one(models.Cluster, CLUSTER).hosts = {**hosts, f"h{len(hosts)}": {}}
            mark_changed(session, [CLUSTER])

    def close(self) -> None:
        self.context.waiting_room.close()
        self.server.should_exit = True
        self._thread.join(20)
        self._agents.shutdown()
        self._listener.close()


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it never came to that")


@pytest.fixture
def served(_application: FastAPI, database: Database, tmp_path: Any) -> Iterator[Served]:
    with database.writing() as session:
        recipe = models.Recipe(slug="local")
        session.add(recipe)
        session.flush()
        session.add(models.Cluster(id=CLUSTER, slug="demo", recipe_id=recipe.id, hosts={}))
    context = Context(database, FileSystemObjectStorage(tmp_path / "objects"), SERVER_KEY)
    one = Served(_application, context)
    yield one
    one.close()


def waiting(served: Served, count: int) -> Callable[[], bool]:
    return lambda: served.context.waiting_room.count == count


def test_all_are_answered_with_what_another_process_changed(served: Served) -> None:
    etag = served.ask().headers["etag"]
    asked = [served.ask_and_wait(etag) for _ in range(10)]
    until(waiting(served, 10))
    served.change()
    answers = [one.result(20) for one in asked]
    assert {one.status_code for one in answers} == {200}
    assert {tuple(one.json()["hosts"]) for one in answers} == {("h0",)}
    assert len({one.headers["etag"] for one in answers} - {etag}) == 1


def test_time_is_up_without_a_change(served: Served) -> None:
    etag = served.ask().headers["etag"]
    assert served.ask(etag, wait=0.05).status_code == 304
    assert served.ask('"old"', wait=30).status_code == 200


def test_a_token_that_is_replaced_meanwhile_gets_no_document(served: Served) -> None:
    etag = served.ask().headers["etag"]
    asked = served.ask_and_wait(etag)
    until(waiting(served, 1))
    with served.context.database.writing() as session:
        session.get_one(models.Cluster, CLUSTER).agent_token_version = 3
    assert asked.result(20).status_code == 403


def test_whoever_hangs_up_takes_no_room(served: Served) -> None:
    etag = served.ask().headers["etag"]
    with socket.create_connection(("127.0.0.1", served.port)) as caller:
        token = agent_token(SERVER_KEY, CLUSTER, version=1)
        caller.sendall(
            f"GET /api/v1/clusters/demo/configuration?wait=30 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"If-None-Match: {etag}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        until(waiting(served, 1))
    until(waiting(served, 0))


def test_where_no_room_is_left_the_answer_comes_at_once(served: Served) -> None:
    full = WaitingRoom(served.context.configurations, max_waiting=0)
    served.context.__dict__["waiting_room"] = full
    etag = served.ask().headers["etag"]
    assert served.ask(etag, wait=30).status_code == 304


def test_the_end_of_the_process_answers_everybody(served: Served) -> None:
    etag = served.ask().headers["etag"]
    asked = [served.ask_and_wait(etag) for _ in range(5)]
    until(waiting(served, 5))
    served.context.waiting_room.close()
    assert {one.result(20).status_code for one in asked} == {304}
    assert served.ask(etag, wait=30).status_code == 304


@pytest.mark.parametrize("wait", ["31", "-1", "nan", "soon"])
def test_a_wait_that_is_none_is_a_mistake_with_a_name(served: Served, wait: str) -> None:
    answer = served.ask(wait=wait)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "wait"

"""Health: what answers when the rest does not."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import pytest

from api.context import Context
from common.object_storage import FileSystemObjectStorage
from database.session import Database

THREADS_OF_THE_POOL = 40


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """One kind of database is enough."""
    opened = Database(sqlite_url)
    yield opened
    opened.dispose()


class StuckStorage(FileSystemObjectStorage):
    """A storage that writes only when it is let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.waiting = Semaphore(0)
        self.let_go = Event()

    def write(self, key: str, content: bytes) -> None:
        self.waiting.release()
        self.let_go.wait(60)
        super().write(key, content)


def test_is_alive_while_every_thread_waits_for_the_storage(
    callers: Any, context: Context, tmp_path: Path
) -> None:
    storage = StuckStorage(tmp_path / "stuck")
    callers.application.state.context = replace(context, storage=storage)
    with callers.nobody() as client, ThreadPoolExecutor(THREADS_OF_THE_POOL + 1) as pool:
        try:
            stuck = [pool.submit(client.get, "/health/ready") for _ in range(THREADS_OF_THE_POOL)]
            assert all(storage.waiting.acquire(timeout=30) for _ in stuck)
            alive = pool.submit(client.get, "/health/live").result(timeout=30)
            assert alive.json() == {"status": "live"}
        finally:
            storage.let_go.set()
        assert {one.result().status_code for one in stuck} == {200}


def test_a_database_that_does_not_answer_is_a_503_and_one_line_in_the_log(
    callers: Any, context: Context, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Database(f"sqlite:///{tmp_path}/no/such/folder")
    callers.application.state.context = replace(context, database=gone)
    nobody = callers.nobody()
    for path in ("/health/ready", "/sign-in?token=x"):
        answer = nobody.get(path)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
    page = nobody.get("/sign-in?token=x", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    refusals = [line for line in caplog.messages if line.startswith("request refused")]
    assert len(refusals) == 3
    assert not [line for line in refusals if "\n" in line]
    assert nobody.get("/health/live").status_code == 200
    gone.dispose()

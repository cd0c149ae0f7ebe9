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

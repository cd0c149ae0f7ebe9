"""Work that many requests want at the same moment is done once, in a thread, and all of them get its result."""

import asyncio
from asyncio import AbstractEventLoop, Task
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

Result = TypeVar("Result")


class Flights:
    """What is being done just now, by name."""

    def __init__(self) -> None:
        # The loop is part of the name: a task cannot be awaited from another one.
        self._tasks: dict[tuple[AbstractEventLoop, Hashable], Task[Any]] = {}

    async def once(self, name: Hashable, work: Callable[[], Result]) -> Result:
        """The result of `work`, or of the same work that another request began; its errors go to all."""
        key = (asyncio.get_running_loop(), name)
        task: Task[Result] | None = self._tasks.get(key)
        if task is None:
            task = asyncio.ensure_future(run_in_threadpool(work))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._land(key, done))
        # Whoever gives up waiting does not end it for the others.
        return await asyncio.shield(task)

    def _land(self, key: tuple[AbstractEventLoop, Hashable], task: Task[Any]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # seen, even if everybody who waited has gone

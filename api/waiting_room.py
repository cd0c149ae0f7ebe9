"""Agents that hold a request open until something changes: no thread, no connection to the database, one future each."""

import asyncio
import logging
from asyncio import AbstractEventLoop, Future, Task
from dataclasses import dataclass, replace

from sqlalchemy.exc import SQLAlchemyError

from api.configurations import LOOK_EVERY, Configurations, Verdict
from api.services.known_clusters import KnownCluster
from common.errors import MrProberError

log = logging.getLogger(__name__)

MAX_WAIT_SECONDS = 30
# Each one holds a connection; above it agents are answered at once and come again by themselves.
MAX_WAITING = 20_000
_AGENTS_PER_SECOND = 5_000
_AGENTS_PER_SECOND_WITH_NEW_FILES = 500


@dataclass(frozen=True, slots=True)
class Known:
    """What a waiting agent knows: anything else is news."""

    cluster: KnownCluster
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Timetable:
    """When each agent is answered, in seconds by the loop's clock, and from when on the next ones may be."""

    moments: list[float]
    free_at: float


def timetable(count: int, *, now: float, free_at: float, new_files: bool) -> Timetable:
    """Answers spread so that what agents fetch next comes at a rate that we serve. Pure.

    With new files at least over one second: each of them is a request, too.
    """
    start = max(now, free_at)
    rate = _AGENTS_PER_SECOND_WITH_NEW_FILES if new_files else _AGENTS_PER_SECOND
    step = max(1 / rate, 1 / count) if new_files and count else 1 / rate
    moments = [start + number * step for number in range(count)]
    return Timetable(moments, free_at=start + count / rate)


class WaitingRoom:
    """All held requests of one process; for one event loop."""

    def __init__(self, configurations: Configurations, *, max_waiting: int = MAX_WAITING) -> None:
        self._configurations = configurations
        self._max_waiting = max_waiting
        self._waiting: dict[str, set[_Waiter]] = {}
        self._count = 0
        self._free_at = 0.0
        self._watcher: Task[None] | None = None
        self._loop: AbstractEventLoop | None = None
        self._closed = False

    @property
    def count(self) -> int:
        """How many requests are held."""
        return self._count

    async def hold(self, known: Known, *, seconds: float, gone: Future[None]) -> None:
        """Return when the cluster is no longer as known, the time is up, the caller has gone, or no room is left."""
        if self._closed or self._count >= self._max_waiting:
            return
        loop = asyncio.get_running_loop()
        waiter = _Waiter(known, loop.create_future())
        self._enter(waiter, loop)
        timer = loop.call_later(seconds, waiter.leave)
        gone.add_done_callback(lambda _: waiter.leave())
        try:
            await waiter.called
        finally:
            timer.cancel()
            self._forget(waiter)

    def close(self) -> None:
        """Answer everybody now and hold nobody any more; also from a signal handler."""
        self._closed = True
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._call_all)

    def _enter(self, waiter: "_Waiter", loop: AbstractEventLoop) -> None:
        self._waiting.setdefault(waiter.known.cluster.slug, set()).add(waiter)
        self._count += 1
        self._loop = loop
        if self._watcher is None or self._watcher.done():
            self._watcher = loop.create_task(self._watch())

    def _forget(self, waiter: "_Waiter") -> None:
        slug = waiter.known.cluster.slug
        self._waiting[slug].discard(waiter)
        self._count -= 1
        if not self._waiting[slug]:
            del self._waiting[slug]

    def _call_all(self) -> None:
        for waiters in self._waiting.values():
            for waiter in waiters:
                waiter.leave()

    async def _watch(self) -> None:
        """Look once a second for as long as somebody waits."""
        while self._waiting:
            await asyncio.sleep(LOOK_EVERY.total_seconds())
            try:
                await self._configurations.refresh()
                for slug in list(self._waiting):
                    await self._look_after(slug)
            except (SQLAlchemyError, MrProberError) as error:
                log.warning("held requests go on waiting: %s", error)

    async def _look_after(self, slug: str) -> None:
        cluster = self._configurations.find(slug)
        waiters = [one for one in self._waiting.get(slug, ()) if not one.summoned]
        if cluster and any(one.known.cluster != cluster for one in waiters):
            current: Verdict | None = await self._configurations.current(cluster)
        else:
            current = self._configurations.verdict(cluster) if cluster else None
        with_news = [one for one in waiters if not one.may_stay(cluster, current)]
        new_files = bool(current and any(current.files - w.known.verdict.files for w in with_news))
        self._summon(with_news, new_files=new_files)

    def _summon(self, waiters: "list[_Waiter]", *, new_files: bool) -> None:
        if not waiters:
            return
        loop = asyncio.get_running_loop()
        plan = timetable(len(waiters), now=loop.time(), free_at=self._free_at, new_files=new_files)
        self._free_at = plan.free_at
        for waiter, moment in zip(waiters, plan.moments, strict=True):
            waiter.summoned = True
            loop.call_at(moment, waiter.leave)


@dataclass(eq=False, slots=True)
class _Waiter:
    known: Known
    called: Future[None]
    summoned: bool = False

    def leave(self) -> None:
        if not self.called.done():
            self.called.set_result(None)

    def may_stay(self, cluster: KnownCluster | None, current: Verdict | None) -> bool:
        """Whether the cluster is as it was for its agents, even if something changed that they don't see."""
        before = self.known.cluster
        if cluster is None or current is None:
            return False
        if replace(cluster, configuration_change=0) != replace(before, configuration_change=0):
            return False  # a token may have been taken back
        return current.etag == self.known.verdict.etag

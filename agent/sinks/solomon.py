"""Solomon as a sink: a thread encodes cells, pushes them, and puts on disk what Solomon does not take now: *act*."""

import hashlib
import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from agent.clocks import boot_ns
from agent.links import Link
from agent.sinks.fresh_cells import FreshCell, FreshCells
from agent.sinks.pace import Pace
from agent.sinks.port import Batch, SinkFigures
from agent.sinks.spool import Spool
from common.solomon.answers import PushResult, PushStatus
from common.solomon.encoder import EncodedPush, PushEncoder

log = logging.getLogger(__name__)

SPREAD_SECONDS = 10
_MAX_WAITING_BATCHES = 4
_PUSH_TIME_LIMIT = timedelta(seconds=10)
# What a slow Solomon has not taken of a cell after this time goes to disk, so that the next cell is not late.
_FRESH_SECONDS = 10.0
_LAST_PUSHES_SECONDS = 2.0
_LONGEST_WAIT_SECONDS = 60.0


class SolomonClient(Protocol):
    """Sends one body; see `common.solomon.client`."""

    def push(self, body: bytes, *, time_limit: timedelta) -> PushResult:
        """Every mishap is a result; may be repeated."""

    def interrupt(self) -> None:
        """From another thread: the push that is going on fails now."""

    def close(self) -> None:
        """No more pushes."""


def steady_unix(
    *, time_of_day: Callable[[], float] = time.time, clock_ns: Callable[[], int] = boot_ns
) -> Callable[[], float]:
    """Unix seconds that follow no step of the clock after this moment.

    A clock that leaps by days for a minute must not make all that waits on disk too old.
    """
    began = time_of_day() - clock_ns() / 1e9
    return lambda: began + clock_ns() / 1e9


@dataclass(frozen=True)
class SinkClocks:
    """What the sink reads the time from; tests pass others in."""

    monotonic: Callable[[], float] = time.monotonic
    unix: Callable[[], float] = field(default_factory=steady_unix)


def send_offset_seconds(host: str) -> float:
    """How long after the end of a cell a host sends: the same for ever, different for each host."""
    digest = hashlib.blake2b(host.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * SPREAD_SECONDS


@dataclass(eq=False, slots=True)
class _Queued:
    """A batch on its way; once it is kept it is a cell."""

    due: float
    points: int
    batch: Batch | None
    cell: FreshCell | None = None


class Deliverer:
    """All that is done about a batch, on one thread: encode, push or spool, and send what waits.

    `lost` counts points by reason, the spool's own losses apart: `refused`, `partial`, `not_encodable`.
    """

    def __init__(
        self,
        client: SolomonClient,
        encoder: PushEncoder,
        spool: Spool,
        pace: Pace,
        *,
        clocks: SinkClocks,
        link: Link | None = None,
    ) -> None:
        self._client = client
        self._encoder = encoder
        self._spool = spool
        self._pace = pace
        self._clocks = clocks
        self._link = link or Link()
        self._fresh = FreshCells(spool.folder)
        self._said = PushStatus.OK
        self._waits = False
        self.lost: Counter[str] = Counter()

    def open(self, handed_over: int = 0) -> None:
        """Find what waits from before; `handed_over` is the number of the last cell that an earlier agent accounted for."""
        self._spool.open()
        for head, body in self._fresh.left(handed_over):
            self._spool.append(body, points=head.points, at=head.at)
        self._spool.flush()
        self._waits = self._spool.size > 0

    def keep(self, batch: Batch) -> FreshCell:
        """Encode a batch, and have it outlast the process until it is delivered."""
        encoded = self._encoder.encode(batch.points, at=batch.at, common_labels=batch.common_labels)
        self._lose("not_encodable", encoded.dropped)
        cell = FreshCell(batch.number, int(batch.at.timestamp()), list(encoded.pushes))
        self._fresh.keep(cell)
        batch.on_kept()
        return cell

    def forget(self, cell: FreshCell) -> None:
        """It will not be delivered any more."""
        self._fresh.done(cell.number)

    def hurry(self) -> None:
        """From another thread: wait for no answer any more."""
        self._client.interrupt()

    def deliver_last(self, cells: Iterable[FreshCell]) -> None:
        """Push if Solomon answered the last time; an end must not wait for one that is away."""
        self.deliver(cells, seconds=_LAST_PUSHES_SECONDS if self._pace.is_well else 0.0)

    def close(self) -> None:
        """What waits stays on disk."""
        self._spool.close()
        self._client.close()

    def figures(self) -> SinkFigures:
        """See `MetricSink`."""
        return SinkFigures(
            dropped=dict(self.lost + Counter(self._spool.lost)),
            spool_bytes=self._spool.size,
            spool_age_seconds=self._spool.age_seconds(self._clocks.unix()),
        )

    @property
    def next_replay(self) -> float | None:
        """When the next waiting request is due; None if nothing waits."""
        return self._pace.next_replay if self._spool.size else None

    def deliver(self, cells: Iterable[FreshCell], *, seconds: float) -> None:
        """Push what fits into the time; the rest, and all after the first failure, waits on disk."""
        until = self._clocks.monotonic() + seconds
        healthy = True
        for cell in cells:
            for push in cell.pushes:
                left = until - self._clocks.monotonic()
                if healthy and left > 0 and self._pace.may_push(self._clocks.monotonic()):
                    healthy = self._push_fresh(push, cell, timedelta(seconds=left))
                else:
                    self._keep(push, cell)
            self._fresh.done(cell.number)
        self._spool.flush()

    def replay(self) -> None:
        """Send the oldest waiting request, if it is due."""
        due = self.next_replay
        if due is None or self._clocks.monotonic() < due:
            return
        waiting = self._spool.oldest(self._clocks.unix())
        if waiting is None:
            return
        result = self._client.push(waiting.body, time_limit=_PUSH_TIME_LIMIT)
        self._pace.replayed(result, self._clocks.monotonic(), jitter=_jitter())
        self._say(result)
        if self._is_settled(result, waiting.points):
            self._spool.done()
        elif self._pace.oldest_is_hopeless():
            self.lost["refused"] += waiting.points
            log.error("giving up %d points that Solomon never takes: %s", waiting.points, result.message)  # fmt: skip
            self._spool.done()
            self._pace.gave_up_oldest()
        if self._waits and not self._spool.size:
            self._waits = False
            log.info("all that waited has been sent to Solomon")

    def _push_fresh(self, push: EncodedPush, cell: FreshCell, left: timedelta) -> bool:
        """Whether Solomon is there for the next one."""
        result = self._client.push(push.body, time_limit=min(left, _PUSH_TIME_LIMIT))
        self._pace.fresh_pushed(result, self._clocks.monotonic(), jitter=_jitter())
        self._say(result)
        if self._is_settled(result, push.metrics):
            return True
        self._keep(push, cell)
        return False

    def _is_settled(self, result: PushResult, points: int) -> bool:
        """Whether nothing more is to be done about a request, taken or lost."""
        if result.status is PushStatus.OK:
            self._lose("partial", points - (points if result.taken is None else result.taken))
        elif result.status is PushStatus.REFUSED:
            self._lose("refused", points)
        else:
            return False
        return True

    def _keep(self, push: EncodedPush, cell: FreshCell) -> None:
        self._waits = True
        self._spool.append(push.body, points=push.metrics, at=cell.at)

    def _lose(self, reason: str, count: int) -> None:
        if count > 0:
            self.lost[reason] += count

    def _say(self, result: PushResult) -> None:
        if result.status is not self._said:
            level = logging.INFO if result.status is PushStatus.OK else logging.WARNING
            log.log(level, "push to Solomon: %s %s", result.status.value, result.message)
        self._said = result.status
        if result.status is PushStatus.OK:
            self._link.succeeded()
        else:
            self._link.failed(f"{result.status.value} {result.message}")


class SolomonSink:
    """The thread and the queue in front of a deliverer; a batch is due `offset_seconds` after its time."""

    def __init__(
        self,
        deliverer: Deliverer,
        *,
        offset_seconds: float,
        clocks: SinkClocks | None = None,
        handed_over: int = 0,
    ) -> None:
        """`handed_over`: see `Deliverer.open`."""
        self._handed_over = handed_over
        self._deliverer = deliverer
        self._offset_seconds = offset_seconds
        self._clocks = clocks or SinkClocks()
        self._changed = threading.Condition()
        self._queue: deque[_Queued] = deque()
        self._given_up: list[FreshCell] = []
        self._closing = False
        self._overflowed = 0
        self._figures = SinkFigures()
        self._thread = threading.Thread(target=self._work, name="solomon", daemon=True)

    def start(self) -> None:
        """See `MetricSink`."""
        self._thread.start()

    def accept(self, batch: Batch) -> None:
        """See `MetricSink`."""
        # The two may have different ideas of the time of day: see `steady_unix`.
        passed = max(0.0, self._clocks.unix() - batch.at.timestamp())
        due = self._clocks.monotonic() + max(0.0, self._offset_seconds - passed)
        with self._changed:
            self._queue.append(_Queued(due, len(batch.points), batch))
            if len(self._queue) > _MAX_WAITING_BATCHES:
                lost = self._queue.popleft()
                self._overflowed += lost.points
                self._given_up += [lost.cell] if lost.cell else []
            self._changed.notify_all()

    def figures(self) -> SinkFigures:
        """See `MetricSink`; as of the last time that the thread had a moment."""
        with self._changed:
            figures, overflowed = self._figures, self._overflowed
        dropped = dict(figures.dropped) | ({"queue_full": overflowed} if overflowed else {})
        return SinkFigures(dropped, figures.spool_bytes, figures.spool_age_seconds)

    def close(self, *, time_limit_seconds: float) -> None:
        """See `MetricSink`; offsets no longer count, and what Solomon does not take at once stays on disk."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._deliverer.hurry()
        if self._thread.is_alive():
            self._thread.join(time_limit_seconds)

    def _work(self) -> None:
        self._deliverer.open(self._handed_over)
        self._publish()
        cells = self._due_cells()
        while not self._closing:
            self._deliverer.deliver(cells, seconds=_FRESH_SECONDS)
            self._deliverer.replay()
            self._publish()
            cells = self._due_cells()
        self._deliverer.deliver_last([*cells, *self._due_cells()])
        self._deliverer.close()
        self._publish()

    def _publish(self) -> None:
        figures = self._deliverer.figures()
        with self._changed:
            self._figures = figures

    def _due_cells(self) -> list[FreshCell]:
        """Wait for the next thing to do, keep what is new, and take what is due."""
        with self._changed:
            self._changed.wait_for(self._has_work, self._wait_seconds())
        self._keep_new()
        with self._changed:
            now = self._clocks.monotonic()
            due = [one for one in self._queue if one.cell and (one.due <= now or self._closing)]
            for one in due:
                self._queue.remove(one)
        return [one.cell for one in due if one.cell]

    def _keep_new(self) -> None:
        with self._changed:
            new = [one for one in self._queue if one.cell is None]
            given_up, self._given_up = self._given_up, []
        for cell in given_up:
            self._deliverer.forget(cell)
        for one in new:
            if one.batch:
                # Its points are not needed any more: what is sent is in the cell.
                one.cell, one.batch = self._deliverer.keep(one.batch), None

    def _has_work(self) -> bool:
        is_new = any(one.cell is None for one in self._queue)
        return self._closing or is_new or self._wait_seconds() <= 0

    def _wait_seconds(self) -> float:
        moments = [one.due for one in self._queue]
        replay = self._deliverer.next_replay
        moments += [replay] if replay is not None else []
        wait = min(moments, default=float("inf")) - self._clocks.monotonic()
        return max(0.0, min(wait, _LONGEST_WAIT_SECONDS))


def _jitter() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 - no secret

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
        self._said = PushStatus.OK
        self._waits = False
        self.lost: Counter[str] = Counter()

    def open(self) -> None:
        """Find what waits from before."""
        self._spool.open()
        self._waits = self._spool.size > 0

    def hurry(self) -> None:
        """From another thread: wait for no answer any more."""
        self._client.interrupt()

    def deliver_last(self, batches: Iterable[Batch]) -> None:
        """Push if Solomon answered the last time; an end must not wait for one that is away."""
        self.deliver(batches, seconds=_LAST_PUSHES_SECONDS if self._pace.is_well else 0.0)

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

    def deliver(self, batches: Iterable[Batch], *, seconds: float) -> None:
        """Push what fits into the time; the rest, and all after the first failure, waits on disk."""
        until = self._clocks.monotonic() + seconds
        healthy = True
        for batch in batches:
            for push in self._encoded(batch):
                left = until - self._clocks.monotonic()
                if healthy and left > 0 and self._pace.may_push(self._clocks.monotonic()):
                    healthy = self._push_fresh(push, batch, timedelta(seconds=left))
                else:
                    self._keep(push, batch)
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

    def _encoded(self, batch: Batch) -> Iterable[EncodedPush]:
        encoded = self._encoder.encode(batch.points, at=batch.at, common_labels=batch.common_labels)
        self._lose("not_encodable", encoded.dropped)
        return encoded.pushes

    def _push_fresh(self, push: EncodedPush, batch: Batch, left: timedelta) -> bool:
        """Whether Solomon is there for the next one."""
        result = self._client.push(push.body, time_limit=min(left, _PUSH_TIME_LIMIT))
        self._pace.fresh_pushed(result, self._clocks.monotonic(), jitter=_jitter())
        self._say(result)
        if self._is_settled(result, push.metrics):
            return True
        self._keep(push, batch)
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

    def _keep(self, push: EncodedPush, batch: Batch) -> None:
        self._waits = True
        self._spool.append(push.body, points=push.metrics, at=int(batch.at.timestamp()))

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
        self, deliverer: Deliverer, *, offset_seconds: float, clocks: SinkClocks | None = None
    ) -> None:
        self._deliverer = deliverer
        self._offset_seconds = offset_seconds
        self._clocks = clocks or SinkClocks()
        self._changed = threading.Condition()
        self._queue: deque[tuple[float, Batch]] = deque()
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
            self._queue.append((due, batch))
            if len(self._queue) > _MAX_WAITING_BATCHES:
                _, lost = self._queue.popleft()
                self._overflowed += len(lost.points)
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
        self._deliverer.open()
        self._publish()
        batches = self._due_batches()
        while not self._closing:
            self._deliverer.deliver(batches, seconds=_FRESH_SECONDS)
            self._deliverer.replay()
            self._publish()
            batches = self._due_batches()
        self._deliverer.deliver_last([*batches, *self._due_batches()])
        self._deliverer.close()
        self._publish()

    def _publish(self) -> None:
        figures = self._deliverer.figures()
        with self._changed:
            self._figures = figures

    def _due_batches(self) -> list[Batch]:
        """Wait for the next thing to do and take what is due."""
        with self._changed:
            self._changed.wait_for(self._has_work, self._wait_seconds())
            now = self._clocks.monotonic()
            count = sum(1 for due, _ in self._queue if due <= now or self._closing)
            return [self._queue.popleft()[1] for _ in range(count)]

    def _has_work(self) -> bool:
        return self._closing or self._wait_seconds() <= 0

    def _wait_seconds(self) -> float:
        moments = [due for due, _ in self._queue]
        replay = self._deliverer.next_replay
        moments += [replay] if replay is not None else []
        wait = min(moments, default=float("inf")) - self._clocks.monotonic()
        return max(0.0, min(wait, _LONGEST_WAIT_SECONDS))


def _jitter() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 - no secret

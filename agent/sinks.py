"""Where points go: the port `MetricSink`, and Solomon behind a bounded queue and a thread of its own: *act*."""

import hashlib
import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from common.solomon import (
    MAX_POINTS_PER_REQUEST,
    EncodedPush,
    Point,
    PushResult,
    PushStatus,
    encode_push,
)

log = logging.getLogger(__name__)

SPREAD_SECONDS = 10
_MAX_WAITING_BATCHES = 4
_MAX_QUEUE_BYTES = 16 * 1024 * 1024
_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 30.0
_SLOW_DOWN_SECONDS = 10.0
_LAST_PUSH_TIME_LIMIT = timedelta(seconds=2)


@dataclass(frozen=True)
class Batch:
    """The points of one cell of the 15 s grid."""

    at: datetime
    points: Sequence[Point]
    common_labels: Mapping[str, str]


class MetricSink(Protocol):
    """Takes batches of points."""

    def start(self) -> None:
        """Begin to send."""

    def accept(self, batch: Batch) -> None:
        """Take a batch; never blocks and never fails, what cannot be kept is counted."""

    def dropped(self) -> Mapping[str, int]:
        """How many points were lost since the start, by reason."""

    def close(self, *, time_limit_seconds: float) -> None:
        """Send what is left, as far as the time limit permits."""


class NoSink:
    """Used when no address of Solomon is set."""

    def start(self) -> None:
        """Nothing to do."""

    def accept(self, batch: Batch) -> None:
        """Forget the batch."""

    def dropped(self) -> Mapping[str, int]:
        """Nothing is lost that anybody wanted."""
        return {}

    def close(self, *, time_limit_seconds: float) -> None:
        """Nothing to do."""


class SolomonClient(Protocol):
    """Sends one body; see `common.solomon`."""

    def push(self, body: bytes, *, time_limit: timedelta) -> PushResult:
        """Every mishap is a result; may be repeated."""


def send_offset_seconds(host: str) -> float:
    """How long after the end of a cell a host sends: the same for ever, different for each host."""
    digest = hashlib.blake2b(host.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * SPREAD_SECONDS


class Outbox:
    """Encoded requests, oldest first, bounded by bytes; the oldest is dropped and counted."""

    def __init__(self, *, max_bytes: int = _MAX_QUEUE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._queue: deque[EncodedPush] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._queue)

    def append(self, push: EncodedPush) -> int:
        """Put in; how many points were dropped for it."""
        self._queue.append(push)
        self._bytes += len(push.body)
        lost = 0
        while self._bytes > self._max_bytes:
            lost += self.pop().points
        return lost

    def oldest(self) -> EncodedPush:
        """The one to send next."""
        return self._queue[0]

    def pop(self) -> EncodedPush:
        """Take the oldest out."""
        push = self._queue.popleft()
        self._bytes -= len(push.body)
        return push


class SolomonSink:
    """Pushes batches to Solomon: `send_offset_seconds` after their time, again if it fails, given up if refused."""

    def __init__(self, client: SolomonClient, *, offset_seconds: float) -> None:
        self._client = client
        self._offset_seconds = offset_seconds
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, Batch]] = deque()
        self._closed_at: float | None = None
        self._outbox = Outbox()
        self._dropped: Counter[str] = Counter()
        self._failures = 0
        self._next_push = 0.0
        self._said = PushStatus.OK
        self._thread = threading.Thread(target=self._work, name="solomon", daemon=True)

    def start(self) -> None:
        """See `MetricSink`."""
        self._thread.start()

    def accept(self, batch: Batch) -> None:
        """See `MetricSink`."""
        passed = (datetime.now(UTC) - batch.at).total_seconds()
        due = time.monotonic() + max(0.0, self._offset_seconds - passed)
        with self._changed:
            self._waiting.append((due, batch))
            if len(self._waiting) > _MAX_WAITING_BATCHES:
                _, lost = self._waiting.popleft()
                self._dropped["queue_full"] += len(lost.points)
            self._changed.notify_all()

    def dropped(self) -> Mapping[str, int]:
        """See `MetricSink`."""
        with self._changed:
            return dict(self._dropped)

    def close(self, *, time_limit_seconds: float) -> None:
        """See `MetricSink`; offsets and back-off no longer count."""
        with self._changed:
            self._closed_at = time.monotonic()
            self._changed.notify_all()
        self._thread.join(time_limit_seconds)

    def _work(self) -> None:
        while not self._finished():
            for batch in self._due_batches():
                self._encode(batch)
            if self._outbox and (self._closing or time.monotonic() >= self._next_push):
                self._push_oldest()

    @property
    def _closing(self) -> bool:
        return self._closed_at is not None

    def _finished(self) -> bool:
        with self._changed:
            return self._closing and not self._waiting and not self._outbox

    def _due_batches(self) -> list[Batch]:
        """Wait for the next thing to do and take what is due."""
        with self._changed:
            self._changed.wait_for(self._has_work, self._wait_seconds())
            now = time.monotonic()
            count = sum(1 for due, _ in self._waiting if due <= now or self._closing)
            return [self._waiting.popleft()[1] for _ in range(count)]

    def _has_work(self) -> bool:
        now = time.monotonic()
        first_is_due = bool(self._waiting) and self._waiting[0][0] <= now
        return self._closing or first_is_due or (bool(self._outbox) and self._next_push <= now)

    def _wait_seconds(self) -> float:
        moments = [due for due, _ in self._waiting]
        moments += [self._next_push] if self._outbox else []
        return max(0.0, min(moments) - time.monotonic()) if moments else 1.0

    def _encode(self, batch: Batch) -> None:
        for begin in range(0, len(batch.points), MAX_POINTS_PER_REQUEST):
            points = batch.points[begin : begin + MAX_POINTS_PER_REQUEST]
            push = encode_push(points, at=batch.at, common_labels=batch.common_labels)
            self._lose("not_encodable", push.dropped)
            if push.points:
                self._lose("queue_full", self._outbox.append(push))

    def _push_oldest(self) -> None:
        push = self._outbox.oldest()
        time_limit = _LAST_PUSH_TIME_LIMIT if self._closing else timedelta(seconds=15)
        result = self._client.push(push.body, time_limit=time_limit)
        self._say(result)
        if result.status in {PushStatus.RETRY, PushStatus.SLOW_DOWN} and not self._closing:
            self._back_off(result.status)
            return
        self._outbox.pop()
        self._failures = 0
        if result.status is not PushStatus.OK:
            self._lose(result.status.value, push.points)
        elif result.processed is not None:
            self._lose("partial", push.points - result.processed)

    def _back_off(self, status: PushStatus) -> None:
        pause = min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2.0 ** min(self._failures, 10))
        if status is PushStatus.SLOW_DOWN:
            pause = max(pause, _SLOW_DOWN_SECONDS)
        self._failures += 1
        self._next_push = time.monotonic() + pause * random.uniform(0.8, 1.2)  # noqa: S311 - no secret

    def _lose(self, reason: str, count: int) -> None:
        if count > 0:
            with self._changed:
                self._dropped[reason] += count

    def _say(self, result: PushResult) -> None:
        if result.status is not self._said:
            level = logging.INFO if result.status is PushStatus.OK else logging.WARNING
            log.log(level, "push to Solomon: %s %s", result.status.value, result.message)
        self._said = result.status

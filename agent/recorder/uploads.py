"""Which records people get to read beside a red cell, and when they are uploaded: *decide*; and the thread that does it: *act*.

Per prober (`evidence`): `never`; `on_failure`, the first bad run after a good one and then one in ten minutes; `always`, good ones
too, one a minute. All bounds are per agent, the API has its own for a whole cluster.
"""

import hashlib
import logging
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from agent.flights import Flight
from agent.plan import RunKey
from agent.recorder.recorder import Kept
from agent.recorder.records import record_of, record_text
from common.contracts.evidence import MAX_EVIDENCE_BYTES, EvidenceAnnouncement, EvidenceType
from common.contracts.states import Outcome
from common.errors import ApiError, ApiRefusedError

log = logging.getLogger(__name__)

AGAIN_SECONDS = 600.0
ALWAYS_SECONDS = 60.0
MAX_WAITING = 20
# What is older says nothing about now.
MAX_AGE_SECONDS = 900.0
_DISTANCE_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 300.0
_MAX_KNOWN = 10_000


class EvidenceReceiver(Protocol):
    """Takes uploads; ApiError if it does not."""

    def upload(self, announcement: EvidenceAnnouncement, content: bytes) -> UUID:
        """The id of the evidence; may be repeated."""

    def close(self) -> None:
        """No more uploads."""


class UploadChoice:
    """Which runs are worth an upload. Pure: time comes in as seconds of a clock that never steps."""

    def __init__(self) -> None:
        # By key of the schedule: when one was chosen last, and whether that run was good.
        self._last: OrderedDict[RunKey, tuple[float, bool]] = OrderedDict()

    def is_worth_it(self, flight: Flight, *, is_good: bool, now: float) -> bool:
        """Whether to upload the record of this run."""
        policy, key = flight.spec.evidence, flight.spec.key
        if policy not in {"on_failure", "always"}:
            return False
        if is_good and policy == "on_failure":
            # The next bad one is news.
            self._last.pop(key, None)
            return False
        at, was_good = self._last.get(key, (None, True))
        pause = ALWAYS_SECONDS if policy == "always" else AGAIN_SECONDS
        if at is not None and now - at < pause and was_good is is_good:
            return False
        self._last[key] = (now, is_good)
        self._last.move_to_end(key)
        while len(self._last) > _MAX_KNOWN:
            self._last.popitem(last=False)
        return True


def pause_after(failures: int, *, jitter: float) -> float:
    """Seconds until the next try after so many failures in a row; `jitter` is from 0 to 1."""
    if not failures:
        return _DISTANCE_SECONDS
    pause = _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10)
    return min(_LONGEST_PAUSE_SECONDS, pause) * (0.8 + 0.4 * jitter)


def is_hopeless(error: ApiError) -> bool:
    """Whether the API never takes this one: it said no, and not that it has too much to do."""
    return isinstance(error, ApiRefusedError) and error.status < 500 and error.status != 429


@dataclass(frozen=True, slots=True)
class _Waiting:
    kept: Kept
    since: float


@dataclass(frozen=True, slots=True)
class UploadPorts:
    """From where to where; `receiver` is made when the first record is to go."""

    host: str
    default_user: str
    receiver: Callable[[], EvidenceReceiver]
    # Combinations of which the record shows a bad run (or of `always` a good one), and the id of the evidence.
    uploaded: Callable[[Sequence[RunKey], UUID], None]


class Uploads:
    """`consider` is for the recorder's thread."""

    def __init__(self, ports: UploadPorts, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ports = ports
        self._clock = clock
        self._choice = UploadChoice()
        self._changed = threading.Condition()
        self._waiting: OrderedDict[RunKey, _Waiting] = OrderedDict()
        self._closing = False
        self._failures = 0
        self._receiver: EvidenceReceiver | None = None
        self._thread = threading.Thread(target=self._work, name="uploads", daemon=True)

    @property
    def waiting(self) -> int:
        """How many records are to be uploaded."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to upload."""
        self._thread.start()

    def consider(self, runs: Iterable[Kept]) -> None:
        """Choose among new runs; the oldest choice goes if there are too many."""
        now = self._clock()
        for kept in runs:
            if not self._choice.is_worth_it(kept.flight, is_good=kept.is_good, now=now):
                continue
            with self._changed:
                self._waiting.pop(kept.flight.spec.key, None)
                self._waiting[kept.flight.spec.key] = _Waiting(kept, now)
                while len(self._waiting) > MAX_WAITING:
                    self._waiting.popitem(last=False)
                self._changed.notify_all()

    def close(self, *, time_limit_seconds: float) -> None:
        """Upload no more; the records are on disk."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(time_limit_seconds)

    def _work(self) -> None:
        while waiting := self._next():
            self._try(waiting)
            with self._changed:
                # The API has a bound for a whole cluster; agents in step would meet it together.
                pause = pause_after(self._failures, jitter=random.random())  # noqa: S311 - no secret
                self._changed.wait_for(lambda: self._closing, pause)
        if self._receiver:
            self._receiver.close()

    def _next(self) -> _Waiting | None:
        """The oldest that is not too old, as soon as there is one; None at the end."""
        with self._changed:
            while not self._closing:
                if not self._waiting:
                    self._changed.wait()
                    continue
                _, waiting = self._waiting.popitem(last=False)
                if self._clock() - waiting.since < MAX_AGE_SECONDS:
                    return waiting
        return None

    def _try(self, waiting: _Waiting) -> None:
        flight = waiting.kept.flight
        try:
            evidence_id = self._upload(waiting.kept)
        except ApiError as error:
            self._failed(waiting, error)
            return
        if self._failures:
            log.info("records of runs are uploaded again")
        self._failures = 0
        keys = [
            one.key
            for one in flight.results
            if waiting.kept.is_good or one.verdict.outcome is not Outcome.SUCCESS
        ]
        self._ports.uploaded(keys, evidence_id)

    def _upload(self, kept: Kept) -> UUID:
        self._receiver = self._receiver or self._ports.receiver()
        flight = kept.flight
        record = record_of(flight, kept.number, kept.moment, user=self._ports.default_user)
        content = record_text(record).encode(errors="replace")[:MAX_EVIDENCE_BYTES]
        announcement = EvidenceAnnouncement(
            host=self._ports.host,
            prober=flight.spec.prober_slug,
            content_type=EvidenceType.TEXT,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        return self._receiver.upload(announcement, content)

    def _failed(self, waiting: _Waiting, error: ApiError) -> None:
        if not self._failures:
            log.warning("records of runs are not uploaded: %s", error)
        self._failures += 1
        if is_hopeless(error):
            return
        key = waiting.kept.flight.spec.key
        with self._changed:
            # A newer one of the same combination says more.
            if key not in self._waiting:
                self._waiting[key] = waiting
                self._waiting.move_to_end(key, last=False)

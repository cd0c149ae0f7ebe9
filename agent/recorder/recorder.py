"""The flight recorder at work: the loop hands runs over and never waits, a thread of its own writes them: *act*.

A run that was not good is on disk within a second or two. Of those that were, the last of each combination is, once a minute
or less often: they come hundreds of times a second and one is like the other.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from agent.clocks import boot_ns
from agent.flights import Flight
from agent.plan import RunKey
from agent.recorder.files import RecordFiles
from agent.recorder.format import Kind, Line, line_of
from agent.recorder.reader import Wanted, found_on_disk
from agent.recorder.records import Moment, is_good, record_of
from common.contracts.control import RecorderState, Records
from common.contracts.records import RecordedOutput, RunRecord

log = logging.getLogger(__name__)

# What the loop hands over faster than the disk takes it is lost and counted.
_MAX_WAITING = 2000
_MAX_WAITING_BYTES = 8 * 1024 * 1024
_LOOK_SECONDS = 1.0
_LOOK_NS = 1_000_000_000
# A success waits for so many looks, so that a newer one may take its place; then so many of them are written per look.
_SUCCESS_ROUNDS = 60
_SUCCESSES_PER_ROUND = 5
_MAX_PENDING = 3000
_RECENT_BYTES = 1024 * 1024
_RECENT = 500
_SHORT = 500
_BOOT_SHIFT = 40


class Kept(NamedTuple):
    """A run with its number, until it is written or forgotten."""

    number: int
    flight: Flight
    moment: Moment
    is_good: bool
    size: int  # about so many bytes of memory


class Recorder:
    """`take` is for the loop's thread, `records` and `state` for any."""

    def __init__(
        self,
        agent_folder: Path,
        *,
        max_bytes: int,
        boot: int,
        default_user: str = "",
        clock_ns: Callable[[], int] = boot_ns,
    ) -> None:
        """`boot` makes numbers grow over restarts."""
        self._agent_folder = agent_folder
        self._max_bytes = max_bytes
        self._default_user = default_user
        # Told about new runs, on the recorder's thread; for whoever is made after it.
        self.on_kept: Callable[[Iterable[Kept]], None] = lambda _: None
        self._clock_ns = clock_ns
        self._files = RecordFiles(agent_folder, max_bytes=max_bytes)
        self._waiting: deque[tuple[Flight, int]] = deque()  # with their sizes
        self._taken_bytes = self._written_bytes = 0
        self._overflowed = 0
        self._number = boot << _BOOT_SHIFT
        self._round = 0
        self._successes_at_ns = 0
        self._looks_begun = self._looks_done = 0
        self._changed = threading.Condition()
        self._recent: deque[Kept] = deque()
        self._recent_bytes = 0
        # The newest success of a combination, and in which round the first one is due; those due first come first.
        self._pending: dict[RunKey, tuple[int, Kept]] = {}
        self._closing = threading.Event()
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def take(self, flight: Flight) -> None:
        """Never blocks, never fails; what nobody wanted any more is none of ours."""
        if not flight.results:
            return
        waiting_bytes = self._taken_bytes - self._written_bytes
        if len(self._waiting) >= _MAX_WAITING or waiting_bytes > _MAX_WAITING_BYTES:
            self._overflowed += 1
            return
        size = _size(flight)
        self._taken_bytes += size
        self._waiting.append((flight, size))

    def close(self, *, time_limit_seconds: float) -> None:
        """Write what is left, as far as the time limit permits."""
        self._closing.set()
        self._asked.set()
        self._thread.join(time_limit_seconds)

    def state(self) -> RecorderState:
        """What it holds and what it lost."""
        return RecorderState(
            bytes=self._files.size,
            max_bytes=self._max_bytes,
            dropped_records=self._overflowed + self._files.lost,
            problem=self._files.problem,
        )

    def records(self, wanted: Wanted, *, wait_seconds: float = 0.0) -> Records:
        """What is wanted, of disk and memory; nothing after a number may be waited for."""
        self._look_now()
        found = self._found(wanted)
        if wanted.after is None or found.records or not wait_seconds:
            return found
        with self._changed:
            self._changed.wait_for(
                lambda: any(_matches(kept, wanted) for kept in self._recent), wait_seconds
            )
        return self._found(wanted)

    def _look_now(self) -> None:
        """Have what the loop has handed over so far, so that nobody is told less than there is."""
        with self._changed:
            wanted = self._looks_begun + 1
            self._asked.set()
            self._changed.wait_for(lambda: self._looks_done >= wanted, _LOOK_SECONDS)

    def _found(self, wanted: Wanted) -> Records:
        with self._changed:
            recent = list(self._recent)
            pending = [kept for _, kept in self._pending.values()]
        held = {kept.number: kept for kept in (*pending, *recent) if _matches(kept, wanted)}
        # Whoever follows is served from memory alone, unless it was away for long.
        if wanted.after is not None and recent and wanted.after >= recent[0].number - 1:
            return self._of(held.values(), wanted)
        found = found_on_disk(self._agent_folder, wanted)
        lines = dict(found.lines)
        for number, kept in held.items():
            if number not in lines:
                lines[number] = Line(number, self._line(kept))
        found.lines = lines
        return found.records(wanted)

    def _of(self, held: Iterable[Kept], wanted: Wanted) -> Records:
        first = sorted(held, key=lambda kept: kept.number)[: max(0, wanted.limit)]
        records = [self._record(kept) for kept in first]
        return Records(records=records, newest=records[-1].number if records else wanted.after or 0)

    def _work(self) -> None:
        self._files.open()
        while not self._closing.is_set():
            self._asked.wait(_LOOK_SECONDS)
            self._asked.clear()
            with self._changed:
                self._looks_begun += 1
            self._write()
            with self._changed:
                self._looks_done = self._looks_begun
                self._changed.notify_all()
        self._write(last=True)

    def _write(self, *, last: bool = False) -> None:
        kept = self._drained()
        self._keep_failures(kept)
        now_ns = self._clock_ns()
        if last or now_ns >= self._successes_at_ns:
            self._successes_at_ns = now_ns + _LOOK_NS
            self._keep_successes(last=last)
        if kept:
            self.on_kept(kept)

    def _drained(self) -> list[Kept]:
        moment = Moment(datetime.now(UTC), self._clock_ns())
        drained = []
        while self._waiting:
            flight, size = self._waiting.popleft()
            self._written_bytes += size
            self._number += 1
            drained.append(Kept(self._number, flight, moment, is_good(flight), size))
        if drained:
            with self._changed:
                for kept in drained:
                    self._remember(kept)
                self._changed.notify_all()
        return drained

    def _remember(self, kept: Kept) -> None:
        self._recent.append(kept)
        self._recent_bytes += kept.size
        while len(self._recent) > _RECENT or self._recent_bytes > _RECENT_BYTES:
            self._recent_bytes -= self._recent.popleft().size
        key = kept.flight.spec.key
        if kept.is_good:
            if pending := self._pending.get(key):
                self._pending[key] = pending[0], kept
            elif len(self._pending) < _MAX_PENDING:
                self._pending[key] = self._round + _SUCCESS_ROUNDS, kept

    def _keep_failures(self, drained: Iterable[Kept]) -> None:
        by_prober: dict[str, list[Kept]] = {}
        for kept in drained:
            if not kept.is_good:
                by_prober.setdefault(kept.flight.spec.prober_slug, []).append(kept)
        for prober, some in by_prober.items():
            self._append(prober, Kind.FAILURES, some)

    def _keep_successes(self, *, last: bool) -> None:
        """Of few combinations in each round, so that the disk is never given much at once."""
        self._round += 1
        with self._changed:
            due = [
                key
                for key, (due_round, _) in self._pending.items()
                if last or due_round <= self._round
            ]
            if not last:
                del due[_SUCCESSES_PER_ROUND:]
            some = [self._pending[key][1] for key in due]
        by_prober: dict[str, list[Kept]] = {}
        for kept in some:
            by_prober.setdefault(kept.flight.spec.prober_slug, []).append(kept)
        for prober, theirs in by_prober.items():
            self._append(prober, Kind.SUCCESSES, theirs)
        with self._changed:
            for key in due:
                del self._pending[key]

    def _append(self, prober: str, kind: Kind, some: Iterable[Kept]) -> None:
        ordered = sorted(some, key=lambda kept: kept.number)
        self._files.append(prober, kind, [self._line(kept) for kept in ordered])

    def _line(self, kept: Kept) -> bytes:
        record = self._record(kept)
        line = line_of(record)
        if len(line) > self._files.room_for_a_record:
            line = line_of(_shortened(record))
        return line

    def _record(self, kept: Kept) -> RunRecord:
        return record_of(kept.flight, kept.number, kept.moment, user=self._default_user)


def _matches(kept: Kept, wanted: Wanted) -> bool:
    return (
        (wanted.after is None or kept.number > wanted.after)
        and (wanted.prober is None or kept.flight.spec.prober_slug == wanted.prober)
        and not (wanted.failed and kept.is_good)
    )


def _size(flight: Flight) -> int:
    out, err = flight.stdout, flight.stderr
    return 1000 + len(out.head) + len(out.tail) + len(err.head) + len(err.tail)


def _shortened(record: RunRecord) -> RunRecord:
    """Where hundreds of probers share the room, little of the output is kept, and of the environment nothing."""

    def less(output: RecordedOutput) -> RecordedOutput:
        text = output.text()
        if len(text) <= 2 * _SHORT:
            return output
        cut = output.printed_bytes - len((text[:_SHORT] + text[-_SHORT:]).encode())
        return output.model_copy(
            update={"head": text[:_SHORT], "tail": text[-_SHORT:], "cut_bytes": max(1, cut)}
        )

    return record.model_copy(
        update={
            "stdout": less(record.stdout),
            "stderr": less(record.stderr),
            "environment": {},
            "combinations": record.combinations[:5],
            "left_out": record.left_out + len(record.combinations[5:]),
        }
    )

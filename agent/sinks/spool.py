"""Requests that wait on disk for Solomon: oldest out first, bounded by bytes and age, whole after any crash.

A folder of segments, files to which records are only ever appended; a segment goes when its last record is done.
What `append` returned from survives kill -9; what `flush` returned from survives a loss of power.
How far a segment was sent is not written down: after a crash at most one segment goes out twice, which changes nothing at Solomon.
"""

import contextlib
import logging
import os
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.sinks.spool_records import DamagedRecordError, RecordHead, heads_in, packed, unpacked

log = logging.getLogger(__name__)

_SUFFIX = ".spool"
_SEGMENTS = 64  # so many of them are the bound: dropping one loses little of it
_SMALLEST_SEGMENT = 16 * 1024
_LARGEST_SEGMENT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest request."""

    body: bytes
    points: int


@dataclass(eq=False, slots=True)
class _Segment:
    """A file; `done` bytes at its beginning need no attention any more."""

    number: int
    heads: deque[RecordHead]
    size: int
    done: int = 0

    @property
    def points(self) -> int:
        return sum(head.points for head in self.heads)


class Spool:
    """Not for several threads at once, nor for several processes in one folder. Nothing here raises: losses are counted.

    `lost` counts points by reason: `spool_full`, `too_old`, `disk` (it took no more), `damaged` (at least one a file).
    """

    def __init__(self, folder: Path, *, max_bytes: int, max_age_seconds: float) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._max_age_seconds = max_age_seconds
        self._segment_bytes = min(_LARGEST_SEGMENT, max(_SMALLEST_SEGMENT, max_bytes // _SEGMENTS))
        self._segments: deque[_Segment] = deque()
        self._writing: int | None = None  # descriptor of the last segment
        self._next_number = 0
        self._unflushed = False
        self._complaint = ""
        self._lost: Counter[str] = Counter()

    def open(self) -> None:
        """Find what an earlier process left; what is not whole is cut off."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            numbers = sorted(
                int(path.stem) for path in self.folder.glob(f"*{_SUFFIX}") if path.stem.isdigit()
            )
        except OSError as error:
            self._complain(error)
            return
        for number in numbers:
            self._next_number = number + 1
            self._take_over(number)
        self._make_room()

    @property
    def lost(self) -> Mapping[str, int]:
        """Points lost since the start, by reason."""
        return self._lost

    @property
    def size(self) -> int:
        """Bytes on disk, with what is done of the oldest segment."""
        return sum(segment.size for segment in self._segments)

    def age_seconds(self, now: float) -> float:
        """Of the oldest point (`now` is Unix seconds); 0 if nothing waits."""
        head = self._head()
        return max(0.0, now - head.at) if head else 0.0

    def append(self, body: bytes, *, points: int, at: int) -> None:
        """Keep a request; the oldest segments go if there is no room."""
        record = packed(body, points=points, at=at)
        try:
            segment = self._segment_for_writing()
            self._write(segment, record)
        except OSError as error:
            self._complain(error)
            self._lost["disk"] += points
            return
        self._complaint = ""
        self._unflushed = True
        segment.heads.append(RecordHead(len(record), points, at))
        segment.size += len(record)
        self._make_room()

    def flush(self) -> None:
        """Bring all to the disk itself."""
        if self._unflushed and self._writing is not None:
            try:
                os.fsync(self._writing)
            except OSError as error:
                self._complain(error)
        self._unflushed = False

    def oldest(self, now: float) -> Waiting | None:
        """The request to send next; what is too old is dropped on the way (`now` is Unix seconds)."""
        while head := self._head():
            if now - head.at > self._max_age_seconds:
                self._drop("too_old")
                continue
            try:
                return Waiting(unpacked(self._read(head)), head.points)
            except (OSError, DamagedRecordError) as error:
                self._complain(error)
                self._drop("damaged")
        return None

    def done(self) -> None:
        """The oldest request needs no attention any more."""
        segment = self._segments[0]
        segment.done += segment.heads.popleft().size
        self._remove_what_is_done()

    def close(self) -> None:
        """Everything stays on disk for the next process."""
        self.flush()
        self._stop_writing()

    def _head(self) -> RecordHead | None:
        return self._segments[0].heads[0] if self._segments else None

    def _drop(self, reason: str) -> None:
        self._lost[reason] += self._segments[0].heads[0].points
        self.done()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:012d}{_SUFFIX}"

    def _take_over(self, number: int) -> None:
        path = self._path(number)
        try:
            content = path.read_bytes()
        except OSError as error:
            self._complain(error)
            self._lost["damaged"] += 1
            return
        heads = deque(heads_in(content))
        size = sum(head.size for head in heads)
        if size < len(content):
            # The end that a crash left half written was never promised to anybody, and yet it is a loss.
            self._lost["damaged"] += 1
            log.warning("spool: %d bytes at the end of %s are not whole", len(content) - size, path)
        segment = _Segment(number, heads, size)
        self._segments.append(segment)
        if not heads:
            self._remove(self._segments.pop())

    def _segment_for_writing(self) -> _Segment:
        if self._writing is not None and self._segments:
            segment = self._segments[-1]
            if segment.size < self._segment_bytes:
                return segment
        self.flush()
        self._stop_writing()
        number = self._next_number
        self._writing = os.open(
            self._path(number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        self._next_number += 1
        segment = _Segment(number, deque(), 0)
        self._segments.append(segment)
        return segment

    def _write(self, segment: _Segment, record: bytes) -> None:
        """All of it or nothing; OSError."""
        descriptor = self._writing
        assert descriptor is not None  # noqa: S101 - a segment for writing has one
        left = memoryview(record)
        try:
            while left:
                offset = segment.size + len(record) - len(left)
                left = left[os.pwrite(descriptor, left, offset) :]
        except OSError:
            # If even this fails, the next start cuts it off; nobody reads beyond `size`.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, segment.size)
            if not segment.heads:
                self._stop_writing()
                self._segments.remove(segment)
                self._remove(segment)
            raise

    def _read(self, head: RecordHead) -> bytes:
        segment = self._segments[0]
        descriptor = os.open(self._path(segment.number), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, head.size, segment.done)
        finally:
            os.close(descriptor)

    def _make_room(self) -> None:
        while self.size > self._max_bytes:
            self._lost["spool_full"] += self._segments[0].points
            self._remove_oldest()

    def _remove_what_is_done(self) -> None:
        if not self._segments[0].heads:
            self._remove_oldest()

    def _remove_oldest(self) -> None:
        if len(self._segments) == 1:
            self._stop_writing()
        self._remove(self._segments.popleft())

    def _remove(self, segment: _Segment) -> None:
        try:
            self._path(segment.number).unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)

    def _stop_writing(self) -> None:
        if self._writing is not None:
            os.close(self._writing)
        self._writing = None
        self._unflushed = False

    def _complain(self, error: Exception) -> None:
        """Once until something works again: a full disk is the same news for hours."""
        if str(error) != self._complaint:
            log.error("spool folder=%s: %s", self.folder, error)
        self._complaint = str(error)

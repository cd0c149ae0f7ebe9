"""Points → bodies of requests, fast: what never changes about a series is written once and kept. Pure but for that memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from common.solomon.labels import are_sendable
from common.solomon.points import Histogram, Point

# Solomon takes 10 000 in a request, its own clients send at most 1000.
MAX_METRICS_PER_REQUEST = 1000

Value = float | Histogram
# From the value of one cell to the JSON of metrics, None for a value that JSON or Solomon cannot hold.
Writer = Callable[[Value], Sequence[str] | None]
_SeriesKey = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class EncodedPush:
    """A request's body and how many metrics it holds, each with one point."""

    body: bytes
    metrics: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch as requests, and how many of its points could not be encoded."""

    pushes: tuple[EncodedPush, ...]
    dropped: int


class Dialect(Protocol):
    """How one kind of Solomon wants to be written to."""

    def head(self, at: datetime, common_labels: Mapping[str, str]) -> str:
        """The body up to and without its first metric; `]}` ends it."""

    def writer(self, point: Point) -> Writer:
        """Writes the values of the point's series, one call per batch; it may remember the one before."""


class PushEncoder:
    """Encodes one batch after another; not for several threads.

    It remembers exactly the series of the batch before, so its memory is bounded by theirs.
    """

    def __init__(
        self, dialect: Dialect, *, metrics_per_request: int = MAX_METRICS_PER_REQUEST
    ) -> None:
        self._dialect = dialect
        self._metrics_per_request = metrics_per_request
        self._common_labels: Mapping[str, str] = {}
        self._writers: dict[_SeriesKey, Writer] = {}

    def encode(
        self, points: Iterable[Point], *, at: datetime, common_labels: Mapping[str, str]
    ) -> Encoded:
        """The requests of a batch; `at` is the time of all its points."""
        if common_labels != self._common_labels:
            self._common_labels, self._writers = dict(common_labels), {}
        known, self._writers = self._writers, {}
        metrics: list[str] = []
        dropped = 0
        for point in points:
            key = (point.name, point.kind, *point.labels.items())
            writer = known.get(key) or self._writer(point)
            self._writers[key] = writer
            written = writer(point.value)
            if written is None:
                dropped += 1
            else:
                metrics += written
        return Encoded(tuple(self._requests(metrics, at)), dropped)

    def _writer(self, point: Point) -> Writer:
        if are_sendable(point.labels, self._common_labels):
            return self._dialect.writer(point)
        return _not_sendable

    def _requests(self, metrics: Sequence[str], at: datetime) -> Iterable[EncodedPush]:
        head = self._dialect.head(at, self._common_labels)
        for begin in range(0, len(metrics), self._metrics_per_request):
            part = metrics[begin : begin + self._metrics_per_request]
            yield EncodedPush(f"{head}{','.join(part)}]}}".encode(), len(part))


def _not_sendable(_: Value) -> None:
    return None

"""The scrape endpoint as a sink: the points of the newest cell at `http://127.0.0.1:PORT/metrics`.

A series that ended is shown for five minutes more, so that no scrape misses its state 6; then it is absent.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn

from prometheus_client.metrics_core import Metric

from agent.sinks.exposition import exposition, families_of
from agent.sinks.port import Batch, SinkFigures
from common.contracts.states import State
from common.solomon.points import Point

log = logging.getLogger(__name__)

GONE_SHOWN_FOR = timedelta(minutes=5)
_MAX_CALLERS = 8
_CALLER_SECONDS = 5.0

_StateLabels = tuple[tuple[str, str], ...]


class NewestCell:
    """The points to show; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batch: Batch | None = None
        self._gone: dict[_StateLabels, tuple[datetime, Point]] = {}
        self._families: list[Metric] | None = None  # of the batch, once somebody asked
        self._clashes = 0

    @property
    def clashes(self) -> int:
        """Points that could not be shown beside others, so far."""
        return self._clashes

    def put(self, batch: Batch) -> None:
        """A new cell has ended."""
        states = {_key(point.labels): point for point in batch.points if _is_state(point)}
        ended = {
            key: (batch.at, point) for key, point in states.items() if point.value == State.GONE
        }
        with self._lock:
            self._gone = {
                key: (at, point)
                for key, (at, point) in (self._gone | ended).items()
                if batch.at - at < GONE_SHOWN_FOR and (key in ended or key not in states)
            }
            self._batch, self._families = batch, None

    def families(self) -> list[Metric]:
        """What a scrape gets; the work is not done under the lock, since the agent's loop must not wait for it."""
        with self._lock:
            if self._families is not None:
                return self._families
            batch, gone = self._batch, dict(self._gone)
        if batch is None:
            return []
        points = [p for p in batch.points if not (_is_state(p) and _key(p.labels) in gone)]
        points += (point for _, point in gone.values())
        families, clashes = families_of(points, batch.common_labels)
        with self._lock:
            # Once per cell, however often it is looked at.
            if batch is self._batch and self._families is None:
                self._clashes += clashes
                self._families = families
        return families


class ScrapeSink:
    """Listens on loopback only; what it shows is as old as the newest cell."""

    def __init__(self, port: int) -> None:
        """OSError if the port cannot be listened on."""
        self._cell = NewestCell()
        self._server = _Server(("127.0.0.1", port), _handler_of(self._cell))
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="scrape", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/metrics"

    def start(self) -> None:
        """See `MetricSink`."""
        self._thread.start()
        log.info("metrics can be scraped at %s", self.url)

    def accept(self, batch: Batch) -> None:
        """See `MetricSink`."""
        self._cell.put(batch)
        batch.on_kept()

    def figures(self) -> SinkFigures:
        """See `MetricSink`."""
        clashes = self._cell.clashes
        return SinkFigures({"name_clash": clashes} if clashes else {})

    def close(self, *, time_limit_seconds: float) -> None:
        """See `MetricSink`; nothing waits here."""
        self._closing = True
        if self._thread.is_alive():
            with contextlib.suppress(OSError):  # a call of our own, so that the thread looks up
                socket.create_connection(
                    ("127.0.0.1", self._server.server_port), timeout=1.0
                ).close()
            self._thread.join(time_limit_seconds)
        self._server.server_close()

    def _serve(self) -> None:
        while not self._closing:
            self._server.handle_request()


class _Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = threading.Semaphore(_MAX_CALLERS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # Without the library's look-up of the host's name, which may take seconds.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def get_request(self) -> tuple[socket.socket, object]:
        try:
            return super().get_request()
        except OSError:
            time.sleep(0.1)  # no descriptor is to be had, and the caller still knocks
            raise

    def process_request(self, request: object, client_address: object) -> None:
        """Callers beyond the bound are hung up on: any program on this host may call, probers too."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)  # type: ignore[arg-type] # as it came
            return
        try:
            super().process_request(request, client_address)  # type: ignore[arg-type] # as it came
        except RuntimeError:  # no thread is to be had
            self._room.release()
            raise

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type] # as it came
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is no news."""


def _handler_of(cell: NewestCell) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CALLER_SECONDS

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self._answer(404, "text/plain", b"the metrics are at /metrics\n")
                return
            text, content_type = exposition(cell.families(), self.headers.get("Accept", ""))
            self._answer(200, content_type, text)

        def _answer(self, status: int, content_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    return Handler


def _is_state(point: Point) -> bool:
    return point.name == "mr_prober_state"


def _key(labels: Mapping[str, str]) -> _StateLabels:
    return tuple(sorted(labels.items()))

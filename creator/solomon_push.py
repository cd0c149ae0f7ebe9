"""Act: Creator's own points to Solomon, every 15 s; one push that fails is lost, the counters in the next one have it all."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Protocol

from common.solomon.answers import PushResult, PushStatus
from common.solomon.classic import ClassicDialect
from common.solomon.encoder import PushEncoder
from common.solomon.points import Point

log = logging.getLogger(__name__)

CELL_SECONDS = 15


class SolomonClient(Protocol):
    """Sends one body; see `common.solomon.client`."""

    def push(self, body: bytes, *, time_limit: timedelta) -> PushResult:
        """Every mishap is a result."""


class SolomonPush:
    """Pushes on the grid of the epoch, in a thread of its own."""

    def __init__(
        self,
        client: SolomonClient,
        points: Callable[[], Iterable[Point]],
        common_labels: Mapping[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._points = points
        self._common_labels = common_labels
        self._clock = clock
        self._encoder = PushEncoder(ClassicDialect())
        self._said = PushStatus.OK

    def keep_pushing(self, stop: Event) -> None:
        """Until `stop`."""
        Thread(target=self._push_until, args=(stop,), name="solomon", daemon=True).start()

    def push(self) -> None:
        """Send what is to be said now, at the last point of the grid; a refusal is logged once per kind."""
        moment = self._clock().timestamp() // CELL_SECONDS * CELL_SECONDS
        at = datetime.fromtimestamp(moment, UTC)
        encoded = self._encoder.encode(self._points(), at=at, common_labels=self._common_labels)
        for request in encoded.pushes:
            result = self._client.push(request.body, time_limit=timedelta(seconds=CELL_SECONDS / 2))
            if result.status is not self._said:
                level = logging.INFO if result.status is PushStatus.OK else logging.WARNING
                log.log(level, "push to Solomon: %s %s", result.status.value, result.message)
            self._said = result.status

    def _push_until(self, stop: Event) -> None:
        while not stop.wait(CELL_SECONDS - self._clock().timestamp() % CELL_SECONDS):
            self.push()

"""Act: the points of a round to Solomon. A push that fails is lost and said once: the next one has the counters again."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from common.solomon.answers import PushResult, PushStatus
from common.solomon.encoder import PushEncoder
from common.solomon.points import Point

log = logging.getLogger(__name__)

CELL_SECONDS = 15
_TIME_LIMIT = timedelta(seconds=5)


class SolomonClient(Protocol):
    """Sends one body; see `common.solomon.client`."""

    def push(self, body: bytes, *, time_limit: timedelta) -> PushResult:
        """Every mishap is a result."""


class RoundPush:
    """Pushes after each round, at the last point of the grid."""

    def __init__(
        self, client: SolomonClient, encoder: PushEncoder, common_labels: Mapping[str, str]
    ) -> None:
        self._client = client
        self._encoder = encoder
        self._common_labels = common_labels
        self._said = PushStatus.OK

    def push(self, points: Iterable[Point], now: datetime) -> None:
        """Send them; what goes wrong is logged once per kind."""
        at = datetime.fromtimestamp(now.timestamp() // CELL_SECONDS * CELL_SECONDS, UTC)
        for request in self._encoder.encode(
            points, at=at, common_labels=self._common_labels
        ).pushes:
            result = self._client.push(request.body, time_limit=_TIME_LIMIT)
            if result.status is not self._said:
                level = logging.INFO if result.status is PushStatus.OK else logging.WARNING
                log.log(level, "push to Solomon: %s %s", result.status.value, result.message)
            self._said = result.status

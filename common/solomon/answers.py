"""What an answer of Solomon means, and what to do then. Pure."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from pydantic import BaseModel, ValidationError

_LONGEST_PAUSE = timedelta(minutes=5)


class PushStatus(StrEnum):
    """What to do after a push."""

    OK = "ok"
    RETRY = "retry"  # no answer, none of Solomon's, or Solomon is ill: the same body again, later
    NEW_TOKEN = "new_token"  # noqa: S105 - no secret; the same body again with another token
    SLOW_DOWN = "slow_down"  # the same body again, after a pause without any push
    REFUSED = "refused"  # the same body is never taken: give it up


@dataclass(frozen=True, slots=True)
class PushResult:
    """The classified answer.

    `taken` is how many points Solomon says it took, if it says so; `pause` how long it wants to be left alone.
    """

    status: PushStatus
    taken: int | None = None
    message: str = ""
    pause: timedelta | None = None


class _Answer(BaseModel):
    """The part of the answers that we use; more keys are possible, and numbers come as texts, too."""

    sensorsProcessed: int | None = None  # noqa: N815 - the name on the wire; classic
    writtenMetricsCount: int | None = None  # noqa: N815 - the name on the wire; cloud
    metrics_written: int | None = None  # cloud, as one page of its documentation has it
    errorMessage: str | None = None  # noqa: N815 - the name on the wire

    @property
    def taken(self) -> int | None:
        counts = (self.sensorsProcessed, self.writtenMetricsCount, self.metrics_written)
        return next((max(0, count) for count in counts if count is not None), None)


def push_result(
    status_code: int, body: bytes, *, retry_after: str = "", now: datetime
) -> PushResult:
    """What an HTTP answer means; `retry_after` is the header of that name."""
    answer = _parsed(body)
    text = (answer and answer.errorMessage) or body[:200].decode(errors="replace").strip()
    message = f"HTTP {status_code}: {text}"
    if 200 <= status_code < 300:
        # What is no JSON object came from somebody on the way who has not stored our points.
        if answer is None:
            return PushResult(PushStatus.RETRY, message=f"not an answer of Solomon: {message}")
        return PushResult(PushStatus.OK, answer.taken, answer.errorMessage or "")
    status = _status_of_error(status_code)
    return PushResult(status, message=message, pause=_pause(retry_after, now))


def _parsed(body: bytes) -> _Answer | None:
    try:
        return _Answer.model_validate_json(body)
    except ValidationError:
        return None


def _status_of_error(status_code: int) -> PushStatus:
    if status_code == 429:
        return PushStatus.SLOW_DOWN
    # 403 as well: it is about who we are, never about this body, and an operator can mend it.
    if status_code in {401, 403}:
        return PushStatus.NEW_TOKEN
    if status_code == 408 or status_code >= 500:
        return PushStatus.RETRY
    return PushStatus.REFUSED


def _pause(retry_after: str, now: datetime) -> timedelta | None:
    """From seconds or from a date; nonsense is none, and nobody makes us silent for long."""
    try:
        seconds = float(retry_after)
    except ValueError:
        seconds = _seconds_until(retry_after, now)
    if not math.isfinite(seconds):
        return None
    return min(max(timedelta(0), timedelta(seconds=min(seconds, 1e6))), _LONGEST_PAUSE)


def _seconds_until(date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    # "-0000" gives a moment without a zone.
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()

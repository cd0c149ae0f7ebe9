"""Where the token for Solomon comes from: the settings, or the VM's metadata service."""

import logging
import math
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from pydantic import BaseModel, Field, ValidationError

from common.deadline_http import CallFailedError, DeadlineHttp

log = logging.getLogger(__name__)

TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - a path
_TIME_LIMIT = timedelta(seconds=2)
# The documentation of the service advises to ask about every hour, whatever the token's own end.
_LONGEST_USE_SECONDS = 3600.0
# Half of its life, so that hours of a broken metadata service are survived.
_USED_SHARE = 0.5
# Pushes have pauses of their own; this only keeps a broken pair of services from a loop.
_PAUSE_SECONDS = 1.0
_PAUSE_AFTER_REFUSAL_SECONDS = 10.0


class NoTokenError(Exception):
    """There is no token now; later there may be one. The text says why."""


class TokenSource(Protocol):
    """Gives tokens; not for several threads at once."""

    def token(self) -> str:
        """The token to use now; NoTokenError. May block for a few seconds."""

    def refused(self) -> bool:
        """The last one was refused; whether there may be another one at once."""


class FixedToken:
    """A token from the settings, which is what it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        """See `TokenSource`."""
        return self._token

    def refused(self) -> bool:
        """See `TokenSource`."""
        return False


class _Answer(BaseModel):
    access_token: str = Field(min_length=1, pattern=r"^[!-~]+$")
    expires_in: float = Field(default=0.0, allow_inf_nan=False)


class MetadataToken:
    """The token of the service account that is linked to this VM; asked for anew long before it ends."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = DeadlineHttp(url)
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._asked_at = self._refused_at = -math.inf

    def token(self) -> str:
        """See `TokenSource`."""
        now = self._clock()
        if now >= self._renew_at and now >= self._asked_at + _PAUSE_SECONDS:
            self._ask(now)
        if not self._token or now >= self._ends_at:
            raise NoTokenError("the metadata service gives no token")
        return self._token

    def refused(self) -> bool:
        """See `TokenSource`."""
        self._renew_at = self._ends_at = 0.0
        now = self._clock()
        if now < self._refused_at + _PAUSE_AFTER_REFUSAL_SECONDS:
            return False
        self._refused_at = now
        self._asked_at = -math.inf
        return True

    def _ask(self, now: float) -> None:
        self._asked_at = now
        try:
            answer = self._http.call(
                "GET", TOKEN_PATH, time_limit=_TIME_LIMIT, headers={"Metadata-Flavor": "Google"}
            )
        except CallFailedError as error:
            log.warning("no token from the metadata service: %s", error)
            return
        finally:
            self._http.close()  # an hour is too long to keep it
        try:
            given = _Answer.model_validate_json(answer.body)
        except ValidationError:
            # Never the answer itself: it may hold half a token.
            log.warning("no token from the metadata service: HTTP %d without one", answer.status)
            return
        self._token = given.access_token
        self._ends_at = now + given.expires_in
        self._renew_at = now + min(_LONGEST_USE_SECONDS, given.expires_in * _USED_SHARE)

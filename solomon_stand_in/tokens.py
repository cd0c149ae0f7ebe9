"""Tokens that the stand-in gives out as a VM's metadata service does, and which it accepts."""

import hmac
import itertools
import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from solomon_stand_in.errors import ForbiddenError, UnauthenticatedError

TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - a path
_PREFIX = "t1.stand-in."


class TokenDesk:
    """Gives tokens that end, and knows its own; safe for several threads.

    `accepted` is the one token that is set, or None: then every token is taken except ended ones of our own.
    """

    def __init__(
        self, accepted: str | None, *, lifetime: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._accepted = accepted
        self._lifetime = lifetime
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._ends: dict[str, datetime] = {}

    def give(self) -> tuple[str, int]:
        """A new token and its whole seconds."""
        now = self._clock()
        token = f"{_PREFIX}{next(self._numbers)}.{secrets.token_urlsafe(12)}"
        with self._lock:
            self._ends = {old: end for old, end in self._ends.items() if end > now}
            self._ends[token] = now + self._lifetime
        return token, int(self._lifetime.total_seconds())

    def check(self, token: str) -> None:
        """UnauthenticatedError for one of our own that has ended, ForbiddenError for a wrong one."""
        with self._lock:
            end = self._ends.get(token)
        if end is not None and self._clock() < end:
            return
        if token.startswith(_PREFIX):
            raise UnauthenticatedError
        if self._accepted is not None and not hmac.compare_digest(
            token.encode(), self._accepted.encode()
        ):
            raise ForbiddenError

    def check_request(self, request: Request, *schemes: str) -> None:
        """The same for the header `Authorization: <scheme> <token>`; without it, UnauthenticatedError."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in schemes or not token.strip():
            raise UnauthenticatedError
        self.check(token.strip())


def metadata_routes(desk: TokenDesk) -> list[Route]:
    """The one path of the metadata service that clients of Solomon use."""

    async def token(request: Request) -> Response:
        if request.headers.get("metadata-flavor") != "Google":
            raise ForbiddenError
        given, seconds = desk.give()
        return JSONResponse({"access_token": given, "expires_in": seconds, "token_type": "Bearer"})

    return [Route(TOKEN_PATH, token)]

"""The application: the dialects, the page, and which error becomes which HTTP status.

A new dialect is one module with its body, one with its routes and one line in `DIALECTS`; what shall go wrong on purpose is in `faults.py`.
"""

import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from solomon_stand_in.classic_routes import classic_routes
from solomon_stand_in.cloud_routes import cloud_routes
from solomon_stand_in.errors import (
    BodyError,
    ForbiddenError,
    ParameterError,
    SelectorError,
    StandInError,
    StoreError,
    TooMuchError,
    UnauthenticatedError,
)
from solomon_stand_in.faults import FaultMiddleware, Faults, fault_routes
from solomon_stand_in.page import page_routes
from solomon_stand_in.store import Store
from solomon_stand_in.tokens import TokenDesk, metadata_routes

log = logging.getLogger(__name__)

DIALECTS: Sequence[Callable[[Store, TokenDesk], list[Route]]] = (classic_routes, cloud_routes)

_STATUSES: dict[type[StandInError], int] = {
    BodyError: 400,
    ParameterError: 400,
    SelectorError: 400,
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    TooMuchError: 413,
    StoreError: 503,
}


def application(
    store: Store,
    *,
    token: str | None,
    page_token: str | None,
    token_lifetime: timedelta = timedelta(hours=1),
) -> Starlette:
    """The app over an open store; tokens are the accepted ones, None accepts any and leaves the page open.

    The metadata service gives tokens to whoever asks, so it is there only if any token is accepted anyway.
    """
    desk = TokenDesk(token, lifetime=token_lifetime, clock=lambda: datetime.now(UTC))
    faults = Faults()
    routes = [route for dialect in DIALECTS for route in dialect(store, desk)]
    routes += [Route("/ping", _ping), *page_routes(store, page_token), *fault_routes(faults, desk)]
    if token is None:
        routes += metadata_routes(desk)
    return Starlette(
        routes=routes,
        middleware=[Middleware(FaultMiddleware, faults=faults)],
        exception_handlers={StandInError: _refuse},
    )


async def _ping(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _refuse(request: Request, error: Exception) -> Response:
    status = next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
    log.warning(
        "refused method=%s path=%s status=%d reason=%s",
        request.method,
        ascii(request.url.path),
        status,
        error,
    )
    # Plain ASCII: what is cited from a bad request may hold halves of characters.
    content = json.dumps({"code": status, "message": str(error)})
    headers = {"WWW-Authenticate": 'Basic realm="Solomon stand-in"'} if status == 401 else None
    return Response(content, status, headers, "application/json")

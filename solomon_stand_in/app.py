"""The application: the dialects, the page, and which error becomes which HTTP status.

A new dialect is one module with its body, one with its routes and one line in `DIALECTS`;
what shall go wrong on purpose (delays, codes, dropped connections) is a middleware beside `exception_handlers`.
"""

import json
import logging
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from solomon_stand_in.classic_routes import classic_routes
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
from solomon_stand_in.page import page_routes
from solomon_stand_in.store import Store

log = logging.getLogger(__name__)

DIALECTS: Sequence[Callable[[Store, str | None], list[Route]]] = (classic_routes,)

_STATUSES: dict[type[StandInError], int] = {
    BodyError: 400,
    ParameterError: 400,
    SelectorError: 400,
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    TooMuchError: 413,
    StoreError: 503,
}


def application(store: Store, *, token: str | None, page_token: str | None) -> Starlette:
    """The app over an open store; tokens are the accepted ones, None accepts any and leaves the page open."""
    routes = [route for dialect in DIALECTS for route in dialect(store, token)]
    routes += [Route("/ping", _ping), *page_routes(store, page_token)]
    return Starlette(routes=routes, exception_handlers={StandInError: _refuse})


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

"""The API's edge: security headers, one log line per request, and the catch-all that keeps one bug from being silent."""

import logging
import re
from http import HTTPStatus
from time import monotonic
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.context import Context
from api.errors import problem_response
from common.contracts.identifiers import new_id

log = logging.getLogger(__name__)

_DECENT_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

_NOTHING_FROM_OUTSIDE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# Swagger UI sets styles from its script.
_DOCS_POLICY = _NOTHING_FROM_OUTSIDE.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")


class Edge:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; whatever happens inside, it ends with an answer and a log line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        reply = _Reply(scope["path"], request_id, send)
        started = monotonic()
        try:
            await self._app(scope, receive, reply.send)
        except Exception:
            # A bug: it must not take the process down, and must not pass unseen.
            log.exception(
                "request failed id=%s method=%s path=%s",
                request_id,
                scope["method"],
                quote(scope["path"]),
            )
            if not reply.status:
                answer = problem_response(
                    HTTPStatus.INTERNAL_SERVER_ERROR, "a mistake of ours: the API's log has details"
                )
                await answer(scope, receive, reply.send)
        seconds = monotonic() - started
        context: Context = scope["app"].state.context
        context.metrics.count(scope, reply.status, seconds)
        # The path only: a query may hold the token of a sign-in link.
        # «Nothing new» is what thousands of agents hear all day: not worth a line each.
        level = logging.DEBUG if reply.status == HTTPStatus.NOT_MODIFIED else logging.INFO
        if log.isEnabledFor(level):
            log.log(
                level,
                "request id=%s method=%s path=%s status=%d milliseconds=%d",
                request_id,
                scope["method"],
                quote(scope["path"]),
                reply.status,
                seconds * 1000,
            )


def _request_id(scope: Scope) -> str:
    """The caller's own id, if it is a decent one, so that a request can be followed through several services."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            return given if _DECENT_ID.fullmatch(given) else new_id().hex
    return new_id().hex


class _Reply:
    """Adds our headers to the answer and remembers its status."""

    def __init__(self, path: str, request_id: str, send: Send) -> None:
        self._path = path
        self._request_id = request_id
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            policy = _DOCS_POLICY if self._path == "/docs" else _NOTHING_FROM_OUTSIDE
            headers["Content-Security-Policy"] = policy
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
            headers["X-Request-Id"] = self._request_id
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)

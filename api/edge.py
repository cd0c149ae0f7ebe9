"""The API's edge: security headers, one log line per request, and the catch-all that keeps one bug from being silent."""

import itertools
import logging
import re
import secrets
from http import HTTPStatus
from time import monotonic
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.context import Context
from api.errors import problem_response
from api.metrics import route_of

log = logging.getLogger(__name__)

_DECENT_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

_NOTHING_FROM_OUTSIDE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# Swagger UI sets styles from its script.
_DOCS_POLICY = _NOTHING_FROM_OUTSIDE.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

_PROCESS = secrets.token_hex(10)
_COUNTER = itertools.count(1)
# By whether it is the page of Swagger UI.
_HEADERS = {
    is_docs: [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ]
    for is_docs, policy in ((False, _NOTHING_FROM_OUTSIDE), (True, _DOCS_POLICY))
}


class Edge:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; whatever happens inside, it ends with an answer and a log line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = request_id(_given_id(scope))
        scope.setdefault("state", {})["request_id"] = identifier
        reply = _Reply(scope["path"], identifier, send)
        started = monotonic()
        try:
            await self._app(scope, receive, reply.send)
        except Exception:
            # A bug: it must not take the process down, and must not pass unseen.
            log.exception(
                "request failed id=%s method=%s path=%s",
                identifier,
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
        note_answer(context, scope, route_of(scope), identifier, reply.status, seconds)


def note_answer(
    context: Context, scope: Scope, route: str, identifier: str, status: int, seconds: float
) -> None:
    """Count an answered request, and log it; `route` as `route_of` names it."""
    context.metrics.count(scope["method"], route, status, seconds)
    # The path only: a query may hold the token of a sign-in link.
    # What thousands of agents hear all day is not worth a line each: nothing new, thanks for the report.
    level = logging.DEBUG if _is_usual(scope["path"], status) else logging.INFO
    if log.isEnabledFor(level):
        log.log(
            level,
            "request id=%s method=%s path=%s status=%d milliseconds=%d",
            identifier,
            scope["method"],
            quote(scope["path"]),
            status,
            seconds * 1000,
        )


def _is_usual(path: str, status: int) -> bool:
    return status == HTTPStatus.NOT_MODIFIED or (
        status == HTTPStatus.NO_CONTENT and path.endswith("/reports")
    )


def request_id(given: bytes | None) -> str:
    """The caller's own id, if it is a decent one, so that a request can be followed through several services.

    Otherwise one that is unique among all processes; random bits for each would cost more than the answer to an agent.
    """
    if given is not None and _DECENT_ID.fullmatch(text := given.decode("latin-1")):
        return text
    return f"{_PROCESS}{next(_COUNTER):012x}"


def _given_id(scope: Scope) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == b"x-request-id"), None)


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
            # Raw, since this runs for every question of every agent; nothing inside sets any of ours.
            headers = [
                *message.get("headers", ()),
                (b"x-request-id", self._request_id.encode("latin-1")),
            ]
            # A 304 has nothing that could do harm: what is shown again keeps the headers it came with.
            if self.status != HTTPStatus.NOT_MODIFIED:
                headers += _HEADERS[self._path == "/docs"]
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await self._send(message)

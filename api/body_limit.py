"""No body is larger than its route needs, whether the caller announces its length or not."""

import re
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem_response

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_UPLOAD_BYTES = 64 * 1024 * 1024
_UPLOADS = re.compile(r"/api/v1/(recipes|probers)(/[^/]+/revisions)?")


def limit_of(path: str) -> int:
    """The largest body for this path, in bytes."""
    return MAX_UPLOAD_BYTES if _UPLOADS.fullmatch(path) else MAX_BODY_BYTES


class BodyLimit:
    """Answers 413 to a body that is too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse an announced excess at once, and any other as soon as it comes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = limit_of(scope["path"])
        announced = next(
            (value for name, value in scope["headers"] if name == b"content-length"), b""
        )
        if announced.isdigit() and int(announced) > limit:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            await problem_response(status, _too_large(limit))(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit), send)


def _counted(receive: Receive, limit: int) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(limit))
        return message

    return counted


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes"

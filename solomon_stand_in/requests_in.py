"""What every route does with a request before it looks at it: who sends it, and a body that is not too big."""

import base64
import binascii
import hmac

from starlette.requests import Request

from solomon_stand_in.errors import (
    ForbiddenError,
    ParameterError,
    TooMuchError,
    UnauthenticatedError,
)

MAX_BODY_BYTES = 8 * 1024 * 1024


def check_page_token(request: Request, accepted: str) -> None:
    """Refuse a request without the token (401), or with another one (403).

    For browsers: the password of Basic authentication is the token, the user name any.
    """
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "oauth":
        _compare(encoded.strip(), accepted)
        return
    if scheme.lower() != "basic":
        raise UnauthenticatedError
    try:
        _, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UnauthenticatedError from error
    _compare(password, accepted)


async def json_body(request: Request) -> bytes:
    """The body, if it says that it is plain JSON and has at most MAX_BODY_BYTES."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise ParameterError(
            f"content type {content_type!a} is not supported here; expected application/json"
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ParameterError("content encodings are not supported here")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooMuchError(f"the body has more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _compare(token: str, accepted: str) -> None:
    if not hmac.compare_digest(token.encode(), accepted.encode()):
        raise ForbiddenError

"""Signing a browser in: by a one-time link or with an API key; both end in a cookie that opens pages only."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response

from api.context import Context
from api.dependencies import TheContext
from api.gate import COOKIE_NAME, identity_of_cookie
from api.pages import TEMPLATES
from api.services import sign_in as service
from api.services.keys import valid_key

router = APIRouter(prefix="/sign-in", include_in_schema=False)


@router.get("")
def show_form(context: TheContext, request: Request, token: str = "") -> Response:
    """The form; with the token of a link, sign in at once."""
    if not token:
        return _form(request)
    with context.database.writing() as session:
        key_id = service.use_link_token(session, token, now=context.clock())
    if key_id:
        return _signed_in(context, request, key_id)
    if identity_of_cookie(context, request.cookies.get(COOKIE_NAME, "")):
        return TEMPLATES.TemplateResponse(request, "signed_in.html")
    return _form(request, "This link was used already or is too old.")


@router.post("")
def sign_in(
    context: TheContext, request: Request, key: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    """Sign in with an API key."""
    known = context.keys.key_of(key.strip())
    if known is None:
        return _form(request, "No valid key has this text.")
    return _signed_in(context, request, known.id)


def _form(request: Request, problem: str = "") -> Response:
    status = HTTPStatus.FORBIDDEN if problem else HTTPStatus.OK
    return TEMPLATES.TemplateResponse(
        request, "sign_in.html", {"problem": problem}, status_code=status
    )


def _signed_in(context: Context, request: Request, key_id: UUID) -> Response:
    expires_at = _cookie_end(context, key_id)
    # A page that goes on by itself, not a redirect: after a click in a chat or a mail the browser
    # would follow a redirect without the new SameSite=Strict cookie.
    response = TEMPLATES.TemplateResponse(request, "signed_in.html")
    response.set_cookie(
        COOKIE_NAME,
        service.cookie_of(key_id, expires_at=expires_at, server_key=context.server_key),
        # Not an end by the clock of whoever reads: it may be wrong.
        max_age=int((expires_at - context.clock()).total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.scope["scheme"] == "https",
    )
    return response


def _cookie_end(context: Context, key_id: UUID) -> datetime:
    now = context.clock()
    end = now + service.COOKIE_LIFE
    with context.database.reading() as session:
        key = valid_key(session, key_id, now=now)
    return min(end, key.expires_at) if key and key.expires_at else end

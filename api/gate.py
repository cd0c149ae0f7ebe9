"""The gate: who is calling, and may they call this route? Answered before a route runs or a body is read."""

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.context import Context, context_of
from api.errors import STATUS_OF, answer_to
from api.pages import wants_page
from api.permissions import OPEN_PATHS, READING, AgentOf, Identity, KeyHolder, is_permitted
from api.services.errors import ForbiddenError, UnauthenticatedError
from api.services.keys import KEY_PREFIX, known_key
from api.services.sign_in import claim_of_cookie, key_of_claim
from common.agent_tokens import claim_of, is_genuine

COOKIE_NAME = "mr_prober"


class Gate:
    """Lets nobody in without a key: a new route is closed until its caller is known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its identity, or answer 401, 403 or a redirect to the sign-in page."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = await self._refusal(request)
        if refusal:
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        try:
            identity = await run_in_threadpool(identity_of, context_of(request), request)
        except tuple(STATUS_OF) as error:
            return answer_to(request, error)
        if identity is None:
            return _ask_to_sign_in(request)
        request.state.identity = identity
        # The path that the router will use; request.url would believe the Host header.
        if not is_permitted(identity, request.method, request.scope["path"]):
            return answer_to(request, ForbiddenError())
        return None


def identity_of(context: Context, request: Request) -> Identity | None:
    """Who is calling: by key or token in the header, else, for reading only, by the page's cookie."""
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, credential = header.partition(" ")
        return _identity_of_text(context, credential) if scheme.lower() == "bearer" else None
    if request.method in READING:
        return identity_of_cookie(context, request.cookies.get(COOKIE_NAME, ""))
    return None


def identity_of_cookie(context: Context, cookie: str) -> KeyHolder | None:
    """The holder of the key for which a browser was signed in."""
    now = context.clock()
    claim = claim_of_cookie(cookie, server_key=context.server_key, now=now)
    if claim is None:
        return None
    with context.database.reading() as session:
        key = key_of_claim(session, claim, now=now)
    return KeyHolder(key.id, key.role) if key else None


def _identity_of_text(context: Context, credential: str) -> Identity | None:
    if credential.startswith(KEY_PREFIX):
        key = known_key(context.database, credential, now=context.clock())
        return KeyHolder(key.id, key.role) if key else None
    claim = claim_of(credential)
    if claim and is_genuine(credential, context.server_key):
        return AgentOf(claim.cluster_id, claim.version)
    return None


def _ask_to_sign_in(request: Request) -> Response:
    if wants_page(request):
        return RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    return answer_to(request, UnauthenticatedError())

"""The gate: who is calling, and may they call this route? Answered before a route runs or a body is read."""

import logging
from http import HTTPStatus

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.context import Context, context_of
from api.errors import STATUS_OF, answer_to, problem_response
from api.hosts import name_in
from api.pages import wants_page
from api.permissions import READING, Identity, KeyHolder, is_open, is_permitted
from api.services.errors import ForbiddenError, UnauthenticatedError
from api.services.keys import KEY_PREFIX, KnownKey
from api.services.sign_in import claim_of_cookie, key_of_claim

log = logging.getLogger(__name__)

COOKIE_NAME = "mr_prober"
_HEALTH = "/health/"


class Gate:
    """Lets nobody in without a key: a new route is closed until its caller is known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its identity, or answer 401, 403, 421 or a redirect to the sign-in page."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if not _is_for_us(request):
            await _misdirected()(scope, receive, send)
            return
        if is_open(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(request)
        if refusal:
            await refusal(scope, receive, send)
            return
        identity = request.state.identity
        if not isinstance(identity, KeyHolder):
            await self._app(scope, receive, send)
            return
        context = context_of(request)
        if request.method not in READING:
            send = _expiring(context, send)
        await self._app(scope, receive, send)
        await _note_use(context, identity)

    async def _refusal(self, request: Request) -> Response | None:
        context = context_of(request)
        try:
            # Who is known already needs no database: no thread for them.
            identity: Identity | None = _known_caller(context, request)
            if identity is None:
                identity = await run_in_threadpool(identity_of, context, request)
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
    """Which person or tool is calling: by key in the header, else, for reading only, by the page's cookie."""
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
    return _holder_of(key)


def _is_for_us(request: Request) -> bool:
    """Whether the caller addressed this API: a page of somebody else whose name leads here has another in Host."""
    allowed = context_of(request).allowed_hosts
    if allowed is None or request.scope["path"].startswith(_HEALTH):
        return True
    return name_in(request.headers.get("host", "")) in allowed


def _misdirected() -> Response:
    return problem_response(
        HTTPStatus.MISDIRECTED_REQUEST,
        "this API is not addressed by that name: its operator sets MR_PROBER_API_URL"
        " and MR_PROBER_API_ALLOWED_HOSTS",
    )


async def _note_use(context: Context, identity: KeyHolder) -> None:
    """After the answer, so that nobody waits for it; not to know it harms nobody."""
    keys = context.keys
    if not keys.is_use_due(identity.key_id):
        return
    try:
        await run_in_threadpool(keys.note_use, identity.key_id)
    except SQLAlchemyError as error:
        log.warning("use of a key not noted key_id=%s error=%s", identity.key_id, error)


def _expiring(context: Context, send: Send) -> Send:
    """Whoever has the answer to a write sees the write: what this process remembers is out of date by then."""

    async def expire_and_send(message: Message) -> None:
        context.configurations.expire()
        await send(message)

    return expire_and_send


def _known_caller(context: Context, request: Request) -> Identity | None:
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    if credential.startswith(KEY_PREFIX):
        return _holder_of(context.keys.remembered(credential))
    return context.doorkeeper.agent_of(credential)


def _identity_of_text(context: Context, credential: str) -> Identity | None:
    if not credential.startswith(KEY_PREFIX):
        return None
    return _holder_of(context.keys.key_of(credential))


def _holder_of(key: KnownKey | None) -> KeyHolder | None:
    return KeyHolder(key.id, key.role, key.name, key.clusters) if key else None


def _ask_to_sign_in(request: Request) -> Response:
    if wants_page(request):
        return RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    return answer_to(request, UnauthenticatedError())

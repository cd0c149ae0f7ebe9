"""«Nothing new» (304): the usual answer to the question that every agent asks all day, given before any other layer.

Those layers would cost several times the answer.
The checks are theirs (Host, a genuine token, of this cluster, not rotated away; a document that is the newest), made by looks into memory alone.
It can only say yes: what is unusual, or not known at once, goes the long way, and that alone refuses, waits and asks the database.
"""

from collections.abc import Mapping
from http import HTTPStatus
from time import monotonic

from starlette.types import Scope, Send

from api.context import Context
from api.dependencies import require_own_cluster
from api.edge import note_answer, request_id
from api.hosts import name_in
from api.permissions import AgentOf
from api.routes.configuration import PATH, document_headers
from api.services.errors import ForbiddenError

_BEFORE_SLUG, _AFTER_SLUG = PATH.split("{slug}")
_BEARER = b"Bearer "
_STATUS = int(HTTPStatus.NOT_MODIFIED)

_Headers = Mapping[bytes, bytes]


async def said_nothing_new(context: Context, scope: Scope, send: Send) -> bool:
    """Whether the request was answered here; otherwise nothing was done about it."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
        return False
    path: str = scope["path"]
    if not (path.startswith(_BEFORE_SLUG) and path.endswith(_AFTER_SLUG)):
        return False
    started = monotonic()
    headers = dict(scope["headers"])
    if len(headers) != len(scope["headers"]):
        return False  # what comes twice is unusual
    etag = _newest_etag(context, path[len(_BEFORE_SLUG) : -len(_AFTER_SLUG)], headers)
    if etag is None or headers.get(b"if-none-match") != etag.encode():
        return False
    identifier = request_id(headers.get(b"x-request-id"))
    fields = [*document_headers(etag), (b"x-request-id", identifier.encode())]
    await send({"type": "http.response.start", "status": _STATUS, "headers": fields})
    await send({"type": "http.response.body"})
    note_answer(context, scope, PATH, identifier, _STATUS, monotonic() - started)
    return True


def _newest_etag(context: Context, slug: str, headers: _Headers) -> str | None:
    """The ETag of the cluster's document, for an agent that may know it."""
    agent = _agent(context, headers)
    cluster = context.configurations.find(slug)
    if agent is None or cluster is None or not context.configurations.is_fresh:
        return None
    try:
        require_own_cluster(
            agent,
            cluster.id,
            token_version=cluster.token_version,
            previous_version=cluster.previous_token_version,
        )
    except ForbiddenError:
        return None
    verdict = context.configurations.verdict(cluster)
    return verdict.etag if verdict else None


def _agent(context: Context, headers: _Headers) -> AgentOf | None:
    """Who is calling, if under a name of ours and with a token that was found genuine before."""
    allowed = context.allowed_hosts
    if allowed is not None and name_in(headers.get(b"host", b"").decode("latin-1")) not in allowed:
        return None
    authorization = headers.get(b"authorization", b"")
    if not authorization.startswith(_BEARER):
        return None
    return context.doorkeeper.remembered(authorization[len(_BEARER) :].decode("latin-1"))

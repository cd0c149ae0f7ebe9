"""The one route that every agent asks all day: a plain ASGI application, since its usual answer is «nothing new».

It stands before FastAPI's routes; `routes/agents.py` describes it for OpenAPI.
"""

from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.configurations import ReadyDocument
from api.context import Context
from api.dependencies import require_own_cluster
from api.entity_tags import none_match
from api.permissions import Identity
from api.services.known_clusters import KnownCluster

PATH = "/api/v1/clusters/{slug}/configuration"
RawHeaders = list[tuple[bytes, bytes]]


class ConfigurationEndpoint:
    """Answers 304 from memory, and 200 with bytes that are kept ready."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; errors are those of the services, answered by the application's handlers."""
        del receive  # a GET has no body that matters
        context: Context = scope["app"].state.context
        identity: Identity = scope["state"]["identity"]
        headers = Headers(scope=scope)
        cluster = await _own_cluster(context, scope["path_params"]["slug"], identity)
        verdict = await context.configurations.current(cluster)
        if not none_match(headers.get("if-none-match"), verdict.etag):
            await _send(send, HTTPStatus.NOT_MODIFIED, _headers(verdict.etag))
            return
        document = await context.configurations.document(cluster)
        await _send_document(send, document, gzipped=_accepts_gzip(headers))


def configuration_route() -> Route:
    """The route, for the front of the application's list."""
    return Route(PATH, ConfigurationEndpoint(), methods=["GET"], include_in_schema=False)


async def _own_cluster(context: Context, slug: str, identity: Identity) -> KnownCluster:
    await context.configurations.refresh()
    cluster = context.configurations.cluster(slug)
    require_own_cluster(identity, cluster.id, token_version=cluster.token_version)
    return cluster


def _accepts_gzip(headers: Headers) -> bool:
    """Whether gzip is named, and not with the weight 0."""
    for coding in headers.get("accept-encoding", "").split(","):
        name, _, weight = coding.partition(";")
        if name.strip().lower() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _headers(etag: str, more: Iterable[tuple[bytes, bytes]] = ()) -> RawHeaders:
    return [
        (b"etag", etag.encode()),
        (b"cache-control", b"private, no-cache"),
        (b"vary", b"Accept-Encoding"),
        *more,
    ]


async def _send_document(send: Send, document: ReadyDocument, *, gzipped: bool) -> None:
    body = document.gzipped if gzipped else document.body
    more = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if gzipped:
        more.append((b"content-encoding", b"gzip"))
    await _send(send, HTTPStatus.OK, _headers(document.etag, more), body)


async def _send(send: Send, status: HTTPStatus, headers: RawHeaders, body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})

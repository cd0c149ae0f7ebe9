"""The one route that every agent asks all day: a plain ASGI application, and the long way of `nothing_new.py`.

It stands before FastAPI's routes; `routes/agents.py` describes it for OpenAPI.
"""

import asyncio
import math
from asyncio import Future
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.datastructures import QueryParams
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.configurations import ReadyDocument
from api.context import Context
from api.dependencies import cluster_for
from api.entity_tags import none_match
from api.permissions import AgentOf
from api.services.errors import InvalidError
from api.waiting_room import MAX_WAIT_SECONDS, Known

PATH = "/api/v1/clusters/{slug}/configuration"
RawHeaders = list[tuple[bytes, bytes]]


class ConfigurationEndpoint:
    """Answers 304 from memory, at once or when the wait is over, and 200 with bytes that are kept ready."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; errors are those of the services, answered by the application's handlers."""
        context: Context = scope["app"].state.context
        known_tags = _header(scope, b"if-none-match")
        wait = _wait_seconds(scope["query_string"]) if scope["query_string"] else 0
        known = await _known(context, scope)
        # Only agents wait: a key may be revoked meanwhile, and nobody would look.
        if (
            wait
            and isinstance(scope["state"]["identity"], AgentOf)
            and not none_match(known_tags, known.verdict.etag)
        ):
            async with _leaving(receive) as gone:
                await context.waiting_room.hold(known, seconds=wait, gone=gone)
            known = await _known(context, scope)
        if not none_match(known_tags, known.verdict.etag):
            await _send(send, HTTPStatus.NOT_MODIFIED, document_headers(known.verdict.etag))
            return
        document = await context.configurations.document(known.cluster)
        coding = _header(scope, b"accept-encoding") or ""
        await _send_document(send, document, gzipped=_accepts_gzip(coding))


def configuration_route() -> Route:
    """The route, for the front of the application's list."""
    return Route(PATH, ConfigurationEndpoint(), methods=["GET"], include_in_schema=False)


async def _known(context: Context, scope: Scope) -> Known:
    """What is known of the caller's cluster just now; NotFoundError, ForbiddenError."""
    cluster = await cluster_for(context, scope["path_params"]["slug"], scope["state"]["identity"])
    return Known(cluster, await context.configurations.current(cluster))


def _wait_seconds(query: bytes) -> float:
    """The parameter `wait`; InvalidError."""
    text = QueryParams(query).get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        expected = f"a number of seconds from 0 to {MAX_WAIT_SECONDS}"
        raise InvalidError.of("wait", expected, given=text[:100])
    return seconds


@asynccontextmanager
async def _leaving(receive: Receive) -> AsyncIterator[Future[None]]:
    """Done as soon as the caller has hung up."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task = asyncio.ensure_future(gone())
    try:
        yield task
    finally:
        task.cancel()


def _header(scope: Scope, name: bytes) -> str | None:
    """A header as RFC 9110 reads it: lines of one name are one list."""
    values = [value for one, value in scope["headers"] if one == name]
    return b", ".join(values).decode("latin-1") if values else None


def _accepts_gzip(header: str) -> bool:
    """Whether gzip is named, and not with the weight 0."""
    for coding in header.split(","):
        name, _, weight = coding.partition(";")
        if name.strip().lower() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def document_headers(etag: str, more: Iterable[tuple[bytes, bytes]] = ()) -> RawHeaders:
    """What every answer about a document says, whether it carries the document or not."""
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
    await _send(send, HTTPStatus.OK, document_headers(document.etag, more), body)


async def _send(send: Send, status: HTTPStatus, headers: RawHeaders, body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""Routes for agents: configuration, reports, files."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Response, status

from api.context import Context
from api.dependencies import Caller, Sha256InPath, SlugInPath, TheContext, require_own_cluster
from api.entity_tags import none_match
from api.permissions import AgentOf
from api.services import documents, files, reports
from common.contracts.configuration import ConfigurationDocument
from common.contracts.reports import AgentReport

router = APIRouter(tags=["agents"])


@router.get(
    "/clusters/{slug}/configuration",
    response_class=Response,
    responses={200: {"model": ConfigurationDocument}, 304: {"description": "nothing new"}},
)
def read_configuration(
    context: TheContext,
    slug: SlugInPath,
    caller: Caller,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The configuration document, the same bytes for all agents of the cluster."""
    head = _own_head(context, slug, caller)
    if head.is_fresh and not none_match(if_none_match, head.etag):
        return _not_modified(head.etag)
    document = documents.current_document(context.database, slug, clock=context.clock)
    if not none_match(if_none_match, document.etag):
        return _not_modified(document.etag)
    return Response(document.body, media_type="application/json", headers=_headers(document.etag))


@router.post("/clusters/{slug}/reports", status_code=status.HTTP_204_NO_CONTENT)
def create_report(
    context: TheContext, slug: SlugInPath, report: AgentReport, caller: Caller
) -> None:
    """Take an agent's report; one of an earlier boot is ignored."""
    head = _own_head(context, slug, caller)
    with context.database.writing() as session:
        reports.store_report(session, head.cluster_id, report, now=context.clock())


@router.get("/files/{sha256}", response_class=Response)
def read_file(context: TheContext, sha256: Sha256InPath, caller: Caller) -> Response:
    """A file's content by its SHA-256; agents read only those of their own document."""
    if isinstance(caller, AgentOf):
        slug = files.cluster_slug(context.database, caller.cluster_id)
        _own_head(context, slug, caller)
        document = documents.current_document(context.database, slug, clock=context.clock)
        files.require_listed(document.parsed(), sha256)
    else:
        files.require_known(context.database, sha256)
    content = files.content(context.storage, sha256)
    return Response(content, media_type="application/octet-stream", headers=_headers(f'"{sha256}"'))


def _own_head(context: Context, slug: str, caller: Caller) -> documents.DocumentHead:
    with context.database.reading() as session:
        head = documents.head(session, slug)
    require_own_cluster(caller, head.cluster_id, token_version=head.agent_token_version)
    return head


def _not_modified(etag: str) -> Response:
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=_headers(etag))


def _headers(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": "private, no-cache"}

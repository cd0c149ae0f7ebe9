"""Routes for agents: configuration, reports, files."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response, status
from starlette.concurrency import run_in_threadpool

from api.dependencies import (
    Caller,
    Sha256InPath,
    SlugInPath,
    TheContext,
    require_own_cluster,
)
from api.permissions import AgentOf
from api.services import files
from api.waiting_room import MAX_WAIT_SECONDS
from common.contracts.configuration import ConfigurationDocument
from common.contracts.reports import AgentReport

router = APIRouter(tags=["agents"])


@router.get(
    "/clusters/{slug}/configuration",
    response_class=Response,
    responses={200: {"model": ConfigurationDocument}, 304: {"description": "nothing new"}},
)
async def read_configuration(
    slug: SlugInPath,
    if_none_match: Annotated[str | None, Header()] = None,
    wait: Annotated[
        float,
        Query(
            ge=0,
            le=MAX_WAIT_SECONDS,
            description="seconds for which an agent's request is held until there is something new",
        ),
    ] = 0,
) -> Response:
    """The configuration document, the same bytes for all agents of the cluster."""
    # Only for OpenAPI: the application puts `routes/configuration.py` before it.
    del slug, if_none_match, wait
    raise NotImplementedError


@router.post("/clusters/{slug}/reports", status_code=status.HTTP_204_NO_CONTENT)
async def create_report(slug: SlugInPath, report: AgentReport) -> None:
    """Take an agent's report; one of an earlier boot is ignored. It is seen within a second."""
    # Only for OpenAPI: the application puts `routes/reports.py` before it.
    del slug, report
    raise NotImplementedError


@router.get("/files/{sha256}", response_class=Response)
async def read_file(context: TheContext, sha256: Sha256InPath, caller: Caller) -> Response:
    """A file's content by its SHA-256; agents read only those of their own document."""
    if isinstance(caller, AgentOf):
        await context.configurations.refresh()
        cluster = context.configurations.cluster_with(caller.cluster_id)
        require_own_cluster(
            caller,
            cluster.id,
            token_version=cluster.token_version,
            previous_version=cluster.previous_token_version,
        )
        files.require_listed((await context.configurations.current(cluster)).files, sha256)
    else:
        await run_in_threadpool(files.require_known, context.database, sha256)
    content = await run_in_threadpool(files.content, context.storage, sha256)
    headers = {"ETag": f'"{sha256}"', "Cache-Control": "private, no-cache"}
    return Response(content, media_type="application/octet-stream", headers=headers)

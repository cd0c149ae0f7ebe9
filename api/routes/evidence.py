"""Routes of evidence: agents announce it and get an address, whoever has that address puts it there, people read it."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response, status
from starlette.concurrency import run_in_threadpool

from api.context import Context
from api.dependencies import Caller, SlugInPath, TheContext, cluster_for, paging_by
from api.evidence_body import EvidenceBody
from api.services import evidence as service
from api.services.clusters import living_cluster_id
from api.services.evidence_addresses import Permission, address_of
from api.services.paging import Paging
from common.contracts.evidence import (
    Evidence,
    EvidenceAddress,
    EvidenceAnnouncement,
    EvidenceType,
)
from common.contracts.identifiers import HOST_PATTERN, SHA256_PATTERN, SLUG_PATTERN
from common.contracts.values import Page, Problem

router = APIRouter(tags=["evidence"])

_TEXTS = frozenset({EvidenceType.TEXT, EvidenceType.JSON})


def _filter(
    host: Annotated[str | None, Query(pattern=HOST_PATTERN)] = None,
    prober: Annotated[str | None, Query(pattern=SLUG_PATTERN)] = None,
) -> service.EvidenceFilter:
    return service.EvidenceFilter(host=host, prober=prober)


_TOO_MANY: dict[str, Any] = {
    "model": Problem,
    "content": {"application/problem+json": {}},
    "description": "too many at a time; `Retry-After` says how many seconds to wait",
}


@router.post(
    "/clusters/{slug}/uploads",
    status_code=status.HTTP_201_CREATED,
    responses={429: _TOO_MANY},
)
async def announce_evidence(
    context: TheContext, slug: SlugInPath, caller: Caller, new: EvidenceAnnouncement
) -> EvidenceAddress:
    """An address at which an agent of the cluster puts what it announces here, within five minutes."""
    cluster = await cluster_for(context, slug, caller)
    return await run_in_threadpool(_announced, context, cluster.id, new)


def _announced(context: Context, cluster_id: UUID, new: EvidenceAnnouncement) -> EvidenceAddress:
    now, limits = context.clock(), context.evidence_limits
    with context.database.reading() as session:
        replaced = service.replaced_by_another(session, cluster_id, limits, now=now)
    # Contents before rows: after a crash in between we still know what to remove.
    for evidence_id in replaced:
        context.evidence_storage.delete(service.evidence_key(cluster_id, evidence_id))
    with context.database.writing() as session:
        row = service.announce(session, cluster_id, new, limits, replacing=replaced, now=now)
        permission = Permission(row.id, cluster_id, row.size, int(row.expires_at.timestamp()))
        expires_at = row.expires_at
    key = service.evidence_key(cluster_id, permission.evidence_id)
    signed = context.evidence_storage.signed_address(
        key, size=new.size, content_type=new.content_type, lifetime=service.LIFETIME
    )
    return EvidenceAddress(
        id=permission.evidence_id,
        method="PUT",
        url=signed.url if signed else address_of(permission, context.server_key),
        headers=dict(signed.headers) if signed else {"Content-Length": str(new.size)},
        expires_at=expires_at,
    )


@router.put(
    "/uploads/{evidence_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def put_evidence(
    request: Request,
    context: TheContext,
    evidence_id: UUID,
    expires: Annotated[int, Query(ge=0, le=2**40)],
    signature: Annotated[str, Query(pattern=SHA256_PATTERN)],
) -> None:
    """Take the content that was announced, once; the address, as it was given, is the only key that this needs."""
    body = EvidenceBody(context, evidence_id)
    announced = await run_in_threadpool(body.announced, expires, signature)
    content = await body.read(request, announced)
    await run_in_threadpool(body.keep, announced, content)


@router.get("/clusters/{slug}/uploads")
def list_evidence(
    context: TheContext,
    slug: SlugInPath,
    paging: Annotated[Paging, paging_by(service.SORTING)],
    wanted: Annotated[service.EvidenceFilter, Depends(_filter)],
) -> Page[Evidence]:
    """What agents uploaded; of a host, of a prober."""
    cluster_id = _looked_for(context, slug)
    with context.database.reading() as session:
        return service.page_of_evidence(session, cluster_id, wanted, paging)


@router.get("/clusters/{slug}/uploads/{evidence_id}")
def read_evidence(context: TheContext, slug: SlugInPath, evidence_id: UUID) -> Evidence:
    """One upload, without its content."""
    return _known(context, slug, evidence_id)[1]


@router.get("/clusters/{slug}/uploads/{evidence_id}/content", response_class=Response)
def read_evidence_content(context: TheContext, slug: SlugInPath, evidence_id: UUID) -> Response:
    """What the agent uploaded, to be saved: it may hold anything, so no browser shows it as a page."""
    cluster_id, described = _known(context, slug, evidence_id)
    content = service.content(context.evidence_storage, cluster_id, described)
    is_text = described.content_type in _TEXTS
    return Response(
        content,
        media_type="text/plain; charset=utf-8" if is_text else "application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{service.file_name(described)}"',
            "Cache-Control": "private, no-cache",
        },
    )


def _known(context: Context, slug: str, evidence_id: UUID) -> tuple[UUID, Evidence]:
    cluster_id = _looked_for(context, slug)
    with context.database.reading() as session:
        return cluster_id, service.evidence(session, cluster_id, evidence_id)


def _looked_for(context: Context, slug: str) -> UUID:
    """The cluster, after a look for what came to addresses that are not ours."""
    with context.database.reading() as session:
        cluster_id = living_cluster_id(session, slug)
        awaited = service.awaited(session, cluster_id)
    came: Sequence[UUID] = ()
    if awaited:
        came = service.arrived(context.evidence_storage, cluster_id, awaited)
    if came:
        with context.database.writing() as session:
            service.mark_received(session, came, now=context.clock())
    return cluster_id

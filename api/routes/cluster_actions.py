"""Routes of what people do with a cluster beside describing it; all may be repeated, so none asks for If-Match."""

from uuid import UUID

from fastapi import APIRouter

from api.dependencies import SlugInPath
from api.services import cluster_actions as service
from api.writing import TheWriting, Writing
from common.contracts.clusters import (
    Cluster,
    Deployment,
    PauseRequest,
    Rejection,
    TokenRotation,
)

router = APIRouter(prefix="/clusters/{slug}", tags=["clusters"])


@router.post("/pause")
def pause_cluster(writing: TheWriting, slug: SlugInPath, request: PauseRequest) -> Cluster:
    """Have Creator leave the cluster alone, until a moment or until it is resumed."""
    now = writing.context.clock()
    with writing.describing() as session:
        written = service.pause(session, slug, request, by=writing.author.name, now=now)
        return writing.shown(session, written)


@router.post("/resume")
def resume_cluster(writing: TheWriting, slug: SlugInPath) -> Cluster:
    """End the pause."""
    with writing.describing() as session:
        return writing.shown(session, service.resume(session, slug))


@router.post("/deploy", status_code=202)
def deploy_cluster(writing: TheWriting, slug: SlugInPath) -> Cluster:
    """Have Creator plan, and by the cluster's policy deploy, in its next pass."""
    now = writing.context.clock()
    with writing.describing() as session:
        written = service.deploy_now(session, slug, by=writing.author.name, now=now)
        return writing.shown(session, written)


@router.post("/undelete")
def undelete_cluster(writing: TheWriting, slug: SlugInPath) -> Cluster:
    """Take the deletion back, as long as nothing was destroyed."""
    with writing.describing() as session:
        return writing.shown(session, service.undelete(session, slug))


@router.post("/agent-token/rotate")
def rotate_agent_token(
    writing: TheWriting, slug: SlugInPath, rotation: TokenRotation | None = None
) -> Cluster:
    """Give agents a new token with the next deployment; the one before lives until all of them have it."""
    force = rotation is not None and rotation.force
    with writing.describing() as session:
        return writing.shown(session, service.rotate_agent_token(session, slug, force=force))


@router.post("/deployments/{deployment_id}/approve")
def approve_deployment(writing: TheWriting, slug: SlugInPath, deployment_id: UUID) -> Deployment:
    """Let Creator apply this very plan; if anything has changed meanwhile, a new one is made and waits.

    409 for a plan that has expired, that another one has replaced, or that destroys what is protected.
    """
    return _ruled(writing, slug, deployment_id, _ruling(writing, approved=True))


@router.post("/deployments/{deployment_id}/reject")
def reject_deployment(
    writing: TheWriting, slug: SlugInPath, deployment_id: UUID, rejection: Rejection | None = None
) -> Deployment:
    """Refuse this plan; Creator makes no new one until something changes or somebody asks."""
    reason = rejection.reason if rejection else ""
    return _ruled(writing, slug, deployment_id, _ruling(writing, approved=False, reason=reason))


def _ruling(writing: Writing, *, approved: bool, reason: str = "") -> service.Ruling:
    must_differ = writing.context.approver_must_differ
    return service.Ruling(approved, writing.author, reason, approver_must_differ=must_differ)


def _ruled(writing: Writing, slug: str, deployment_id: UUID, ruling: service.Ruling) -> Deployment:
    now = writing.context.clock()
    with writing.describing() as session:
        return writing.shown(session, service.rule(session, slug, deployment_id, ruling, now=now))

"""The route of secrets: only a cluster's own agents get here."""

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from api.context import Context
from api.dependencies import Caller, SlugInPath, TheContext, cluster_for
from api.services import secrets as service
from common.contracts.configuration import ClusterSecrets

router = APIRouter(tags=["agents"])


@router.get("/clusters/{slug}/secrets")
async def read_secrets(
    context: TheContext, slug: SlugInPath, caller: Caller, response: Response
) -> ClusterSecrets:
    """Values of the sensitive variables that probers of the cluster name."""
    await cluster_for(context, slug, caller)
    response.headers["Cache-Control"] = "no-store"
    return await run_in_threadpool(_secrets, context, slug)


def _secrets(context: Context, slug: str) -> ClusterSecrets:
    document = context.documents.current(slug).parsed()
    with context.database.reading() as session:
        return service.cluster_secrets(session, document, keyring=context.keyring)

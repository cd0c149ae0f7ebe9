"""Routes of probers, their revisions and their configs."""

from fastapi import APIRouter, Response, status

from api.dependencies import NumberInPath, SlugInPath, TheContext, ThePaging
from api.services import prober_configs, revisions
from api.services import probers as service
from common.contracts.probers import (
    Prober,
    ProberConfig,
    ProberConfigPut,
    ProberCreate,
    ProberUpdate,
)
from common.contracts.recipes import Revision, RevisionCreate
from common.contracts.values import Page
from database.models import ProberRevision

router = APIRouter(prefix="/probers", tags=["probers"])


@router.get("")
def list_probers(context: TheContext, paging: ThePaging) -> Page[Prober]:
    """Probers by slug."""
    with context.database.reading() as session:
        return service.page_of_probers(session, paging)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_prober(context: TheContext, new: ProberCreate) -> Prober:
    """Create a prober; its files become revision 1."""
    files = revisions.stored_files(context.storage, new.files)
    with context.describing() as session:
        return service.create_prober(session, new, files)


@router.get("/{slug}")
def read_prober(context: TheContext, slug: SlugInPath) -> Prober:
    """One prober with its newest revision and its configs."""
    with context.database.reading() as session:
        return service.prober(session, slug)


@router.patch("/{slug}")
def update_prober(context: TheContext, slug: SlugInPath, changes: ProberUpdate) -> Prober:
    """Change the fields that are in the body."""
    with context.describing() as session:
        return service.update_prober(session, slug, changes)


@router.delete("/{slug}", status_code=status.HTTP_204_NO_CONTENT)
def delete_prober(context: TheContext, slug: SlugInPath) -> None:
    """Delete a prober with its configs; agents stop it."""
    with context.describing() as session:
        service.delete_prober(session, slug, now=context.clock())


@router.get("/{slug}/revisions")
def list_prober_revisions(
    context: TheContext, slug: SlugInPath, paging: ThePaging
) -> Page[Revision]:
    """Revisions of a prober, newest first."""
    with context.database.reading() as session:
        prober = service.living_prober(session, slug)
        return revisions.page_of_revisions(session, ProberRevision, prober.id, paging)


@router.post("/{slug}/revisions", status_code=status.HTTP_201_CREATED)
def create_prober_revision(
    context: TheContext, slug: SlugInPath, new: RevisionCreate, response: Response
) -> Revision:
    """Add a revision; 200 and the newest one if it holds the same files."""
    files = revisions.stored_files(context.storage, new.files)
    with context.describing() as session:
        revision, is_new = service.create_prober_revision(session, slug, files)
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return revision


@router.get("/{slug}/revisions/{number}")
def read_prober_revision(context: TheContext, slug: SlugInPath, number: NumberInPath) -> Revision:
    """One revision of a prober."""
    with context.database.reading() as session:
        prober = service.living_prober(session, slug)
        return revisions.revision(session, ProberRevision, prober.id, number)


@router.get("/{slug}/configs")
def list_configs(context: TheContext, slug: SlugInPath, paging: ThePaging) -> Page[ProberConfig]:
    """Configs of a prober by slug."""
    with context.database.reading() as session:
        return prober_configs.page_of_configs(session, slug, paging)


@router.get("/{slug}/configs/{config}")
def read_config(context: TheContext, slug: SlugInPath, config: SlugInPath) -> ProberConfig:
    """One config of a prober."""
    with context.database.reading() as session:
        return prober_configs.config(session, slug, config)


@router.put("/{slug}/configs/{config}", responses={201: {"model": ProberConfig}})
def put_config(
    context: TheContext,
    slug: SlugInPath,
    config: SlugInPath,
    new: ProberConfigPut,
    response: Response,
) -> ProberConfig:
    """Create or replace a config; the same content again changes nothing."""
    with context.describing() as session:
        stored, is_new = prober_configs.put_config(session, slug, config, new)
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return stored


@router.delete("/{slug}/configs/{config}", status_code=status.HTTP_204_NO_CONTENT)
def delete_config(context: TheContext, slug: SlugInPath, config: SlugInPath) -> None:
    """Delete a config."""
    with context.describing() as session:
        prober_configs.delete_config(session, slug, config)

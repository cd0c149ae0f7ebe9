"""Routes of probers, their revisions and their configs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from api.dependencies import NumberInPath, PathInPath, SlugInPath, TheContext, Word, paging_by
from api.services import prober_configs, revisions
from api.services import probers as service
from api.services.paging import Paging
from api.uploads import TheUpload, content_response, upload_schema
from api.writing import TheWriting, tagged
from common.contracts.probers import (
    Prober,
    ProberConfig,
    ProberConfigPut,
    ProberCreate,
    ProberUpdate,
    Severity,
)
from common.contracts.recipes import AddedRevision, Revision
from common.contracts.values import Page
from database.models import ProberRevision

router = APIRouter(prefix="/probers", tags=["probers"])


def _filter(
    owner: Word = None, severity: Severity | None = None, managed_by: Word = None
) -> service.ProberFilter:
    return service.ProberFilter(owner=owner, severity=severity, managed_by=managed_by)


@router.get("")
def list_probers(
    context: TheContext,
    paging: Annotated[Paging, paging_by(service.SORTING)],
    wanted: Annotated[service.ProberFilter, Depends(_filter)],
) -> Page[Prober]:
    """Probers; of an owner, of a severity, of a manager."""
    with context.database.reading() as session:
        return service.page_of_probers(session, wanted, paging)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_prober(writing: TheWriting, new: ProberCreate) -> Prober:
    """Create a prober; its files become revision 1."""
    files = revisions.stored_files(writing.context.storage, new.files)
    with writing.naming(new.files) as session:
        return writing.shown(session, service.create_prober(session, new, files))


@router.get("/{slug}")
def read_prober(context: TheContext, slug: SlugInPath, response: Response) -> Prober:
    """One prober with its newest revision and its configs."""
    with context.database.reading() as session:
        return tagged(response, service.prober(session, slug))


@router.patch("/{slug}")
def update_prober(writing: TheWriting, slug: SlugInPath, changes: ProberUpdate) -> Prober:
    """Change the fields that are in the body."""
    with writing.describing() as session:
        written = service.update_prober(session, slug, changes, writing.precondition)
        return writing.shown(session, written)


@router.delete("/{slug}", status_code=status.HTTP_204_NO_CONTENT)
def delete_prober(writing: TheWriting, slug: SlugInPath) -> None:
    """Delete a prober with its configs; agents stop it."""
    now = writing.context.clock()
    with writing.describing() as session:
        deleted = service.delete_prober(session, slug, writing.precondition, now=now)
        writing.done(session, deleted)


@router.get("/{slug}/revisions")
def list_prober_revisions(
    context: TheContext,
    slug: SlugInPath,
    paging: Annotated[Paging, paging_by(revisions.SORTING[ProberRevision])],
) -> Page[Revision]:
    """Revisions of a prober."""
    with context.database.reading() as session:
        prober = service.living_prober(session, slug)
        return revisions.page_of_revisions(session, ProberRevision, prober.id, paging)


@router.post(
    "/{slug}/revisions",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {"model": AddedRevision, "description": "the newest revision holds the same files"}
    },
    openapi_extra=upload_schema(),
)
def create_prober_revision(
    writing: TheWriting, slug: SlugInPath, upload: TheUpload, response: Response
) -> AddedRevision:
    """Add a revision; 200 and the newest one if it holds the same files. If-Match and ETag are the prober's."""
    uploads = upload.files()
    files = revisions.stored_files(writing.context.storage, uploads)
    with writing.naming(uploads) as session:
        written = service.create_prober_revision(session, slug, files, writing.precondition)
        prober = writing.shown(session, written)
    response.status_code = status.HTTP_201_CREATED if written.is_changed else status.HTTP_200_OK
    return AddedRevision(**prober.revision.model_dump(), etag=prober.etag)


@router.get("/{slug}/revisions/{number}")
def read_prober_revision(context: TheContext, slug: SlugInPath, number: NumberInPath) -> Revision:
    """One revision of a prober."""
    with context.database.reading() as session:
        prober = service.living_prober(session, slug)
        return revisions.revision(session, ProberRevision, prober.id, number)


@router.get("/{slug}/revisions/{number}/files/{path:path}", response_class=Response)
def read_prober_file(
    context: TheContext, slug: SlugInPath, number: NumberInPath, path: PathInPath
) -> Response:
    """The content of one file of a revision."""
    with context.database.reading() as session:
        prober = service.living_prober(session, slug)
        found = revisions.file_of(session, ProberRevision, prober.id, number=number, path=path)
    return content_response(context.storage, found)


@router.get("/{slug}/configs")
def list_configs(
    context: TheContext,
    slug: SlugInPath,
    paging: Annotated[Paging, paging_by(prober_configs.SORTING)],
) -> Page[ProberConfig]:
    """Configs of a prober."""
    with context.database.reading() as session:
        return prober_configs.page_of_configs(session, slug, paging)


@router.get("/{slug}/configs/{config}")
def read_config(
    context: TheContext, slug: SlugInPath, config: SlugInPath, response: Response
) -> ProberConfig:
    """One config of a prober."""
    with context.database.reading() as session:
        return tagged(response, prober_configs.config(session, slug, config))


@router.put("/{slug}/configs/{config}", responses={201: {"model": ProberConfig}})
def put_config(
    writing: TheWriting,
    slug: SlugInPath,
    config: SlugInPath,
    new: ProberConfigPut,
    response: Response,
) -> ProberConfig:
    """Create or, with If-Match, replace a config; the same content again changes nothing."""
    with writing.describing() as session:
        written = prober_configs.put_config(session, slug, config, new, writing.precondition)
        response.status_code = status.HTTP_201_CREATED if written.is_new else status.HTTP_200_OK
        return writing.shown(session, written)


@router.delete("/{slug}/configs/{config}", status_code=status.HTTP_204_NO_CONTENT)
def delete_config(writing: TheWriting, slug: SlugInPath, config: SlugInPath) -> None:
    """Delete a config."""
    with writing.describing() as session:
        deleted = prober_configs.delete_config(session, slug, config, writing.precondition)
        writing.done(session, deleted)

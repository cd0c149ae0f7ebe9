"""The route of the audit log; only admins get here."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api.dependencies import TheContext, Word, paging_by
from api.services import audit as service
from api.services.paging import Paging
from common.contracts.audit import AuditEntry
from common.contracts.values import Moment, Page

router = APIRouter(prefix="/audit", tags=["audit"])


def _filter(
    kind: Word = None,
    slug: Word = None,
    actor: Word = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> service.AuditFilter:
    return service.AuditFilter(kind=kind, slug=slug, actor=actor, since=since, until=until)


@router.get("")
def list_entries(
    context: TheContext,
    paging: Annotated[Paging, paging_by(service.SORTING)],
    wanted: Annotated[service.AuditFilter, Depends(_filter)],
) -> Page[AuditEntry]:
    """Writes: of a kind, a slug, an actor; `since` a moment, `until` before one."""
    with context.database.reading() as session:
        return service.page_of_entries(session, wanted, paging)

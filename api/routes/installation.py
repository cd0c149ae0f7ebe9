"""The routes of the whole installation's switches."""

from fastapi import APIRouter

from api.dependencies import TheContext
from api.services import installation as service
from api.writing import TheWriting
from common.contracts.installation import Installation, InstallationPut

router = APIRouter(prefix="/installation", tags=["installation"])


@router.get("")
def read_installation(context: TheContext) -> Installation:
    """Whether anything is applied at all."""
    with context.database.reading() as session:
        return service.installation(session)


@router.put("")
def put_installation(writing: TheWriting, new: InstallationPut) -> Installation:
    """Stop all applies, or let them go on. For emergencies, so it asks for no If-Match."""
    with writing.describing() as session:
        written = service.put_installation(
            session, new, by=writing.author.name, now=writing.context.clock()
        )
        return writing.shown(session, written)

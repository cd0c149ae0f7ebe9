"""Routes of API keys; only admins get here."""

from uuid import UUID

from fastapi import APIRouter, status

from api.dependencies import TheContext, ThePaging
from api.services import keys as service
from common.contracts.keys import ApiKey, ApiKeyCreate, ApiKeyCreated
from common.contracts.values import Page

router = APIRouter(prefix="/keys", tags=["keys"])


@router.get("")
def list_keys(context: TheContext, paging: ThePaging) -> Page[ApiKey]:
    """Keys that are not revoked; never their texts."""
    with context.database.reading() as session:
        return service.page_of_keys(session, paging)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_key(context: TheContext, new: ApiKeyCreate) -> ApiKeyCreated:
    """Create a key; this answer is the only place where its text appears."""
    with context.database.writing() as session:
        return service.create_key(session, new, now=context.clock())


@router.delete("/{key_id}", status_code=status.HTTP_204_NO_CONTENT)
def revoke_key(context: TheContext, key_id: UUID) -> None:
    """Revoke a key, and every page that was signed in with it."""
    with context.database.writing() as session:
        service.revoke_key(session, key_id, now=context.clock())

"""Routes of API keys; only admins get here."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response, status

from api.dependencies import TheContext, paging_by
from api.services import keys as service
from api.services.paging import Paging
from api.writing import TheWriting, tagged
from common.contracts.keys import ApiKey, ApiKeyCreate, ApiKeyCreated, ApiKeyUpdate
from common.contracts.values import Page

router = APIRouter(prefix="/keys", tags=["keys"])


@router.get("")
def list_keys(
    context: TheContext, paging: Annotated[Paging, paging_by(service.SORTING)]
) -> Page[ApiKey]:
    """Keys that are not revoked; never their texts."""
    with context.database.reading() as session:
        return service.page_of_keys(session, paging)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_key(writing: TheWriting, new: ApiKeyCreate) -> ApiKeyCreated:
    """Create a key; this answer is the only place where its text appears."""
    with writing.context.database.writing() as session:
        written, created = service.create_key(session, new, now=writing.context.clock())
        writing.done(session, written)
        return created


@router.get("/{key_id}")
def read_key(context: TheContext, key_id: UUID, response: Response) -> ApiKey:
    """One key, without its text."""
    with context.database.reading() as session:
        return tagged(response, service.key(session, key_id))


@router.patch("/{key_id}")
def update_key(writing: TheWriting, key_id: UUID, changes: ApiKeyUpdate) -> ApiKey:
    """Change the fields that are in the body; 409 for a revoked key, and for the end of the last admin key."""
    context = writing.context
    with context.database.writing() as session:
        written = service.update_key(
            session,
            key_id,
            changes,
            writing.precondition,
            by=writing.author.key_id,
            now=context.clock(),
        )
        shown = writing.shown(session, written)
    context.keys.forget()
    return shown


@router.delete("/{key_id}", status_code=status.HTTP_204_NO_CONTENT)
def revoke_key(writing: TheWriting, key_id: UUID) -> None:
    """Revoke a key, and every page that was signed in with it; other processes notice within two seconds.

    409 for the last admin key.
    """
    context = writing.context
    with context.database.writing() as session:
        deleted = service.revoke_key(session, key_id, writing.precondition, now=context.clock())
        writing.done(session, deleted)
    context.keys.forget()

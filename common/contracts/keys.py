"""API keys: who may call the API, and as what."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from common.contracts.values import Input, Wire


class Role(StrEnum):
    """What a key may do; an agent's rights come from its cluster's token instead."""

    VIEWER = "viewer"
    EDITOR = "editor"
    APPROVER = "approver"
    ADMIN = "admin"


class ApiKeyCreate(Input):
    """A new key."""

    name: str = Field(min_length=1, max_length=100)
    role: Role
    expires_at: AwareDatetime | None = None


class ApiKey(Wire):
    """A key without its text, which is shown once and never stored."""

    id: UUID
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class ApiKeyCreated(ApiKey):
    """The answer to the creation of a key: the only place where its text appears."""

    key: str

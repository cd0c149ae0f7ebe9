"""API keys: who may call the API, and as what."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from common.contracts.identifiers import Slug
from common.contracts.values import Input, Moment, Wire


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
    expires_at: Moment | None = None
    # Slugs of the only clusters that the key may change; null: all of them, and everything else.
    clusters: list[Slug] | None = Field(default=None, min_length=1, max_length=1000)


class ApiKeyUpdate(Input):
    """Changes of a key: unset fields stay; its role is for ever. null: no end, all clusters."""

    name: str = Field(default="", min_length=1, max_length=100)
    expires_at: Moment | None = None
    clusters: list[Slug] | None = Field(default=None, min_length=1, max_length=1000)


class ApiKey(Wire):
    """A key without its text, which is shown once and never stored."""

    id: UUID
    etag: str = ""  # sent back as If-Match with a change
    name: str
    role: Role
    clusters: list[Slug] | None = None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class ApiKeyCreated(ApiKey):
    """The answer to the creation of a key: the only place where its text appears."""

    key: str

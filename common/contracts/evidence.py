"""Evidence of runs: what a prober printed when it failed, uploaded by agents for people to read."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from common.contracts.identifiers import HostName, Sha256, Slug
from common.contracts.values import Wire

MAX_EVIDENCE_BYTES = 1024 * 1024


class EvidenceType(StrEnum):
    """What an upload may be."""

    TEXT = "text/plain"
    JSON = "application/json"
    GZIP = "application/gzip"
    OTHER = "application/octet-stream"


class EvidenceAnnouncement(Wire):
    """What an agent is going to upload: its size in bytes, its hash, and which prober's run on which host it is about."""

    host: HostName
    prober: Slug
    content_type: EvidenceType
    size: int = Field(ge=1, le=MAX_EVIDENCE_BYTES)
    sha256: Sha256


class EvidenceAddress(Wire):
    """Where the content goes: one request with these headers, before `expires_at`; the address is the permission.

    `url` may be relative to the API's own address. Another content than the announced one is refused, or never shown.
    """

    id: UUID
    method: str
    url: str
    headers: dict[str, str]
    expires_at: datetime


class Evidence(Wire):
    """An upload that came."""

    id: UUID
    host: HostName
    prober: Slug
    content_type: EvidenceType
    size: int
    sha256: Sha256
    created_at: datetime  # when it was announced

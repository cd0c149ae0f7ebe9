"""The content of one upload on its way in: whether it may come, that it is what was announced, where it is kept."""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request

from api.context import Context
from api.services.errors import ActionError, InvalidError, NotFoundError
from api.services.evidence import evidence_key, mark_received
from api.services.evidence_addresses import Permission
from database.models import Evidence


@dataclass(frozen=True)
class Announced:
    """What is to come."""

    cluster_id: UUID
    size: int
    sha256: str


@dataclass(frozen=True)
class EvidenceBody:
    """One request to an address of ours."""

    context: Context
    evidence_id: UUID

    def announced(self, expires: int, signature: str) -> Announced:
        """What may be put here. NotFoundError for an address that was never given or is over, ActionError for one that was used."""
        with self.context.database.reading() as session:
            row = session.get(Evidence, self.evidence_id)
        if row is None:
            raise NotFoundError("open upload", self.evidence_id)
        permission = Permission(row.id, row.cluster_id, row.size, expires)
        is_signed = permission.is_signed(signature, self.context.server_key)
        if not is_signed or permission.is_over(self.context.clock()):
            raise NotFoundError("open upload", self.evidence_id)
        if row.received_at:
            raise ActionError("this upload came already: announce another one")
        return Announced(row.cluster_id, row.size, row.sha256)

    async def read(self, request: Request, announced: Announced) -> bytes:
        """The body, not read further than what was announced; InvalidError."""
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > announced.size:
                break
        if len(content) != announced.size:
            raise InvalidError.of("body", f"{announced.size} bytes, as announced")
        if hashlib.sha256(content).hexdigest() != announced.sha256:
            raise InvalidError.of("body", f"content with SHA-256 {announced.sha256}, as announced")
        return bytes(content)

    def keep(self, announced: Announced, content: bytes) -> None:
        """Store it: who finds the row marked finds the content. ObjectStorageError."""
        self.context.evidence_storage.write(
            evidence_key(announced.cluster_id, self.evidence_id), content
        )
        with self.context.database.writing() as session:
            mark_received(session, [self.evidence_id], now=self.context.clock())

"""Addresses of ours at which agents put evidence: whoever has one may, nobody else can make one. Pure."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Permission:
    """To put so many bytes as the content of one upload, until a moment (Unix seconds)."""

    evidence_id: UUID
    cluster_id: UUID
    size: int
    expires: int

    def signature(self, server_key: bytes) -> str:
        """What only the holder of the server key can say."""
        text = f"evidence/{self.evidence_id}/{self.cluster_id}/{self.size}/{self.expires}"
        return hmac.digest(server_key, text.encode(), "sha256").hex()

    def is_signed(self, signature: str, server_key: bytes) -> bool:
        """Whether the signature is that of this permission."""
        return hmac.compare_digest(
            self.signature(server_key).encode(), signature.encode(errors="replace")
        )

    def is_over(self, now: datetime) -> bool:
        """Whether the moment has come."""
        return now.timestamp() >= self.expires


def address_of(permission: Permission, server_key: bytes) -> str:
    """The address, relative to the API's."""
    return (
        f"/api/v1/uploads/{permission.evidence_id}"
        f"?expires={permission.expires}&signature={permission.signature(server_key)}"
    )

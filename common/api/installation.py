"""Calls of the API about the installation: its switch, keys, audit log and files."""

from uuid import UUID

from common.api.calls import Calls, path_of
from common.contracts.audit import AuditEntry
from common.contracts.installation import Installation, InstallationPut
from common.contracts.keys import ApiKey, ApiKeyCreate, ApiKeyCreated, ApiKeyUpdate


class InstallationCalls(Calls):
    """What belongs to no cluster."""

    def keys(self, *, sort: str = "") -> list[ApiKey]:
        """All keys, without their texts."""
        return self.listed("/keys", ApiKey, {"sort": sort})

    def key(self, key_id: UUID) -> ApiKey:
        """One key, without its text."""
        return self.got(path_of("keys", key_id), ApiKey)

    def create_key(self, body: ApiKeyCreate) -> ApiKeyCreated:
        """A new key; its text is in this answer and nowhere else."""
        return self.sent("POST", "/keys", body, ApiKeyCreated)

    def change_key(self, key_id: UUID, body: ApiKeyUpdate, *, etag: str) -> ApiKey:
        """Change the fields that are set in the body."""
        return self.changed("PATCH", path_of("keys", key_id), body, etag, ApiKey)

    def revoke_key(self, key_id: UUID, *, etag: str) -> None:
        """End the life of a key."""
        self.deleted(path_of("keys", key_id), etag)

    def installation(self) -> Installation:
        """Whether anything is applied at all."""
        return self.got("/installation", Installation)

    def set_installation(self, body: InstallationPut) -> Installation:
        """Stop all applies, or let them go on."""
        return self.switched("PUT", "/installation", body, Installation)

    def audit_log(self, **wanted: str) -> list[AuditEntry]:
        """Writes, newest first; `kind`, `slug`, `actor`, `since`, `until` choose, `sort` is `at` or `-at`."""
        return self.listed("/audit", AuditEntry, wanted)

    def file(self, sha256: str) -> bytes:
        """The content of a file of some revision."""
        return self.answer(path_of("files", sha256)).content

"""The audit log: who changed what, when, and how."""

from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from common.contracts.values import Wire


class AuditEntry(Wire):
    """One write; `before` and `after` are what a reader of the API saw, so never a secret."""

    id: UUID
    at: datetime
    key_id: UUID | None
    actor: str  # name of the key
    role: str  # of the key, or agent, or creator
    action: str  # create, change, delete, or the name of what was done
    kind: str  # recipe, cluster, variable, prober, config, key, …
    object_id: UUID
    slug: str  # `demo`; of what belongs to another object `demo/hosts`
    cluster_id: UUID | None
    before: dict[str, JsonValue] | None
    after: dict[str, JsonValue] | None
    request_id: str

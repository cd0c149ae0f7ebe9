"""Who may do what: one pure decision over method and path, made before a body is read."""

import re
from dataclasses import dataclass
from uuid import UUID

from common.contracts.keys import Role

READING = frozenset({"GET", "HEAD"})
OPEN_PATHS = frozenset(
    {"/health/live", "/health/ready", "/sign-in", "/static/style.css", "/static/favicon.svg"}
)
_SLUG = "[^/]+"
_AGENT_ROUTES = (
    ("GET", re.compile(rf"/api/v1/clusters/{_SLUG}/configuration")),
    ("POST", re.compile(rf"/api/v1/clusters/{_SLUG}/reports")),
    ("GET", re.compile(r"/api/v1/files/[^/]+")),
)
_REPORTS = re.compile(rf"/api/v1/clusters/{_SLUG}/reports")
_WRITERS = frozenset({Role.EDITOR, Role.ADMIN})


@dataclass(frozen=True)
class KeyHolder:
    """Somebody with an API key, or a browser signed in with one."""

    key_id: UUID
    role: Role


@dataclass(frozen=True)
class AgentOf:
    """An agent, by its genuine token: which cluster it speaks for is still to be compared."""

    cluster_id: UUID
    token_version: int


Identity = KeyHolder | AgentOf


def is_permitted(identity: Identity, method: str, path: str) -> bool:
    """Whether this kind of caller may call this route at all."""
    if isinstance(identity, AgentOf):
        return any(method == one and route.fullmatch(path) for one, route in _AGENT_ROUTES)
    if path == "/api/v1/keys" or path.startswith("/api/v1/keys/"):
        return identity.role is Role.ADMIN
    if method in READING:
        return True
    return identity.role in _WRITERS and not _REPORTS.fullmatch(path)

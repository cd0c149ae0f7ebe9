"""Who may do what: one pure decision over method and path, made before a body is read."""

import re
from dataclasses import dataclass
from uuid import UUID

from common.contracts.keys import Role

READING = frozenset({"GET", "HEAD"})
OPEN_PATHS = frozenset(
    {"/health/live", "/health/ready", "/sign-in", "/static/style.css", "/static/favicon.svg"}
)
# The address itself is the permission there: the route checks its signature.
_OPEN_UPLOADS = re.compile(r"/api/v1/uploads/[^/]+")
_SLUG = "[^/]+"
_CLUSTER = rf"/api/v1/clusters/{_SLUG}"
_AGENT_ROUTES = (
    ("GET", re.compile(rf"{_CLUSTER}/configuration")),
    ("POST", re.compile(rf"{_CLUSTER}/reports")),
    ("GET", re.compile(rf"{_CLUSTER}/secrets")),
    ("POST", re.compile(rf"{_CLUSTER}/uploads")),
    ("GET", re.compile(r"/api/v1/files/[^/]+")),
)
_FOR_AGENTS_ONLY = re.compile(rf"\w+ {_CLUSTER}/(reports|secrets)|POST {_CLUSTER}/uploads")
_FOR_ADMINS_ONLY = re.compile(r"/api/v1/(keys|audit)(/.*)?", re.DOTALL)
# Whether to go through with a plan is another right than to write what is planned.
_DECISIONS = re.compile(rf"{_CLUSTER}/deployments/{_SLUG}/(approve|reject)")
_OF_A_CLUSTER = re.compile(rf"/api/v1/clusters/({_SLUG})(/.*)?", re.DOTALL)


@dataclass(frozen=True)
class KeyHolder:
    """Somebody with an API key, or a browser signed in with one.

    `clusters`: slugs of the only clusters that the key may change; None: all, and everything else.
    """

    key_id: UUID
    role: Role
    name: str = ""
    clusters: frozenset[str] | None = None


@dataclass(frozen=True)
class AgentOf:
    """An agent, by its genuine token: which cluster it speaks for is still to be compared."""

    cluster_id: UUID
    token_version: int


Identity = KeyHolder | AgentOf


def is_open(method: str, path: str) -> bool:
    """Whether nobody is asked who they are."""
    return path in OPEN_PATHS or (method == "PUT" and _OPEN_UPLOADS.fullmatch(path) is not None)


def is_permitted(identity: Identity, method: str, path: str) -> bool:
    """Whether this kind of caller may call this route at all."""
    if isinstance(identity, AgentOf):
        return any(method == one and route.fullmatch(path) for one, route in _AGENT_ROUTES)
    if _FOR_AGENTS_ONLY.fullmatch(f"{method} {path}"):
        return False
    if _FOR_ADMINS_ONLY.fullmatch(path):
        return identity.role is Role.ADMIN
    if method in READING:
        return True
    return _may_write(identity, path) and _is_in_scope(identity.clusters, path)


def _may_write(holder: KeyHolder, path: str) -> bool:
    if _DECISIONS.fullmatch(path):
        return holder.role in {Role.APPROVER, Role.ADMIN}
    return holder.role in {Role.EDITOR, Role.ADMIN}


def _is_in_scope(clusters: frozenset[str] | None, path: str) -> bool:
    if clusters is None:
        return True
    found = _OF_A_CLUSTER.fullmatch(path)
    return found is not None and found[1] in clusters

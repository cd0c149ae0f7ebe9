"""Every route of the API with who may call it, and every write with what it takes: a route that is missing here fails the tests.

To add a route, add a line to RULES, and, if it writes, one to WRITES (or to UNRECORDED, with the reason).
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, FastAPI
from starlette.routing import Mount, Route

from api.routes import health, metrics, pages, sign_in

PROBE = b"#!"
PROBE_SHA256 = hashlib.sha256(PROBE).hexdigest()

READERS = frozenset({"viewer", "scoped editor", "editor", "approver", "admin"})
EDITORS = frozenset({"editor", "admin"})
# The scoped editor's cluster is demo, of which the table speaks.
EDITORS_OF_THE_CLUSTER = EDITORS | {"scoped editor"}
APPROVERS = frozenset({"approver", "admin"})
ADMINS = frozenset({"admin"})
OWN_AGENT = frozenset({"own agent"})
EVERYBODY = READERS | OWN_AGENT | {"nobody", "other agent"}

API = "/api/v1"
RULES: dict[tuple[str, str], frozenset[str]] = {
    ("GET", "/health/live"): EVERYBODY,
    ("GET", "/health/ready"): EVERYBODY,
    ("GET", "/sign-in"): EVERYBODY,
    ("POST", "/sign-in"): EVERYBODY,
    ("GET", "/static/any"): READERS,
    ("GET", "/docs/assets/any"): READERS,
    ("GET", "/openapi.json"): READERS,
    ("GET", "/docs"): READERS,
    ("GET", "/metrics"): READERS,
    ("GET", "/"): READERS,
    ("GET", "/clusters/{slug}"): READERS,
    ("GET", "/unknown"): READERS,
    ("GET", f"{API}/unknown"): READERS,
    ("GET", f"{API}/agents"): READERS,
    ("GET", f"{API}/variables"): READERS,
    ("GET", f"{API}/agents/missing"): READERS,
    ("GET", f"{API}/audit"): ADMINS,
    ("GET", f"{API}/keys"): ADMINS,
    ("POST", f"{API}/keys"): ADMINS,
    ("GET", f"{API}/keys/{{key_id}}"): ADMINS,
    ("PATCH", f"{API}/keys/{{key_id}}"): ADMINS,
    ("DELETE", f"{API}/keys/{{key_id}}"): ADMINS,
    ("GET", f"{API}/files/{{sha256}}"): READERS | OWN_AGENT,
    ("GET", f"{API}/clusters"): READERS,
    ("POST", f"{API}/clusters"): EDITORS,
    ("GET", f"{API}/clusters/{{slug}}"): READERS,
    ("PATCH", f"{API}/clusters/{{slug}}"): EDITORS_OF_THE_CLUSTER,
    ("DELETE", f"{API}/clusters/{{slug}}"): EDITORS_OF_THE_CLUSTER,
    ("GET", f"{API}/clusters/{{slug}}/agents"): READERS,
    ("GET", f"{API}/clusters/{{slug}}/configuration"): READERS | OWN_AGENT,
    ("GET", f"{API}/clusters/{{slug}}/deployments"): READERS,
    ("GET", f"{API}/clusters/{{slug}}/deployments/{{deployment_id}}"): READERS,
    ("GET", f"{API}/clusters/{{slug}}/deployments/{{deployment_id}}/changes"): READERS,
    ("GET", f"{API}/clusters/{{slug}}/deployments/{{deployment_id}}/log"): READERS,
    ("GET", f"{API}/clusters/{{slug}}/deployments/{{deployment_id}}/plan"): READERS,
    ("GET", f"{API}/clusters/{{slug}}/grid"): READERS,
    ("GET", f"{API}/clusters/{{slug}}/hosts/{{host}}/configuration"): READERS,
    ("POST", f"{API}/clusters/{{slug}}/reports"): OWN_AGENT,
    ("GET", f"{API}/clusters/{{slug}}/secrets"): OWN_AGENT,
    ("POST", f"{API}/clusters/{{slug}}/uploads"): OWN_AGENT,
    ("GET", f"{API}/clusters/{{slug}}/uploads"): READERS,
    ("GET", f"{API}/clusters/{{slug}}/uploads/{{evidence_id}}"): READERS,
    ("GET", f"{API}/clusters/{{slug}}/uploads/{{evidence_id}}/content"): READERS,
    # Whoever has the address has the permission: it is signed.
    ("PUT", f"{API}/uploads/{{evidence_id}}"): EVERYBODY,
    ("POST", f"{API}/clusters/{{slug}}/agent-token/rotate"): EDITORS_OF_THE_CLUSTER,
    ("POST", f"{API}/clusters/{{slug}}/deploy"): EDITORS_OF_THE_CLUSTER,
    ("POST", f"{API}/clusters/{{slug}}/pause"): EDITORS_OF_THE_CLUSTER,
    ("POST", f"{API}/clusters/{{slug}}/resume"): EDITORS_OF_THE_CLUSTER,
    ("POST", f"{API}/clusters/{{slug}}/undelete"): EDITORS_OF_THE_CLUSTER,
    ("POST", f"{API}/clusters/{{slug}}/deployments/{{deployment_id}}/approve"): APPROVERS,
    ("POST", f"{API}/clusters/{{slug}}/deployments/{{deployment_id}}/reject"): APPROVERS,
    ("GET", f"{API}/clusters/{{slug}}/variables"): READERS,
    ("GET", f"{API}/clusters/{{slug}}/variables/{{name}}"): READERS,
    ("PUT", f"{API}/clusters/{{slug}}/variables/{{name}}"): EDITORS_OF_THE_CLUSTER,
    ("DELETE", f"{API}/clusters/{{slug}}/variables/{{name}}"): EDITORS_OF_THE_CLUSTER,
    ("GET", f"{API}/installation"): READERS,
    ("PUT", f"{API}/installation"): EDITORS,
    ("GET", f"{API}/recipes"): READERS,
    ("POST", f"{API}/recipes"): EDITORS,
    ("GET", f"{API}/recipes/{{slug}}"): READERS,
    ("PATCH", f"{API}/recipes/{{slug}}"): EDITORS,
    ("DELETE", f"{API}/recipes/{{slug}}"): EDITORS,
    ("GET", f"{API}/recipes/{{slug}}/revisions"): READERS,
    ("POST", f"{API}/recipes/{{slug}}/revisions"): EDITORS,
    ("GET", f"{API}/recipes/{{slug}}/revisions/{{number}}"): READERS,
    ("GET", f"{API}/recipes/{{slug}}/revisions/{{number}}/files/{{path}}"): READERS,
    ("GET", f"{API}/probers"): READERS,
    ("POST", f"{API}/probers"): EDITORS,
    ("GET", f"{API}/probers/{{slug}}"): READERS,
    ("PATCH", f"{API}/probers/{{slug}}"): EDITORS,
    ("DELETE", f"{API}/probers/{{slug}}"): EDITORS,
    ("GET", f"{API}/probers/{{slug}}/revisions"): READERS,
    ("POST", f"{API}/probers/{{slug}}/revisions"): EDITORS,
    ("GET", f"{API}/probers/{{slug}}/revisions/{{number}}"): READERS,
    ("GET", f"{API}/probers/{{slug}}/revisions/{{number}}/files/{{path}}"): READERS,
    ("GET", f"{API}/probers/{{slug}}/configs"): READERS,
    ("GET", f"{API}/probers/{{slug}}/configs/{{config}}"): READERS,
    ("PUT", f"{API}/probers/{{slug}}/configs/{{config}}"): EDITORS,
    ("DELETE", f"{API}/probers/{{slug}}/configs/{{config}}"): EDITORS,
    ("POST", f"{API}/probers/{{slug}}/stop"): EDITORS,
    ("POST", f"{API}/probers/{{slug}}/start"): EDITORS,
}


@dataclass(frozen=True)
class Write:
    """A write that succeeds after those above it; `{key}` in the path is the newest one, `{waiting}` a plan that waits.

    `repeated`: what the same request once more adds to the audit log; None: it makes another object, or is refused.
    """

    method: str
    route: str
    path: str
    body: Any = None
    kind: str = ""
    action: str = "change"
    repeated: int | None = None


DEPLOYMENT = "/clusters/{slug}/deployments/{deployment_id}"


def writes(upload: Callable[..., Any]) -> list[Write]:
    """Each write of the API, in an order in which all of them succeed."""
    files, other_files = [upload("main.tf", b"{}")], [upload("main.tf", b"# new")]
    prober = {"slug": "ping", "command": ["x"], "files": [upload("p", PROBE)]}
    cluster = {"slug": "demo", "recipe": "local"}
    return [
        Write("POST", "/recipes", "/recipes", {"slug": "local", "files": files}, "recipe", "create"),
        Write("PATCH", "/recipes/{slug}", "/recipes/local", {"description": "d"}, "recipe", "change", 0),
        Write("POST", "/recipes/{slug}/revisions", "/recipes/local/revisions", {"files": other_files}, "recipe", "add_revision", 0),
        Write("POST", "/clusters", "/clusters", cluster, "cluster", "create"),
        Write("PATCH", "/clusters/{slug}", "/clusters/demo", {"deploy_policy": "approve"}, "cluster", "change", 0),
        Write("PUT", "/clusters/{slug}/variables/{name}", "/clusters/demo/variables/a", {"value": 1}, "variable", "create", 0),
        Write("PUT", "/clusters/{slug}/variables/{name}", "/clusters/demo/variables/a", {"value": 2}, "variable", "change", 0),
        Write("DELETE", "/clusters/{slug}/variables/{name}", "/clusters/demo/variables/a", None, "variable", "delete", 0),
        Write("POST", "/probers", "/probers", prober, "prober", "create"),
        Write("PATCH", "/probers/{slug}", "/probers/ping", {"owner": "me"}, "prober", "change", 0),
        Write("POST", "/probers/{slug}/revisions", "/probers/ping/revisions", {"files": other_files}, "prober", "add_revision", 0),
        Write("PUT", "/probers/{slug}/configs/{config}", "/probers/ping/configs/all", {"clusters": ["*"]}, "config", "create", 0),
        Write("PUT", "/probers/{slug}/configs/{config}", "/probers/ping/configs/all", {"clusters": ["d*"]}, "config", "change", 0),
        Write("DELETE", "/probers/{slug}/configs/{config}", "/probers/ping/configs/all", None, "config", "delete", 0),
        Write("POST", "/probers/{slug}/stop", "/probers/ping/stop", {"reason": "r"}, "prober", "stop", 0),
        Write("POST", "/probers/{slug}/start", "/probers/ping/start", None, "prober", "start", 0),
        Write("DELETE", "/probers/{slug}", "/probers/ping", None, "prober", "delete", 0),
        Write("POST", "/clusters/{slug}/pause", "/clusters/demo/pause", {"reason": "r"}, "cluster", "pause", 0),
        Write("POST", "/clusters/{slug}/resume", "/clusters/demo/resume", None, "cluster", "resume", 0),
        Write("POST", "/clusters/{slug}/deploy", "/clusters/demo/deploy", None, "cluster", "deploy", 0),
        Write("POST", "/clusters/{slug}/agent-token/rotate", "/clusters/demo/agent-token/rotate", None, "cluster", "rotate agent token", 0),
        Write("POST", f"{DEPLOYMENT}/approve", "/clusters/demo/deployments/{waiting}/approve", None, "deployment", "approve", 0),
        Write("POST", f"{DEPLOYMENT}/reject", "/clusters/demo/deployments/{waiting}/reject", None, "deployment", "reject"),
        Write("PUT", "/installation", "/installation", {"applies_stopped": True}, "installation", "change", 0),
        Write("DELETE", "/clusters/{slug}", "/clusters/demo", None, "cluster", "delete", 0),
        Write("POST", "/clusters/{slug}/undelete", "/clusters/demo/undelete", None, "cluster", "undelete", 0),
        Write("DELETE", "/clusters/{slug}", "/clusters/demo", None, "cluster", "delete", 0),
        Write("POST", "/recipes", "/recipes", {"slug": "unused", "files": files}, "recipe", "create"),
        Write("DELETE", "/recipes/{slug}", "/recipes/unused", None, "recipe", "delete", 0),
        Write("POST", "/keys", "/keys", {"name": "k", "role": "viewer"}, "key", "create"),
        Write("PATCH", "/keys/{key_id}", "/keys/{key}", {"name": "other"}, "key", "change", 0),
        Write("DELETE", "/keys/{key_id}", "/keys/{key}", None, "key", "delete", 0),
    ]  # fmt: skip


# Where only a good body shows who may call; elsewhere the empty one is refused as late as any.
BODIES: dict[str, Any] = {
    f"{API}/clusters/{{slug}}/reports": {
        "instance": str(UUID(int=1)), "boot": 1, "host": "demo-1", "version": "1",
        "clock": "2026-01-01T12:00:00Z", "probers": [],
    },
    f"{API}/clusters/{{slug}}/uploads": {
        "host": "demo-1", "prober": "ping", "content_type": "text/plain", "size": 1, "sha256": PROBE_SHA256,
    },
}  # fmt: skip

# Writes of agents about themselves, thousands a minute: nobody described anything.
UNRECORDED = {
    ("POST", "/clusters/{slug}/reports"),
    ("POST", "/clusters/{slug}/uploads"),
    ("PUT", "/uploads/{evidence_id}"),
}


def routes_of(application: FastAPI) -> list[tuple[str, str]]:
    """Every method and path, also those of mounts and of FastAPI's own."""
    found = [("GET", f"{one.path}/any") for one in application.routes if isinstance(one, Mount)]
    found += [("GET", "/openapi.json"), ("GET", "/unknown"), ("GET", "/api/v1/unknown")]
    plain = [one for one in application.routes if isinstance(one, Route)]
    found += [(method, one.path) for one in plain for method in one.methods or ()]
    found += described_routes(application)
    for module in (health, metrics, sign_in, pages):
        found += [(method, path) for method, path in _routes_of_router(module.router)]
    return sorted({one for one in found if one[0] != "HEAD"})


def _routes_of_router(router: APIRouter) -> list[tuple[str, str]]:
    routes = [one for one in router.routes if isinstance(one, Route)]
    return [(method, one.path) for one in routes for method in one.methods or ()]


def described_routes(application: FastAPI) -> list[tuple[str, str]]:
    """Every method and path of the OpenAPI document."""
    document = application.openapi()["paths"]
    return [(method.upper(), path) for path, methods in document.items() for method in methods]


def filled(path: str) -> str:
    """The path with names: those of objects that may be there, and ids of none."""
    values = {
        "slug": "ping" if "/probers/" in path else "local" if "/recipes/" in path else "demo",
        "name": "a", "number": "1", "config": "all", "sha256": PROBE_SHA256,
        "host": "demo-1",
    }  # fmt: skip
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], str(UUID(int=1))), path)

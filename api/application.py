"""The application, built from what it is given: no settings, no clients of its own."""

from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from api.body_limit import BodyLimit
from api.context import Context
from api.dependencies import refuse_unknown_parameters
from api.edge import Edge
from api.errors import add_error_handlers
from api.gate import Gate
from api.nothing_new import said_nothing_new
from api.openapi_document import trimmed
from api.pages import STATIC_FOLDER, SWAGGER_FOLDER
from api.routes import (
    agents,
    audit,
    cluster_actions,
    clusters,
    evidence,
    fleet,
    health,
    installation,
    keys,
    metrics,
    pages,
    prober_switches,
    probers,
    recipes,
    secrets,
    sign_in,
    variables,
)
from api.routes.configuration import configuration_route
from api.routes.reports import reports_route
from common.contracts.values import Problem
from common.version import VERSION

RESOURCES = (
    recipes,
    clusters,
    variables,
    cluster_actions,
    agents,
    fleet,
    secrets,
    evidence,
    probers,
    prober_switches,
    installation,
    keys,
    audit,
)
_PROBLEM: dict[str, Any] = {
    "model": Problem,
    "content": {"application/problem+json": {}},
    "description": "a problem, in words and by field",
}
_PROBLEMS: dict[int | str, dict[str, Any]] = dict.fromkeys(
    (400, 401, 403, 404, 409, 412, 413, 421, 422, 428, 503), _PROBLEM
)


class _Application(FastAPI):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the usual question of agents at once; everything else passes all layers."""
        if not await said_nothing_new(self.state.context, scope, send):
            await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The document, made at the first question."""
        if self.openapi_schema is None:
            self.openapi_schema = trimmed(super().openapi())
        return self.openapi_schema


def application_of(context: Context) -> FastAPI:
    """The whole API on one database, storage, key and clock."""
    application = _Application(
        title="Mr. Prober",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Our own is in api/metrics.py; FastAPI's would look for its parts at each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        # From the outside in: every answer is logged, nobody passes without a key, no body is too large.
        middleware=[
            Middleware(Edge),
            Middleware(Gate),
            Middleware(BodyLimit),
        ],
    )
    application.state.context = context
    add_error_handlers(application)
    application.router.routes[:0] = [configuration_route(), reports_route()]
    application.include_router(_version_1())
    for module in (health, metrics, sign_in, pages):
        application.include_router(module.router)
    application.mount("/static", StaticFiles(directory=STATIC_FOLDER))
    application.mount("/docs/assets", StaticFiles(directory=SWAGGER_FOLDER))
    return application


def _version_1() -> APIRouter:
    # The gate decides; HTTPBearer only tells OpenAPI how a key is sent.
    router = APIRouter(
        prefix="/api/v1",
        responses=_PROBLEMS,
        dependencies=[Depends(HTTPBearer(auto_error=False)), Depends(refuse_unknown_parameters)],
    )
    for module in RESOURCES:
        router.include_router(module.router)
    return router

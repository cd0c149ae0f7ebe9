"""What our API is compared with: bare Starlette, and one transaction per report. Started by uvicorn in a process of its own.

The address of the database and the cluster's id come in the environment of that process.
"""

import gc
import os
from uuid import UUID

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api.services.reports import ReceivedReport, store_reports
from common.contracts.reports import AgentReport
from database.models import now
from database.session import Database

DATABASE_VARIABLE = "MR_PROBER_BENCH_DATABASE"
CLUSTER_VARIABLE = "MR_PROBER_BENCH_CLUSTER"


async def _nothing_new(_request: Request) -> Response:
    return Response(status_code=304)


def _application() -> Starlette:
    # The floor's process has no settings of ours.
    database = Database(os.environ[DATABASE_VARIABLE])  # noqa: TID251
    cluster_id = UUID(os.environ[CLUSTER_VARIABLE])  # noqa: TID251

    def store(report: AgentReport) -> None:
        with database.writing() as session:
            store_reports(session, [ReceivedReport.of(report, cluster_id, now(), token_version=1)])

    async def take_report(request: Request) -> Response:
        try:
            report = AgentReport.model_validate_json(await request.body())
        except ValueError:
            return PlainTextResponse("malformed", 422)
        await run_in_threadpool(store, report)
        return Response(status_code=204)

    # As our own process does when it has started.
    gc.collect()
    gc.freeze()
    return Starlette(
        routes=[
            Route("/health/live", lambda _: Response()),
            Route("/api/v1/clusters/{slug}/configuration", _nothing_new),
            Route("/api/v1/clusters/{slug}/reports", take_report, methods=["POST"]),
        ]
    )


application = _application() if DATABASE_VARIABLE in os.environ else None  # noqa: TID251

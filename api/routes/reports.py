"""The route of agents' reports: a plain ASGI application beside FastAPI's, for thousands of reports a second.

`routes/agents.py` describes it for OpenAPI.
"""

from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.context import Context
from api.dependencies import caller_version, cluster_for
from api.errors import problem_response
from api.report_writer import TooManyReportsError
from api.services.reports import ReceivedReport
from common.contracts.reports import AgentReport

PATH = "/api/v1/clusters/{slug}/reports"
_RETRY_AFTER_SECONDS = 5


class ReportsEndpoint:
    """Checks a report, hands it to the writer, answers 204; or 422, or 503 if too many wait."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; errors are answered by the application's handlers."""
        context: Context = scope["app"].state.context
        identity = scope["state"]["identity"]
        cluster = await cluster_for(context, scope["path_params"]["slug"], identity)
        body = await _body(receive)
        version = caller_version(identity)
        is_rotating = cluster.previous_token_version is not None
        received = ReceivedReport.of(
            _report(body),
            cluster.id,
            context.clock(),
            token_version=version,
            may_retire_token=is_rotating and version == cluster.token_version,
        )
        await (await _answer(context, received))(scope, receive, send)


def reports_route() -> Route:
    """The route, for the front of the application's list."""
    return Route(PATH, ReportsEndpoint(), methods=["POST"], include_in_schema=False)


async def _answer(context: Context, received: ReceivedReport) -> Response:
    try:
        context.report_writer.add(received)
    except TooManyReportsError as error:
        response = problem_response(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        response.headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
        return response
    if context.report_writer.answers_after_writing:
        await run_in_threadpool(context.report_writer.flush)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _body(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _report(body: bytes) -> AgentReport:
    try:
        return AgentReport.model_validate_json(body)
    except ValidationError as error:
        mistakes = [{**mistake, "loc": ("body", *mistake["loc"])} for mistake in error.errors()]
        raise RequestValidationError(mistakes) from error

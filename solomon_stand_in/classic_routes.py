"""Routes of the classic dialect: push, and reading back on the paths that Solomon's own clients use.

Thin: a request becomes values, a pure module or the store does the work, the answer becomes JSON.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from solomon_stand_in.classic_body import metrics_of
from solomon_stand_in.errors import ParameterError, TooMuchError
from solomon_stand_in.faults import not_taken
from solomon_stand_in.labels import SHARD_LABELS
from solomon_stand_in.metric_values import MetricType
from solomon_stand_in.metrics import Point
from solomon_stand_in.parameters import (
    Parameters,
    count_parameter,
    parameters_of_body,
    parameters_of_query,
    period_of,
    shard_of,
    text_parameter,
)
from solomon_stand_in.requests_in import json_body
from solomon_stand_in.selection import selector_of
from solomon_stand_in.store import Period, Series, Store
from solomon_stand_in.tokens import TokenDesk

MAX_SERIES_IN_ANSWER = 500
MAX_POINTS_IN_ANSWER = 1_000_000
DEFAULT_PAGE_SIZE = 1000
MAX_PAGE_SIZE = 10_000

# There is one cluster of ours, so `forceCluster` changes nothing.
_META_PARAMETERS = ("selectors", "from", "to", "forceCluster", "pageSize", "page")
_DATA_PARAMETERS = ("program", "from", "to", "forceCluster", "downsampling")

Answer = Mapping[str, object]
Reading = Callable[[Store, str, Parameters], Answer]


@dataclass(frozen=True)
class _Routes:
    store: Store
    desk: TokenDesk

    async def push(self, request: Request) -> Response:
        self.desk.check_request(request, "oauth")
        parameters = parameters_of_query(request.query_params.multi_items(), known=SHARD_LABELS)
        shard = shard_of(parameters)
        body = await json_body(request)
        now = datetime.now(UTC)
        metrics = await run_in_threadpool(metrics_of, body, now=now)
        taken = metrics[: max(0, len(metrics) - not_taken(request))]
        await run_in_threadpool(self.store.write, shard, taken, now=now)
        return JSONResponse({"sensorsProcessed": len(taken)})

    async def read(self, request: Request, *, known: tuple[str, ...], reading: Reading) -> Response:
        self.desk.check_request(request, "oauth")
        parameters: Parameters
        if request.method == "POST":
            parameters = parameters_of_body(await json_body(request), known=known)
        else:
            parameters = parameters_of_query(request.query_params.multi_items(), known=known)
        project = request.path_params["project"]
        return JSONResponse(await run_in_threadpool(reading, self.store, project, parameters))


def classic_routes(store: Store, desk: TokenDesk) -> list[Route]:
    """The routes; tokens are OAuth tokens."""
    routes = _Routes(store, desk)
    sensors = "/api/v2/projects/{project}/sensors"

    def reading_route(path: str, known: tuple[str, ...], reading: Reading) -> Route:
        async def endpoint(request: Request) -> Response:
            return await routes.read(request, known=known, reading=reading)

        return Route(path, endpoint, methods=["GET", "POST"])

    return [
        Route("/api/v2/push", routes.push, methods=["POST"]),
        reading_route(f"{sensors}/names", _META_PARAMETERS, _names),
        reading_route(sensors, _META_PARAMETERS, _series),
        reading_route(f"{sensors}/labels", _META_PARAMETERS, _labels),
        reading_route(f"{sensors}/data", _DATA_PARAMETERS, _data),
    ]


def _names(store: Store, project: str, parameters: Parameters) -> Answer:
    found = _selected(store, project, parameters)
    return {"names": sorted({series.all_labels["name"] for series in found})}


def _series(store: Store, project: str, parameters: Parameters) -> Answer:
    found = _selected(store, project, parameters)
    size = count_parameter(parameters, "pageSize", default=DEFAULT_PAGE_SIZE, maximum=MAX_PAGE_SIZE)
    page = count_parameter(parameters, "page", default=0, maximum=10**9)
    if size == 0:
        raise ParameterError("parameter pageSize must not be 0")
    shown = found[page * size : (page + 1) * size]
    return {
        "result": [
            {"labels": series.all_labels, "type": _type_name(series.type)} for series in shown
        ],
        "page": {"pagesCount": math.ceil(len(found) / size), "totalCount": len(found)},
    }


def _labels(store: Store, project: str, parameters: Parameters) -> Answer:
    found = [series.all_labels for series in _selected(store, project, parameters)]
    names = sorted({name for labels in found for name in labels})
    return {
        "labels": [
            {
                "name": name,
                "values": sorted({labels[name] for labels in found if name in labels}),
                "absent": any(name not in labels for labels in found),
            }
            for name in names
        ],
        "totalCount": len(found),
    }


def _data(store: Store, project: str, parameters: Parameters) -> Answer:
    program = text_parameter(parameters, "program")
    if not program:
        raise ParameterError("parameter program is missing")
    if parameters.get("downsampling", {"disabled": True}) != {"disabled": True}:
        raise ParameterError('downsampling is not supported here; only {"disabled": true}')
    period = period_of(parameters) or Period()
    found = store.series(selector_of(program), project=project, period=period)
    if len(found) > MAX_SERIES_IN_ANSWER:
        raise TooMuchError(f"more than {MAX_SERIES_IN_ANSWER} series in one answer")
    points = store.points(found, period=period, limit=MAX_POINTS_IN_ANSWER)
    return {"vector": [{"timeseries": _timeseries(one, points[one.id])} for one in found]}


def _timeseries(series: Series, points: list[Point]) -> Answer:
    return {
        "kind": _type_name(series.type),
        "type": _type_name(series.type),
        "labels": series.all_labels,
        "timestamps": [point.milliseconds for point in points],
        "values": [_as_json(point.value) for point in points],
    }


def _selected(store: Store, project: str, parameters: Parameters) -> list[Series]:
    selector = selector_of(text_parameter(parameters, "selectors"))
    return store.series(selector, project=project, period=period_of(parameters))


def _type_name(metric_type: MetricType) -> str:
    return "DGAUGE" if metric_type is MetricType.GAUGE else metric_type


def _as_json(value: object) -> object:
    """The value with texts for what JSON has no numbers for, as Solomon's encoder writes it."""
    if isinstance(value, Mapping):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # nan, inf, -inf
    return value

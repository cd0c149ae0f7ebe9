"""Routes of the cloud dialect: write, read, and what series there are. Thin, as those of the classic one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from solomon_stand_in.cloud_body import metrics_of
from solomon_stand_in.downsampling import Downsampling, downsampling_of
from solomon_stand_in.errors import ParameterError, TooMuchError
from solomon_stand_in.faults import not_taken
from solomon_stand_in.json_nodes import Node, parsed
from solomon_stand_in.labels import problem_of_value
from solomon_stand_in.metric_values import MetricType
from solomon_stand_in.metrics import Point, Shard
from solomon_stand_in.parameters import (
    Parameters,
    count_parameter,
    parameters_of_query,
    period_of,
    text_parameter,
)
from solomon_stand_in.requests_in import json_body
from solomon_stand_in.selection import Selector, selector_of
from solomon_stand_in.store import Period, Series, Store
from solomon_stand_in.tokens import TokenDesk

MAX_SERIES_IN_ANSWER = 500
MAX_POINTS_IN_ANSWER = 1_000_000
_MAX_ID_LENGTH = 50
_META_PARAMETERS = ("folderId", "selectors", "fromTime", "toTime", "pageSize", "pageToken")
_SCHEMES = ("bearer", "api-key")

Answer = Mapping[str, object]


@dataclass(frozen=True)
class _Routes:
    store: Store
    desk: TokenDesk

    async def write(self, request: Request) -> Response:
        self.desk.check_request(request, *_SCHEMES)
        query = request.query_params.multi_items()
        parameters = parameters_of_query(query, known=("folderId", "service"))
        folder, service = _identifier(parameters, "folderId"), _identifier(parameters, "service")
        body = await json_body(request)
        now = datetime.now(UTC)
        metrics = await run_in_threadpool(metrics_of, body, now=now)
        refused = min(not_taken(request), len(metrics))
        taken = metrics[: len(metrics) - refused]
        await run_in_threadpool(self.store.write, Shard(folder, folder, service), taken, now=now)
        answer = {"writtenMetricsCount": str(len(taken))}
        if refused:
            answer["errorMessage"] = f"{refused} metrics were not written"
        return JSONResponse(answer)

    async def read(self, request: Request) -> Response:
        self.desk.check_request(request, *_SCHEMES)
        query = request.query_params.multi_items()
        folder = _identifier(parameters_of_query(query, known=("folderId",)), "folderId")
        known = ("query", "fromTime", "toTime", "downsampling")
        fields = parsed(await json_body(request)).fields(known, of="request")
        return JSONResponse(await run_in_threadpool(_read, self.store, folder, fields))

    async def meta(
        self, request: Request, *, extra: tuple[str, ...], reading: Callable[..., Answer]
    ) -> Response:
        self.desk.check_request(request, *_SCHEMES)
        query = request.query_params.multi_items()
        parameters = parameters_of_query(query, known=(*_META_PARAMETERS, *extra))
        found = await run_in_threadpool(_selected, self.store, parameters)
        return JSONResponse(reading(found, parameters, **request.path_params))


def cloud_routes(store: Store, desk: TokenDesk) -> list[Route]:
    """The routes; tokens are IAM tokens or API keys."""
    routes = _Routes(store, desk)

    def meta_route(path: str, reading: Callable[..., Answer], *extra: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return await routes.meta(request, extra=extra, reading=reading)

        return Route(f"/monitoring/v2/metrics{path}", endpoint)

    return [
        Route("/monitoring/v2/data/write", routes.write, methods=["POST"]),
        Route("/monitoring/v2/data/read", routes.read, methods=["POST"]),
        meta_route("", _metrics),
        meta_route("/names", _names, "nameFilter"),
        meta_route("/labels/{key}/values", _label_values, "valueFilter"),
    ]


def _read(store: Store, folder: str, fields: Mapping[str, Node]) -> Answer:
    values = {name: node.value for name, node in fields.items()}
    period = _period(values)
    if period is None:
        raise ParameterError("fromTime and toTime are missing")
    query = text_parameter(values, "query")
    if not query:
        raise ParameterError("query is missing")
    downsampling = downsampling_of(fields.get("downsampling"), period)
    found = _series(store, folder, query, period)
    if len(found) > MAX_SERIES_IN_ANSWER:
        raise TooMuchError(f"more than {MAX_SERIES_IN_ANSWER} series in one answer")
    points = store.points(found, period=period, limit=MAX_POINTS_IN_ANSWER)
    return {"metrics": [_timeseries(one, points[one.id], downsampling) for one in found]}


def _timeseries(series: Series, points: list[Point], downsampling: Downsampling) -> Answer:
    rows = downsampling.rows(points)
    # A grid of averages is no grid of integers.
    whole = series.type is MetricType.IGAUGE and not downsampling.interval
    key = "int64Values" if whole else "doubleValues"
    return {
        **_description(series),
        "timeseries": {
            "timestamps": [moment for moment, _ in rows],
            key: [value for _, value in rows],
        },
    }


def _description(series: Series) -> dict[str, object]:
    labels = _labels(series)
    name = labels.pop("name")
    shown = "DGAUGE" if series.type is MetricType.GAUGE else str(series.type)
    return {"name": name, "labels": labels, "type": shown}


def _labels(series: Series) -> dict[str, str]:
    own = dict(series.labels)
    return {"folderId": series.shard.project, "service": series.shard.service, **own}


def _metrics(found: list[Series], parameters: Parameters) -> Answer:
    shown, token = _page([_description(series) for series in found], parameters)
    return {"metrics": shown, "nextPageToken": token}


def _names(found: list[Series], parameters: Parameters) -> Answer:
    part = text_parameter(parameters, "nameFilter")
    names = sorted({_labels(series)["name"] for series in found})
    shown, token = _page([name for name in names if part in name], parameters)
    return {"names": shown, "nextPageToken": token}


def _label_values(found: list[Series], parameters: Parameters, key: str) -> Answer:
    part = text_parameter(parameters, "valueFilter")
    all_labels = [_labels(series) for series in found]
    values = sorted({labels[key] for labels in all_labels if key in labels})
    shown, token = _page([value for value in values if part in value], parameters)
    return {
        "values": shown,
        "metricsCount": str(len(found)),
        "absent": any(key not in labels for labels in all_labels),
        "nextPageToken": token,
    }


def _page(items: Sequence[object], parameters: Parameters) -> tuple[list[object], str]:
    """A page of the items, and the token of the next one: where it begins."""
    size = count_parameter(parameters, "pageSize", default=30, maximum=10_000) or 30
    begin = count_parameter(parameters, "pageToken", default=0, maximum=10**9)
    end = begin + size
    return list(items[begin:end]), str(end) if end < len(items) else ""


def _selected(store: Store, parameters: Parameters) -> list[Series]:
    folder = _identifier(parameters, "folderId")
    return _series(store, folder, text_parameter(parameters, "selectors"), _period(parameters))


def _series(store: Store, folder: str, text: str, period: Period | None) -> list[Series]:
    # The store knows a folder as the project of its shards.
    conditions = tuple(
        replace(condition, label="project") if condition.label == "folderId" else condition
        for condition in selector_of(text).conditions
    )
    found = store.series(Selector(conditions), project=folder, period=period)
    return [series for series in found if series.shard.cluster == folder]


def _period(parameters: Parameters) -> Period | None:
    names = {"fromTime": "from", "toTime": "to"}
    return period_of({names[name]: parameters[name] for name in names if name in parameters})


def _identifier(parameters: Parameters, name: str) -> str:
    value = text_parameter(parameters, name)
    if not value or len(value) > _MAX_ID_LENGTH:
        raise ParameterError(f"parameter {name} must have 1 to {_MAX_ID_LENGTH} characters")
    if problem := problem_of_value(value):
        raise ParameterError(f"parameter {name}: {problem}")
    return value

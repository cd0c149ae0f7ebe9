"""The page for people: which shards and series there are, their last values and how they went lately."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from solomon_stand_in.errors import SelectorError
from solomon_stand_in.graphs import HEIGHT, WIDTH, curve_of, line_of
from solomon_stand_in.metrics import Point
from solomon_stand_in.requests_in import check_page_token
from solomon_stand_in.selection import Selector, selector_of
from solomon_stand_in.store import RETENTION, Series, Store
from solomon_stand_in.timestamps import milliseconds_of

MAX_SERIES_ON_PAGE = 200
POINTS_PER_SERIES = 240  # an hour on a grid of 15 seconds
# Nothing from outside, no script at all; the styles and the lines are in the page itself.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Cache-Control": "no-store",
}

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
)


@dataclass(frozen=True)
class Row:
    """One series as the page shows it."""

    name: str
    labels: str
    type: str
    last_value: str
    age: str
    line: str


def row_of(series: Series, points: list[Point], *, now: datetime) -> Row:
    """The row of a series with its newest points."""
    last = points[-1] if points else None
    rest = (f'{label}="{value}"' for label, value in series.all_labels.items() if label != "name")
    return Row(
        name=series.all_labels["name"],
        labels=", ".join(rest),
        type=series.type,
        last_value=json.dumps(last.value) if last else "",
        age=_age(now, last.milliseconds) if last else "",
        line=line_of(curve_of(series.type, points)),
    )


def page_routes(store: Store, token: str | None) -> list[Route]:
    """The route of the page; a token is asked for if there is one given."""

    async def page(request: Request) -> Response:
        if token is not None:
            check_page_token(request, token)
        selector = request.query_params.get("selector", "")
        html = await run_in_threadpool(_html, store, selector, now=datetime.now(UTC))
        return HTMLResponse(html, headers=_HEADERS)

    return [Route("/", page)]


def _html(store: Store, selector_text: str, *, now: datetime) -> str:
    problem = ""
    selector: Selector | None = None
    try:
        selector = selector_of(selector_text)
    except SelectorError as error:
        problem = str(error)
    found = store.series(selector) if selector else []
    shown = found[:MAX_SERIES_ON_PAGE]
    points = store.latest_points(shown, limit=POINTS_PER_SERIES)
    return _templates.get_template("series.html").render(
        selector=selector_text,
        problem=problem,
        shards=store.shards(),
        count=len(found),
        rows=[row_of(series, points[series.id], now=now) for series in shown],
        width=WIDTH,
        height=HEIGHT,
        retention_hours=RETENTION // timedelta(hours=1),
    )


def _age(now: datetime, milliseconds: int) -> str:
    seconds = (milliseconds_of(now) - milliseconds) // 1000
    return f"{timedelta(seconds=seconds)}" if seconds >= 0 else f"in {timedelta(seconds=-seconds)}"

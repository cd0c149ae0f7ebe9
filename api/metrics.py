"""What this process of the API tells Prometheus about itself: requests by route, who waits, builds, reports, the database's connections."""

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

PREFIX = "mr_prober_api_"
_API = "/api/v1"
Figures = Callable[[], dict[str, float]]
_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


class Metrics:
    """Counts of one process; with several workers each answers with its own."""

    def __init__(self, gauges: Figures, totals: Figures) -> None:
        """`gauges` gives the figures of the moment by their names without prefix, `totals` what only grows."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            f"{PREFIX}requests",
            "answers by method, route and status",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            f"{PREFIX}request_seconds",
            "time from a request to the end of its answer, seconds; held requests are in it, too",
            ["method", "route"],
            buckets=_BOUNDS,
            registry=self._registry,
        )
        self._builds = Histogram(
            f"{PREFIX}document_build_seconds",
            "time to build a configuration document, seconds; waiting for its turn is in it, too",
            buckets=_BOUNDS,
            registry=self._registry,
        )
        self._registry.register(_Others(gauges, totals))
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request has been answered; `route` as `route_of` names it."""
        # Whatever a stranger calls a method must not become a series of its own.
        method = method if method in _METHODS else "other"
        key = (method, route, status)
        known = self._known.get(key)
        if known is None:
            # As many as there are routes and statuses; looking them up anew would cost more than the rest.
            known = self._known[key] = (
                self._requests.labels(method, route, str(status)),
                self._seconds.labels(method, route),
            )
        known[0].inc()
        known[1].observe(seconds)

    def note_build(self, seconds: float) -> None:
        """A document was built; from any thread."""
        self._builds.observe(seconds)

    def text(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Others(Collector):
    """What somebody else counts."""

    def __init__(self, gauges: Figures, totals: Figures) -> None:
        self._gauges = gauges
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        for name, value in self._gauges().items():
            yield GaugeMetricFamily(f"{PREFIX}{name}", name.replace("_", " "), value=value)
        for name, value in self._totals().items():
            yield CounterMetricFamily(f"{PREFIX}{name}", name.replace("_", " "), value=value)


def route_of(scope: Scope) -> str:
    """The template of the route that answered, `/api/v1/clusters/{slug}`: as many as there are routes, not objects."""
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        is_of_api = scope["path"].startswith(f"{_API}/") and not route.startswith(_API)
        return f"{_API}{route}" if is_of_api else str(route)
    if "endpoint" not in scope:
        return "none"
    if scope.get("root_path"):  # below a mounted folder
        return f"{scope['root_path']}/…"
    return _with_names(scope["path"], scope.get("path_params", {}))


def _with_names(path: str, parameters: dict[str, Any]) -> str:
    segments = path.split("/")
    for name, value in parameters.items():
        # From the end: `clusters` may be the slug of a cluster.
        position = len(segments) - 1 - segments[::-1].index(str(value))
        segments[position] = f"{{{name}}}"
    return "/".join(segments)

"""The two measures of the API: agents that ask for news, agents that report."""

import json
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from time import monotonic
from uuid import uuid4

import requests
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.api.fleet import ROOT, SERVER_KEY, FleetCluster, make_fleet
from benchmarks.api.floor import CLUSTER_VARIABLE, DATABASE_VARIABLE
from benchmarks.api.load import Outcome, Request, run_load
from benchmarks.api.servers import Server, http_session, running
from benchmarks.measurement import RateMeasurement

_SECONDS = 3
_ROUNDS = 2
_AGENTS_PER_CLUSTER = 25
# So many that none reports twice in one batch, at any rate that we may reach.
_REPORTING_AGENTS = 3_000
_STATES = 100
_ONE_MALFORMED_IN = 100


@dataclass
class _Bench:
    """Floor and ours side by side on one database."""

    folder: Path
    clusters: list[FleetCluster]
    floor: Server
    ours: Server
    admin: requests.Session
    seen: list[str] = field(default_factory=list)

    def counted(self, name: str, **labels: str) -> float:
        """A figure that our server gives about itself, all series with these labels together."""
        answer = self.admin.get(f"{self.ours.url}/metrics", timeout=30)
        answer.raise_for_status()
        return sum(
            sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name == f"mr_prober_api_{name}" and labels.items() <= sample.labels.items()
        )

    def alternate(self, load: list[Request]) -> tuple[Outcome, Outcome]:
        """The best of each, measured in turn, so that a disturbance meets both."""
        floors, ours = [], []
        for _ in range(_ROUNDS):
            floors.append(run_load(self.floor, load, _SECONDS, self.folder))
            ours.append(run_load(self.ours, load, _SECONDS, self.folder))
        return max(floors, key=lambda one: one.rate_per_core), max(
            ours, key=lambda one: one.rate_per_core
        )


def measure() -> list[RateMeasurement]:
    """About 45 seconds."""
    with tempfile.TemporaryDirectory(prefix="mr-prober-bench-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'bench.sqlite'}"
        clusters = make_fleet(url)
        floor_environment = {DATABASE_VARIABLE: url, CLUSTER_VARIABLE: str(clusters[0].id)}
        arguments = ["-m", "uvicorn", "benchmarks.api.floor:application", "--port", "{port}", "--no-access-log", "--no-server-header", "--log-level", "warning"]  # fmt: skip
        environment = {
            "MR_PROBER_DATABASE_URL": url,
            "MR_PROBER_DATA_DIR": str(folder),
            "MR_PROBER_SERVER_KEY": SERVER_KEY,
            "MR_PROBER_API_PORT": "{port}",
        }
        with (
            running(arguments, floor_environment, folder) as floor,
            running([str(ROOT / "api" / "main.py")], environment, folder) as ours,
        ):
            admin = http_session((folder / "admin.key").read_text().strip())
            bench = _Bench(folder, clusters, floor, ours, admin)
            # The first documents are built and published once in the life of an installation.
            _until(lambda: len(list(folder.glob("published/*/*.sig"))) == len(clusters))
            return [_nothing_new(bench), _reports(bench)]


def _nothing_new(bench: _Bench) -> RateMeasurement:
    load = [
        Request("GET", cluster.configuration, cluster.token, etag)
        for cluster, etag in _etags(bench)
    ] * _AGENTS_PER_CLUSTER
    stop = threading.Event()
    writers = [
        threading.Thread(target=work, args=(bench, stop)) for work in (_change_clusters, _watch)
    ]
    for writer in writers:
        writer.start()
    try:
        floor, ours = bench.alternate(load)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    # The agents of the cluster whose token was taken away are refused, those of changed ones get documents.
    refused = f"{ours.refused / ours.answers:.1%} refused after the token was replaced"
    of_route = {"route": "/api/v1/clusters/{slug}/configuration"}
    all_answers = bench.counted("requests_total", **of_route)
    share = bench.counted("requests_total", status="304", **of_route) / all_answers
    if share < 0.95:
        raise RuntimeError(f"only {share:.1%} of the answers were 304")
    return _row(
        "configuration: nothing new (304), 5,000 agents of 200 clusters",
        "bare Starlette, constant 304",
        (floor, ours),
        "; ".join([*bench.seen, refused, f"{share:.1%} of the answers were 304"]),
    )


def _etags(bench: _Bench) -> list[tuple[FleetCluster, str]]:
    session = http_session()
    etags = []
    for cluster in bench.clusters:
        headers = {"Authorization": f"Bearer {cluster.token}"}
        answer = session.get(
            f"{bench.ours.url}{cluster.configuration}", headers=headers, timeout=30
        )
        answer.raise_for_status()
        etags.append((cluster, answer.headers["ETag"]))
    return etags


def _change_clusters(bench: _Bench, stop: threading.Event) -> None:
    """1 % of the clusters per minute: two."""
    for number, cluster in product(range(10), bench.clusters[-2:]):
        _set_variable(bench, cluster, number)
        if stop.wait(30):
            return


def _set_variable(bench: _Bench, cluster: FleetCluster, value: int) -> None:
    url = f"{bench.ours.url}/api/v1/clusters/{cluster.slug}/variables/x"
    headers = {"If-Match": "*"} if bench.admin.get(url, timeout=30).ok else {}
    answer = bench.admin.put(url, json={"value": value}, headers=headers, timeout=30)
    answer.raise_for_status()


def _watch(bench: _Bench, stop: threading.Event) -> None:
    """A change and a lost token are seen while the load goes on."""
    changed, locked_out = bench.clusters[0], bench.clusters[1]
    stop.wait(1)
    etag = _ask(bench, changed).headers["ETag"]
    _set_variable(bench, changed, 1)
    seconds = _until(lambda: _ask(bench, changed, etag).status_code == 200)
    bench.seen.append(f"a change seen after {seconds:.1f} s")
    for _ in range(2):
        url = f"{bench.ours.url}/api/v1/clusters/{locked_out.slug}/agent-token/rotate"
        headers = {"If-Match": "*"}
        answer = bench.admin.post(url, json={"force": True}, headers=headers, timeout=30)
        answer.raise_for_status()
    seconds = _until(lambda: _ask(bench, locked_out).status_code == 403)
    bench.seen.append(f"a replaced token refused after {seconds:.1f} s")


def _ask(bench: _Bench, cluster: FleetCluster, etag: str = "") -> requests.Response:
    session = http_session(cluster.token)
    url = f"{bench.ours.url}{cluster.configuration}"
    return session.get(url, headers={"If-None-Match": etag} if etag else {}, timeout=30)


def _until(condition: Callable[[], bool]) -> float:
    started = monotonic()
    pause = threading.Event()
    while not condition():
        if monotonic() - started > 20:
            raise RuntimeError("it was not seen during the measurement")
        pause.wait(0.05)
    return monotonic() - started


def _reports(bench: _Bench) -> RateMeasurement:
    cluster = bench.clusters[0]
    load = []
    for number in range(_REPORTING_AGENTS):
        body = bench.folder / f"report-{number}.json"
        body.write_text(_report(number) if number % _ONE_MALFORMED_IN else _malformed(number))
        load.append(Request("POST", cluster.reports, cluster.token, body=body))
    floor, ours = bench.alternate(load)
    for outcome in (floor, ours):
        share = outcome.refused * _ONE_MALFORMED_IN / outcome.answers
        if not 0.8 <= share <= 1.2:
            raise RuntimeError(f"1 % of the reports is malformed, but {share:.2f} % are refused")
    _until(lambda: bench.counted("waiting_reports") == 0)
    route = {"route": "/api/v1/clusters/{slug}/reports"}
    accepted = bench.counted("requests_total", status="204", **route)
    written, lost = bench.counted("written_reports_total"), bench.counted("lost_reports_total")
    return _row(
        f"reports of {_STATES} prober states",
        "validate and upsert one row per request",
        (floor, ours),
        f"every malformed report (1 %) refused with 422; {written / accepted:.1%} of the accepted written, {lost:.0f} lost",
    )


def _malformed(number: int) -> str:
    """In turn no JSON at all, and JSON with one mistake in its last state."""
    if number // _ONE_MALFORMED_IN % 2 == 0:
        return "{"
    report = json.loads(_report(number))
    report["probers"][-1]["states"] = "7"
    return json.dumps(report)


def _report(number: int) -> str:
    now = datetime.now(UTC).isoformat()
    probers = [
        {"prober_id": str(uuid4()), "revision": 1, "states": "0", "last_run_at": now}
        for _ in range(_STATES)
    ]
    return json.dumps(
        {
            "instance": str(uuid4()),
            "boot": 1,
            "host": f"host-{number}",
            "version": "1",
            "clock": now,
            "probers": probers,
        }
    )


def _row(
    what: str, floor_name: str, outcomes: tuple[Outcome, Outcome], notes: str
) -> RateMeasurement:
    floor, ours = outcomes
    return RateMeasurement(
        what=what,
        floor=floor_name,
        floor_rate=floor.rate,
        our_rate=ours.rate,
        floor_rate_per_core=floor.rate_per_core,
        our_rate_per_core=ours.rate_per_core,
        server_cpu=(floor.server_cpu, ours.server_cpu),
        generator=ours.generator,
        generator_cpu=(floor.generator_cpu, ours.generator_cpu),
        notes=notes,
    )

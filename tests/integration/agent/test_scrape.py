"""The scrape endpoint: over HTTP, checked by promtool, and scraped by a real Prometheus."""

import json
import shutil
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from agent.metrics import MetricBook
from agent.own_figures import AgentFigures, agent_points
from agent.sinks.port import Batch, SinkFigures
from agent.sinks.scrape import ScrapeSink
from common import processes
from common.contracts.states import Outcome, State
from common.solomon.points import Kind, Point
from tests.integration.agent.stand_ins import wait_until
from tests.integration.needs import need
from tests.ports import free_ports
from tests.unit.agent.factories import SECOND_NS, host_plan, planned, run_key, run_result

AT = datetime.now(UTC)
PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin"


@pytest.fixture
def _prometheus() -> None:
    found = shutil.which("prometheus", path=PATH) and shutil.which("promtool", path=PATH)
    need(found, "prometheus and promtool: Debian's package prometheus, which `make test` unpacks")


@pytest.fixture
def sink() -> Iterator[ScrapeSink]:
    made = ScrapeSink(0)
    made.start()
    yield made
    made.close(time_limit_seconds=20)


def book() -> MetricBook:
    made = MetricBook()
    made.apply(host_plan(planned(1), planned(2)), 0)
    for outcome in (*Outcome, Outcome.SUCCESS):
        made.record(run_result(outcome), State.SUCCESS)
    return made


def cell(made: MetricBook, at: datetime = AT) -> Batch:
    figures = AgentFigures(1.0, 2, 3, {"bug": 0}, 1.0, 1000, SinkFigures())
    points = made.close_cell(100 * SECOND_NS) + agent_points(figures)
    return Batch(at, points, {"cluster_slug": "demo", "host": "h1"})


def get(url: str, accept: str = "") -> requests.Response:
    return requests.get(url, headers={"Accept": accept}, timeout=20)


def test_shows_the_newest_cell_in_the_format_that_is_asked_for(sink: ScrapeSink) -> None:
    sink.accept(cell(book()))
    text = get(sink.url)
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'mr_prober_runs_total{cluster_slug="demo",host="h1",outcome="success",prober_slug="prober-1"} ' in text.text  # fmt: skip
    open_metrics = get(sink.url, "application/openmetrics-text; version=1.0.0")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")
    assert get(sink.url.removesuffix("/metrics")).status_code == 404


def test_nobody_else_reaches_it_and_a_port_that_is_taken_is_said(sink: ScrapeSink) -> None:
    port = int(sink.url.split(":")[2].split("/")[0])
    assert sink._server.socket.getsockname() == ("127.0.0.1", port)
    with pytest.raises(OSError, match="Address already in use"):
        ScrapeSink(port)


def test_callers_that_never_ask_do_not_stay(sink: ScrapeSink) -> None:
    sink.accept(cell(book()))
    address = ("127.0.0.1", sink._server.server_port)
    silent = [socket.create_connection(address) for _ in range(20)]
    # Those beyond the bound are hung up on at once; the others keep their seats only for some seconds.
    silent[-1].settimeout(20)
    assert silent[-1].recv(1) == b""
    for connection in silent:
        connection.close()
    wait_until(lambda: _answers(sink.url))


def _answers(url: str) -> bool:
    try:
        return get(url).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.mark.usefixtures("_prometheus")
def test_promtool_finds_nothing_to_complain_about(sink: ScrapeSink, tmp_path: Path) -> None:
    sink.accept(cell(book()))
    exposed, said = tmp_path / "metrics", tmp_path / "said"
    exposed.write_text(get(sink.url).text)
    promtool = str(shutil.which("promtool", path=PATH))
    with exposed.open("rb") as text, said.open("wb") as output:
        process = processes.start(
            [promtool, "check", "metrics"], environment={}, cwd=tmp_path, stdin=text, stdout=output, stderr=output,
        )  # fmt: skip
    assert (process.wait(60), said.read_text()) == (0, "")


@pytest.mark.usefixtures("_prometheus")
def test_a_real_prometheus_reads_counters_histograms_and_the_end_of_a_series(
    sink: ScrapeSink, tmp_path: Path
) -> None:
    made = book()
    printed = Point("rtt_ms", Kind.GAUGE, 1.5, {"target": 'a "quoted" \\ value'})
    first = cell(made)
    sink.accept(Batch(first.at, [*first.points, printed], first.common_labels))
    with _running_prometheus(tmp_path, sink.url) as ask:
        wait_until(lambda: ask("up") == [1.0], seconds=60)
        assert ask('mr_prober_runs_total{outcome="success",prober_slug="prober-1"}') == [2.0]
        assert ask('mr_prober_run_seconds_bucket{le="0.02",prober_slug="prober-1"}') == [5.0]
        [median] = ask(
            'histogram_quantile(0.5, mr_prober_run_seconds_bucket{prober_slug="prober-1"})'
        )
        assert 0.01 < median <= 0.02
        [total] = ask('mr_prober_run_seconds_sum{prober_slug="prober-1"}')
        assert total == pytest.approx(0.1)
        assert ask("rtt_ms") == [1.5]
        made.apply(host_plan(planned(1)), 0)
        made.record(run_result(key=run_key(1)), State.SUCCESS)
        sink.accept(cell(made, AT + timedelta(seconds=15)))
        wait_until(lambda: ask('mr_prober_state{prober_slug="prober-2"}') == [6.0], seconds=60)
        assert ask('mr_prober_runs_total{outcome="success",prober_slug="prober-1"}') == [3.0]
        assert ask("rtt_ms") == []


class _running_prometheus:  # noqa: N801 - a context manager, named as a function
    """Scrapes one address every half second; inside, a function from a query to its values."""

    def __init__(self, folder: Path, url: str) -> None:
        self._address = f"127.0.0.1:{free_ports(1)[0]}"
        target = url.removeprefix("http://").removesuffix("/metrics")
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
            "scrape_configs": [{"job_name": "agent", "static_configs": [{"targets": [target]}]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        with (folder / "prometheus.log").open("wb") as log:
            self._process = processes.start(
                [
                    str(shutil.which("prometheus", path=PATH)),
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address={self._address}",
                ],
                environment={},
                cwd=folder,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> "_running_prometheus":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def __call__(self, query: str) -> list[float]:
        try:
            answer = requests.get(
                f"http://{self._address}/api/v1/query", params={"query": query}, timeout=20
            )
        except requests.ConnectionError:
            return []
        if answer.status_code != 200:
            return []
        return [float(result["value"][1]) for result in answer.json()["data"]["result"]]

"""The recipe `local-netns` through Creator and the real terraform: real packets, really lost."""

import http.server
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from math import comb
from pathlib import Path

import psutil
import pytest

from agent.outputs.printed import Bounds
from agent.outputs.prometheus import prometheus_samples
from common.contracts.clusters import ClusterState
from common.processes import PIPE, start
from database.session import Database
from tests.integration.creator.installation import Installation
from tests.integration.needs import need

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "configs/recipes/local-netns"
# What the agent does on a machine: it asks the API, then goes on.
STUB_AGENT = """
import os, pathlib, time, urllib.request
folder = pathlib.Path(os.environ["MR_PROBER_AGENT_DIR"])
folder.mkdir(exist_ok=True)
answer = urllib.request.urlopen(os.environ["MR_PROBER_API_URL"] + "/health/live").read()
(folder / "draft").write_bytes(answer)
(folder / "draft").replace(folder / "answer")
time.sleep(600)
"""
LOSS = 0.2
# Neither bound is reached by chance once in a million runs.
ERROR = 1e-6 / 4


def can_make_namespaces() -> bool:
    """Root, with iproute2, in a kernel that lets it."""
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("tc"):
        return False
    with (Path("/dev/null")).open("wb") as nothing:
        return (
            start(["unshare", "--net", "true"], environment={}, cwd=Path("/"), stderr=nothing).wait(
                10
            )
            == 0
        )


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    need(can_make_namespaces(), "root on Linux and iproute2, for network namespaces")


class Health(http.server.BaseHTTPRequestHandler):
    """Stands for the API."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"it is the API outside")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def api_url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def installation(sqlite_url: str, tmp_path: Path, api_url: str) -> Installation:
    home = tmp_path / "home"
    (home / "agent").mkdir(parents=True)
    (home / "agent/main.py").write_text(STUB_AGENT)
    made = Installation(Database(sqlite_url), tmp_path / "data", home)
    made.settings["api_url"] = api_url
    paths = [path for path in RECIPE.iterdir() if path.is_file() and path.name != "recipe.yaml"]
    made.add_recipe("local-netns", {path.name: path.read_text() for path in paths})
    made.add_cluster("net", "local-netns", {"hosts": 2, "loss_percent": 0})
    return made


def test_packets_are_lost_as_the_variable_says_and_nothing_stays(
    installation: Installation,
) -> None:
    before = _traces()
    try:
        assert installation.run_pass(), installation.deployments("net")[0].error
        assert sorted(installation.cluster("net").hosts) == ["net-1", "net-2"]
        _check_agents_reach_the_api(installation)
        _check_a_clean_link(installation)
        installation.set_variable("net", "loss_percent", 20)
        assert installation.run_pass(), installation.deployments("net")[0].error
        assert installation.deployments("net")[0].summary == {
            "create": 1,
            "change": 0,
            "destroy": 1,
        }
        _check_loss(installation)
    finally:
        installation.delete_cluster("net")
        installation.run_pass()
        installation.database.dispose()
    assert installation.cluster("net").state is ClusterState.DESTROYED
    assert _traces() == before
    assert not list((installation.data_folder / "machines").glob("net*"))


def _check_agents_reach_the_api(installation: Installation) -> None:
    for host in ("net-1", "net-2"):
        answer = installation.data_folder / "machines/net" / host / "agent/answer"
        _eventually(answer.exists)
        assert answer.read_text() == "it is the API outside"


def _check_a_clean_link(installation: Installation) -> None:
    for prober in ("icmp-ping/icmp_ping.py", "udp-echo/udp_echo.py"):
        metrics = _probed(
            installation, prober, "net-1", {"VAR_COUNT": "20", "VAR_PAUSE_SECONDS": "0"}
        )
        assert next(v for name, v in metrics.items() if name.endswith("_loss_ratio")) == 0


def _check_loss(installation: Installation) -> None:
    """Both directions: requests to the lossy machine, and answers to it."""
    quick = {"VAR_TIMEOUT_SECONDS": "1"}
    pings = quick | {"VAR_COUNT": "1000", "VAR_PAUSE_SECONDS": "0.0005"}
    datagrams = quick | {"VAR_COUNT": "10", "VAR_SOURCE_PORTS": "100", "VAR_PAUSE_SECONDS": "0.05"}
    for target in ("net-1", "net-2"):
        for prober, variables in (
            ("icmp-ping/icmp_ping.py", pings),
            ("udp-echo/udp_echo.py", datagrams),
        ):
            metrics = _probed(installation, prober, target, variables)
            ((sent, received),) = [
                (metrics[name], metrics[name.replace("_sent", "_received")])
                for name in metrics
                if name.endswith("_sent")
            ]
            assert sent == 1000
            low, high = _bounds(1000, LOSS)
            assert low <= sent - received <= high, (prober, target)


def _probed(
    installation: Installation, prober: str, target: str, variables: dict[str, str]
) -> dict[str, float]:
    """What the prober prints on the other machine than the target."""
    other = {"net-1": "net-2", "net-2": "net-1"}[target]
    keeper = int((installation.data_folder / "machines/net" / other / "keeper.pid").read_text())
    process = start(
        [
            "nsenter",
            f"--net=/proc/{keeper}/ns/net",
            sys.executable,
            str(ROOT / "configs/probers" / prober),
        ],
        environment={
            "PATH": os.defpath,
            "VAR_TARGET_ADDRESS": installation.cluster("net").hosts[target]["address"],
            "VAR_MACHINE_PORT": "8094",
            "VAR_ALLOWED_LOSS_PERCENT": "100",
            **variables,
        },
        cwd=ROOT,
        stdout=PIPE,
    )
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read().decode()
    assert process.wait(60) == 0
    samples = prometheus_samples(output.splitlines(keepends=True), Bounds()).samples
    return {sample.name: sample.value for sample in samples}


def _bounds(count: int, probability: float) -> tuple[int, int]:
    """Outside of these numbers there are with probability `ERROR`, on each side, of so many."""
    chances = [
        comb(count, lost) * probability**lost * (1 - probability) ** (count - lost)
        for lost in range(count // 2)
    ]
    low, below = 0, chances[0]
    while below < ERROR:
        low += 1
        below += chances[low]
    high, up_to = low, below
    while 1 - up_to > ERROR:
        high += 1
        up_to += chances[high]
    return low, high


def _traces() -> dict[str, set[str]]:
    """All that a machine could leave: namespaces, devices, processes."""
    names = Path("/run/netns")
    return {
        "namespaces": {path.name for path in names.iterdir()} if names.is_dir() else set(),
        "devices": {path.name for path in Path("/sys/class/net").iterdir()},
        "processes": {
            str(process.info["pid"])
            for process in psutil.process_iter(["pid", "cmdline"])
            if "local-netns" in json.dumps(process.info["cmdline"])
            or "machines/net/" in json.dumps(process.info["cmdline"])
        },
    }


def _eventually(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.02)

"""Meeseeks as a process: `--watch` through outages of both APIs and to its end, its metrics, and a build that is missing."""

import json
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from common import processes
from common.contracts.clusters import ClusterCreate
from common.contracts.files import FileUpload
from common.contracts.recipes import RecipeCreate
from tests.integration.needs import need
from tests.integration.tools.conftest import ROOT, RunningApi
from tests.integration.tools.meeseeks.compute_admin import ComputeAdmin, hanging
from tests.integration.tools.meeseeks.relay import Relay
from tools.meeseeks.node_service import Specs

COMMAND = [sys.executable, str(ROOT / "tools/meeseeks/main.py")]
BASE = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}


class Watcher:
    """`apply --watch` as a process; what it says is in two files."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.out, self.log = folder / "out.jsonl", folder / "log.txt"
        with self.out.open("wb") as out, self.log.open("wb") as log:
            self.process = processes.start(
                [*COMMAND, "apply", "--watch", "--interval", "0.2", "--json"],
                environment=BASE | environment, cwd=folder, stdout=out, stderr=log,
            )  # fmt: skip

    def wait_for(self, what: Callable[[], object]) -> object:
        """What the condition gives as soon as it is true."""
        ends_at = time.monotonic() + 90
        while time.monotonic() < ends_at:
            if found := what():
                return found
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text()[-3000:])

    def rounds(self) -> list[dict[str, Any]]:
        lines = self.out.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def next_outcome(self, outcome: str) -> None:
        """Wait for a round that ends like this after all that have ended now."""
        begin = len(self.rounds())
        self.wait_for(lambda: any(one["outcome"] == outcome for one in self.rounds()[begin:]))

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def relay(api: RunningApi) -> Iterator[Relay]:
    """The road to our API."""
    port = urlsplit(api.url).port
    assert port
    made = Relay(port)
    yield made
    made.end()


@pytest.fixture
def watcher(
    api: RunningApi,
    relay: Relay,
    admin: ComputeAdmin,
    meeseeks_environment: dict[str, str],
    tmp_path: Path,
) -> Iterator[Watcher]:
    """A watcher of 4 nodes."""
    client = api.client()
    main = FileUpload.of("main.tf", b"")
    client.create_recipe(RecipeCreate(slug="vms", files=[main]))
    client.create_cluster(ClusterCreate(slug="meeseeks", recipe="vms"))
    admin.fill(4)
    environment = meeseeks_environment | {
        "MR_PROBER_API_URL": f"http://127.0.0.1:{relay.port}",
        "MR_PROBER_MEESEEKS_METRICS_PORT": "0",
        "MR_PROBER_MEESEEKS_METRICS_FILE": str(tmp_path / "meeseeks.prom"),
    }
    made = Watcher(tmp_path, environment)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def nodes_in(api: RunningApi) -> int:
    value = api.client().cluster("meeseeks").variables.get("compute_nodes", [])
    assert isinstance(value, list)
    return len(value)


@pytest.mark.timeout(300)
def test_watches_through_outages_of_both_apis_until_it_is_told_to_end(
    api: RunningApi, relay: Relay, admin: ComputeAdmin, specs: Specs, watcher: Watcher
) -> None:
    watcher.wait_for(lambda: nodes_in(api) == 4)
    watcher.next_outcome("unchanged")
    admin.fill(5)
    watcher.wait_for(lambda: nodes_in(api) == 5)

    relay.close_road()
    watcher.next_outcome("failed")
    admin.fill(6)
    relay.open_road()
    watcher.wait_for(lambda: nodes_in(api) == 6)

    admin.stop()
    watcher.next_outcome("failed")
    again = ComputeAdmin(specs, port=admin.port)
    try:
        again.fill(7)
        watcher.wait_for(lambda: nodes_in(api) == 7)

        watcher.next_outcome("unchanged")
        metrics = _metrics_of(watcher)
        assert 'mr_prober_meeseeks_rounds_total{outcome="applied"} 4.0' in metrics
        assert "mr_prober_meeseeks_wanted_nodes 7.0" in metrics
        assert (
            "mr_prober_meeseeks_rounds_total" in (watcher.out.parent / "meeseeks.prom").read_text()
        )

        # In the middle of a page that never comes.
        begin = len(again.requests)
        again.always = hanging
        watcher.wait_for(lambda: len(again.requests) > begin)
        assert watcher.end() == 0
    finally:
        again.stop()
    said = watcher.log.read_text() + watcher.out.read_text()
    assert "planted-token" not in said
    assert "Traceback" not in said


def _metrics_of(watcher: Watcher) -> str:
    found = re.search(r"metrics url=(http://127\.0\.0\.1:\d+/metrics)", watcher.log.read_text())
    assert found
    with urllib.request.urlopen(found[1], timeout=60) as answer:  # noqa: S310 - of loopback
        text: str = answer.read().decode()
    return text


def test_told_to_end_while_nothing_answers_it_ends(
    admin: ComputeAdmin, admin_environment: dict[str, str], tmp_path: Path
) -> None:
    watcher = Watcher(
        tmp_path,
        admin_environment | {"MR_PROBER_API_URL": "http://127.0.0.1:1", "MR_PROBER_API_KEY": "k"},
    )
    watcher.wait_for(lambda: len(watcher.rounds()) > 1)
    assert watcher.end() == 0
    assert {one["outcome"] for one in watcher.rounds()} == {"failed"}
    assert admin.requests == []


def run_once(*arguments: str, program: str = "", **environment: str) -> tuple[int, str, str]:
    process = processes.start(
        [sys.executable, "-c", program, *arguments] if program else [*COMMAND, *arguments],
        environment=BASE | environment, cwd=ROOT, stdout=processes.PIPE, stderr=processes.PIPE,
    )  # fmt: skip
    out, errors = process.communicate(timeout=100)
    return process.returncode, out.decode(), errors.decode()


# Hides a build that the checkout of a developer may hold.
WITHOUT_BUILD = """
import sys
sys.modules["yandex"] = None
from tools.meeseeks.main import main
main()
"""
AS_IF_INSTALLED = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from tools.meeseeks.main import main
main()
"""


def test_a_missing_build_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    status, out, errors = run_once(
        "apply", program=WITHOUT_BUILD, MR_PROBER_PROTO_SPECS=str(tmp_path),
        MR_PROBER_COMPUTE_ADMIN_ENDPOINT="127.0.0.1:1",
    )  # fmt: skip
    assert (status, out) == (1, "")
    [line] = errors.splitlines()
    assert line.startswith(
        f"the Python of the proto specs is not built in {tmp_path}: run ./build_proto_specs.sh"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("raise TypeError('made for another protobuf')", "made for another protobuf"),
        ("ListNodesRequest = ListNodesResponse = None", "its NodeService is another one"),
    ],
)
def test_a_build_that_does_not_fit_is_one_line(tmp_path: Path, content: str, reason: str) -> None:
    package = tmp_path / "yandex/cloud/priv/compute/admin/v1"
    package.mkdir(parents=True)
    (package / "node_service_pb2.py").write_text(content)
    (package / "node_service_pb2_grpc.py").touch()
    # With the packages, a build of the checkout cannot come first.
    for folder in [package, *package.parents][:6]:
        (folder / "__init__.py").touch()
    status, _, errors = run_once(
        str(tmp_path), "plan", program=AS_IF_INSTALLED, MR_PROBER_PROTO_SPECS=str(tmp_path),
        MR_PROBER_COMPUTE_ADMIN_ENDPOINT="127.0.0.1:1",
    )  # fmt: skip
    assert status == 1
    [line] = errors.splitlines()
    assert "./build_proto_specs.sh" in line
    assert reason in line


def test_an_environment_without_grpc_is_told_how_to_get_it() -> None:
    status, out, errors = run_once(
        "plan", program=WITHOUT_BUILD.replace("yandex", "grpc"),
        MR_PROBER_COMPUTE_ADMIN_ENDPOINT="127.0.0.1:1",
    )  # fmt: skip
    assert (status, out) == (1, "")
    [line] = errors.splitlines()
    assert line.endswith("pip install -Ur requirements.txt")


def test_another_package_yandex_is_named(tmp_path: Path) -> None:
    package = tmp_path / "site-packages/yandex"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    status, _, errors = run_once(
        str(package.parent), "plan", program=AS_IF_INSTALLED, MR_PROBER_PROTO_SPECS=str(tmp_path),
        MR_PROBER_COMPUTE_ADMIN_ENDPOINT="127.0.0.1:1",
    )  # fmt: skip
    assert status == 1
    assert f"another package yandex hides it, {package}: uninstall yandexcloud" in errors


def test_help_needs_neither_a_build_nor_settings_and_has_examples(tmp_path: Path) -> None:
    status, out, errors = run_once(
        "--help", program=WITHOUT_BUILD, MR_PROBER_PROTO_SPECS=str(tmp_path)
    )
    assert (status, errors) == (0, "")
    assert "yc-mr-prober-meeseeks apply --watch" in out


def test_the_command_is_installed_beside_the_python_of_the_environment() -> None:
    command = Path(sys.executable).parent / "yc-mr-prober-meeseeks"
    need(command.exists(), "the project installed in the environment, as make does it")
    process = processes.start(
        [str(command), "--help"], environment={}, cwd=Path("/"), stdout=processes.PIPE
    )
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    assert "Examples:" in out.decode()

"""The compose file from start to end: green cells and their series, killed services, a stop in mid-apply, two of each, nothing left.

The tests are one story in this order; the last one ends the project.
"""

import shutil
import time
from collections.abc import Callable

import pytest
import requests

from common.api_client import ApiClient
from common.contracts.clusters import ClusterCreate, DeploymentState, VariablePut
from common.contracts.files import FileUpload
from common.contracts.recipes import RecipeCreate
from common.errors import ApiError
from tests.containers.compose import CLUSTER, Compose, is_all_green
from tests.containers.daemon import PATH, ROOT, Daemon, wait_until
from tests.integration.needs import need

pytestmark = pytest.mark.timeout(1200)
ASKS_THE_API = "http-get"  # its request may be the one that a killed API was answering
SLOW = """
variable "machines" {
  type = number
}

resource "terraform_data" "machine" {
  count            = var.machines
  triggers_replace = var.machines
  provisioner "local-exec" { command = "sleep 12" }
}

output "mr_prober_hosts" {
  value = { for number, machine in terraform_data.machine : "slow-${number}" => { address = "127.0.0.1", labels = {} } }
}
"""


def sees_green_cells_and_their_series(compose: Compose, port: int = 8080) -> None:
    client = compose.client(port)
    wait_until("green cells", lambda: is_all_green(client), seconds=180)
    wait_until(
        "series of both agents",
        lambda: {
            series["labels"]["host"]
            for series in compose.series(name="mr_prober_runs", prober_slug="icmp-ping", outcome="success")
        } == {"agent-1", "agent-2"},
        seconds=120,
    )  # fmt: skip


def test_one_command_starts_it_and_cells_are_green(compose: Compose) -> None:
    said = compose.make()
    assert "http://127.0.0.1:8080/sign-in?token=" in said
    sees_green_cells_and_their_series(compose)
    for name in ("services", "s3", "postgresql", "solomon"):
        assert (compose.folder / ".compose" / f"{name}.env").stat().st_mode & 0o077 == 0


def test_ports_are_on_loopback_and_agents_ping_each_other_through_ipv6(
    compose: Compose, daemon: Daemon
) -> None:
    listening = daemon.run("ss", "-Hltn")
    addresses = {line.split()[3].rpartition(":")[0] for line in listening.splitlines()}
    assert addresses <= {"127.0.0.1", "127.0.0.11"}, listening
    hosts = compose.client().grid(CLUSTER).hosts
    # Whatever it thinks of this host, which may be busy.
    agent = compose.container("agent-1")
    assert "icmp-ping" in daemon.docker("exec", agent, "yc-mr-prober-agent", "status", check=False)
    assert {host.address for host in hosts} == {"fd77:7777:7777::11", "fd77:7777:7777::12"}
    # Docker itself translates what leaves such a network: nothing else is needed for that.
    rules = daemon.run("ip6tables-save", "-t", "nat")
    assert "-A POSTROUTING -s fd77:7777:7777::/64" in rules
    assert "MASQUERADE" in rules


@pytest.mark.parametrize("service", ["agent-1", "api", "creator", "postgresql"])
def test_what_is_killed_comes_back(compose: Compose, daemon: Daemon, service: str) -> None:
    container = compose.container(service)
    started = daemon.docker("inspect", "--format", "{{.State.StartedAt}}", container)
    daemon.kill(container)
    wait_until(
        f"{service} started anew",
        lambda: daemon.docker("inspect", "--format", "{{.State.Running}} {{.State.StartedAt}}", container) not in (f"true {started}", f"false {started}"),
    )  # fmt: skip
    compose.wait_until_healthy(service)
    runs = _runs(compose)
    wait_until("green cells", lambda: is_all_green(compose.client()), seconds=180)
    wait_until("new points", lambda: _runs(compose) > runs)


def _runs(compose: Compose) -> float:
    """The moment of the newest point of any agent's heartbeat, milliseconds."""
    answer = requests.get(
        "http://127.0.0.1:8081/api/v2/projects/mr_prober/sensors/data",
        params={"program": '{name="mr_prober_agent_heartbeat"}'},
        headers={"Authorization": f"OAuth {compose.solomon_token()}"},
        timeout=10,
    )
    answer.raise_for_status()
    return float(max(max(series["timeseries"]["timestamps"]) for series in answer.json()["vector"]))


def test_prometheus_scrapes_agent_and_api(compose: Compose, daemon: Daemon) -> None:
    path = f"{ROOT / '.venv' / 'bin'}:{PATH}"
    prometheus = shutil.which("prometheus", path=path)
    need(prometheus, "prometheus")
    folder = daemon.folder / "prometheus"
    folder.mkdir()
    shutil.copyfile(str(prometheus), folder / "prometheus")
    (folder / "Dockerfile").write_text(
        'FROM python:3.11-slim-bookworm\nCOPY --chmod=755 prometheus /bin/\nENTRYPOINT ["/bin/prometheus"]\n'
    )
    daemon.run(
        "docker",
        "build",
        "--tag",
        "prometheus-of-debian",
        str(folder),
        more={"DOCKER_BUILDKIT": "1"},
    )
    compose.files = ["-f", "docker-compose.yml", "-f", "docker-compose.prometheus.yml"]
    compose("up", "--detach", "--no-build")

    def health() -> set[str]:
        try:
            answer = requests.get("http://127.0.0.1:9090/api/v1/targets", timeout=10)
        except requests.ConnectionError:
            return set()
        return {
            f"{target['labels']['job']} {target['health']}"
            for target in answer.json()["data"]["activeTargets"]
        }

    wait_until("both targets up", lambda: health() == {"agent up", "api up"})
    compose.files = ["-f", "docker-compose.yml"]
    compose("up", "--detach", "--no-build", "--remove-orphans")


def test_a_stop_of_creator_in_mid_apply_loses_nothing(compose: Compose, daemon: Daemon) -> None:
    client = compose.client()
    client.create_recipe(RecipeCreate(slug="slow", files=[FileUpload.of("main.tf", SLOW.encode())]))
    client.create_cluster(ClusterCreate(slug="slow", recipe="slow", variables={"machines": 1}))
    wait_until("the first apply", lambda: _state(client) is DeploymentState.APPLYING)
    creator = compose.container("creator")
    daemon.docker("stop", "--time", "100", creator)
    # It waited: the apply has ended, and nothing is locked.
    assert daemon.state(creator).split()[2] == "0"
    assert _state(client) is DeploymentState.SUCCEEDED
    daemon.docker("start", creator)
    client.put_variable(
        "slow", "machines", VariablePut(value=2), etag=client.variable("slow", "machines").etag
    )
    wait_until("the second apply", lambda: _state(client) is DeploymentState.APPLYING)
    daemon.kill(creator)
    compose.wait_until_healthy("creator")
    wait_until(
        "the cluster as described", lambda: _is_as_described(client, machines=2), seconds=240
    )


def _state(client: ApiClient) -> DeploymentState | None:
    deployments = client.deployments("slow")
    return deployments[0].state if deployments else None


def _is_as_described(client: ApiClient, *, machines: int) -> bool:
    hosts = {host.name for host in client.grid("slow").hosts}
    return _state(client) is DeploymentState.SUCCEEDED and hosts == {
        f"slow-{number}" for number in range(machines)
    }


def test_two_of_each_go_on_while_one_of_each_is_restarted(compose: Compose, daemon: Daemon) -> None:
    compose.files = ["-f", "docker-compose.yml", "-f", "docker-compose.two.yml"]
    compose("up", "--detach", "--no-build")
    compose.wait_until_healthy("api", "api-2", "creator", "creator-2")
    for number, api, creator, port in (
        (3, "api", "creator", 8082),
        (4, "api-2", "creator-2", 8080),
    ):
        _survives(compose, daemon, compose.client(port), (api, creator), machines=number)
        sees_green_cells_and_their_series(compose, port)


def _survives(
    compose: Compose, daemon: Daemon, other: ApiClient, victims: tuple[str, str], *, machines: int
) -> None:
    """A change is deployed and all cells are green all the time, though an API is killed and a Creator restarted."""
    api, creator = (compose.container(service) for service in victims)
    wait_until("green cells", lambda: is_all_green(other))
    _describe(other, machines)
    daemon.docker("restart", "--time", "100", creator)
    daemon.kill(api)
    _all_the_time(
        lambda: is_all_green(other, but=ASKS_THE_API),
        until=lambda: "running healthy" in daemon.state(api),
    )
    wait_until(
        "the change deployed", lambda: _is_as_described(other, machines=machines), seconds=240
    )


def _describe(client: ApiClient, machines: int) -> None:
    client.put_variable(
        "slow",
        "machines",
        VariablePut(value=machines),
        etag=client.variable("slow", "machines").etag,
    )


def _all_the_time(holds: Callable[[], bool], *, until: Callable[[], bool]) -> None:
    """What holds now holds at each look until the other thing is true, too."""
    limit = time.monotonic() + 120
    while not until():
        assert holds()
        assert time.monotonic() < limit
        time.sleep(0.5)


def test_nothing_is_left_after_the_end(compose: Compose, daemon: Daemon) -> None:
    client = compose.client()
    client.delete_cluster("slow", etag=client.cluster("slow").etag)
    wait_until("the cluster destroyed", lambda: _is_gone(client))
    compose.down()
    assert daemon.docker("ps", "--all", "--quiet") == ""
    assert daemon.docker("volume", "ls", "--quiet") == ""
    assert set(daemon.docker("network", "ls", "--format", "{{.Name}}").split()) == {
        "bridge",
        "host",
        "none",
    }
    assert daemon.processes() == []


def _is_gone(client: ApiClient) -> bool:
    try:
        return all(cluster.slug != "slow" for cluster in client.clusters())
    except ApiError:
        return False

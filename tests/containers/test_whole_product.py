"""The compose file from start to end: green cells and their series, killed services, a stop in mid-apply, two of each, nothing left.

The tests are one story in this order; the last one ends the project.
"""

import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime

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

pytestmark = pytest.mark.timeout(900)
ASKS_THE_API = "http-get"  # its request may be the one that a killed API was answering
AGENTS = {"agent-1", "agent-2"}
DATA = "/var/lib/mr-prober"  # of Creator, in its container
# Its machines are made when somebody says go.
GATED = f"""
variable "machines" {{
  type = number
}}

resource "terraform_data" "machine" {{
  count            = var.machines
  triggers_replace = var.machines
  provisioner "local-exec" {{
    command = "touch {DATA}/began-${{var.machines}}; until [ -e {DATA}/go-${{var.machines}} ]; do sleep 0.2; done"
  }}
}}

output "mr_prober_hosts" {{
  value = {{ for number, machine in terraform_data.machine : "gated-${{number}}" => {{ address = "127.0.0.1", labels = {{}} }} }}
}}
"""
_STEP_WHOSE_LOCK_IS_KNOWN = (
    "SELECT count(*) FROM deployment_steps WHERE finished_at IS NULL AND lock_id <> ''"
)


def sees_green_cells_and_their_series(
    compose: Compose, port: int = 8080, *, after: datetime | None = None
) -> None:
    """As reported and sent after that moment."""
    client = compose.client(port)
    wait_until("green cells", lambda: is_all_green(client, after=after), seconds=240)
    wait_until("series of both agents", lambda: _hosts_with_runs(compose, after=after) == AGENTS)


def _hosts_with_runs(compose: Compose, *, after: datetime | None) -> set[str]:
    """From where points of successful runs have come after that moment."""
    moments = compose.newest_points(
        name="mr_prober_runs", prober_slug="icmp-ping", outcome="success"
    )
    # A point covers the 15 seconds before it.
    since = after.timestamp() + 15 if after else 0
    return {host for host, moment in moments.items() if moment > since}


def test_one_command_starts_it_and_cells_are_green(compose: Compose) -> None:
    said = compose.make()
    assert "http://127.0.0.1:8080/sign-in?token=" in said
    wait_until("green cells", lambda: is_all_green(compose.client()), seconds=240)
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


def test_series_of_the_cells_are_in_solomon(compose: Compose) -> None:
    sees_green_cells_and_their_series(compose)


def test_what_is_killed_comes_back(compose: Compose, daemon: Daemon) -> None:
    killed_at = datetime.now(UTC)
    for service in ("agent-1", "creator", "api", "postgresql"):
        container = compose.container(service)
        started = daemon.docker("inspect", "--format", "{{.State.StartedAt}}", container)
        killed_at = datetime.now(UTC)
        daemon.kill(container)
        wait_until(
            f"{service} started anew",
            lambda container=container, started=started: (  # type: ignore[misc]
                daemon.docker("inspect", "--format", "{{.State.Running}} {{.State.StartedAt}}", container)
                not in (f"true {started}", f"false {started}")
            ),
        )  # fmt: skip
        compose.wait_until_healthy(service)
    compose.wait_until_healthy("api", "creator")  # also without the database for a moment
    sees_green_cells_and_their_series(compose, after=killed_at)


def test_a_stop_of_creator_in_mid_apply_loses_nothing(compose: Compose, daemon: Daemon) -> None:
    client = compose.client()
    gated = FileUpload.of("main.tf", GATED.encode())
    client.create_recipe(RecipeCreate(slug="gated", files=[gated]))
    client.create_cluster(ClusterCreate(slug="gated", recipe="gated", variables={"machines": 1}))
    creator = compose.container("creator")
    wait_until("the first apply", lambda: _has(daemon, creator, "began-1"))
    asked_at = datetime.now(UTC).isoformat()
    stop = subprocess.Popen(
        ["docker", "stop", "--time", "300", creator],
        env=daemon.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until("its SIGTERM", lambda: _was_sent_a_signal(daemon, creator, since=asked_at))
    _say_go(daemon, creator, 1)
    assert stop.wait(300) == 0
    # It waited: the apply has ended, and nothing is locked.
    assert daemon.state(creator).split()[2] == "0"
    assert _state(client) is DeploymentState.SUCCEEDED


def _has(daemon: Daemon, creator: str, name: str) -> bool:
    return bool(daemon.docker("exec", creator, "sh", "-c", f"ls {DATA}/{name} 2>/dev/null || true"))


def _say_go(daemon: Daemon, creator: str, machines: int) -> None:
    daemon.docker("exec", creator, "touch", f"{DATA}/go-{machines}")


def _was_sent_a_signal(daemon: Daemon, container: str, *, since: str) -> bool:
    span = ("--since", since, "--until", datetime.now(UTC).isoformat())
    return bool(
        daemon.docker(
            "events", *span, "--filter", "event=kill", "--filter", f"container={container}"
        )
    )


def test_a_creator_that_is_killed_in_mid_apply_goes_on(compose: Compose, daemon: Daemon) -> None:
    client = compose.client()
    creator = compose.container("creator")
    daemon.docker("start", creator)
    _describe(client, machines=2)
    wait_until("the second apply", lambda: _has(daemon, creator, "began-2"))
    # From then on the lock that it leaves is known to be its own: docs/decisions/0011-whose-lock-it-is.md.
    wait_until("its lock in the row of the step", lambda: _asked(compose) == "1")
    daemon.kill(creator)
    compose.wait_until_healthy("creator")
    _say_go(daemon, creator, 2)
    wait_until(
        "the cluster as described", lambda: _is_as_described(client, machines=2), seconds=240
    )


def _asked(compose: Compose) -> str:
    """The database, as the README does it."""
    ask = f'PGPASSWORD=$POSTGRES_PASSWORD psql --host=127.0.0.1 --username=mr_prober -Atc "{_STEP_WHOSE_LOCK_IS_KNOWN}" mr_prober'
    return compose.daemon.docker("exec", compose.container("postgresql"), "sh", "-c", ask)


def _state(client: ApiClient) -> DeploymentState | None:
    deployments = client.deployments("gated")
    return deployments[0].state if deployments else None


def _is_as_described(client: ApiClient, *, machines: int) -> bool:
    hosts = {host.name for host in client.grid("gated").hosts}
    return _state(client) is DeploymentState.SUCCEEDED and hosts == {
        f"gated-{number}" for number in range(machines)
    }


def _describe(client: ApiClient, machines: int) -> None:
    etag = client.variable("gated", "machines").etag
    client.put_variable("gated", "machines", VariablePut(value=machines), etag=etag)


def test_the_other_files_add_prometheus_and_a_second_of_each(
    compose: Compose, daemon: Daemon
) -> None:
    prometheus = shutil.which("prometheus", path=f"{ROOT / '.venv' / 'bin'}:{PATH}")
    need(prometheus, "prometheus")
    _build_prometheus(daemon, str(prometheus))
    others = ("postgresql", "s3", "solomon", "api", "creator", "agent-2")
    before = [compose.container(service) for service in others]
    compose.use("prometheus", "two")
    compose("up", "--detach", "--no-build")
    assert [compose.container(service) for service in others] == before
    compose.wait_until_healthy("api-2", "creator-2")
    wait_until(
        "both targets up", lambda: _health_of_targets() == {"agent up", "api up"}, seconds=180
    )


def _build_prometheus(daemon: Daemon, program: str) -> None:
    folder = daemon.folder / "prometheus"
    folder.mkdir()
    shutil.copyfile(program, folder / "prometheus")
    (folder / "Dockerfile").write_text(
        'FROM python:3.11-slim-bookworm\nCOPY --chmod=755 prometheus /bin/\nENTRYPOINT ["/bin/prometheus"]\n'
    )
    build = ("docker", "build", "--tag", "prometheus-of-debian", str(folder))
    daemon.run(*build, more={"DOCKER_BUILDKIT": "1"})


def _health_of_targets() -> set[str]:
    try:
        answer = requests.get("http://127.0.0.1:9090/api/v1/targets", timeout=10)
    except requests.ConnectionError:
        return set()
    targets = answer.json()["data"]["activeTargets"]
    return {f"{target['labels']['job']} {target['health']}" for target in targets}


def test_two_of_each_go_on_while_one_of_each_is_restarted(compose: Compose, daemon: Daemon) -> None:
    for machines in (3, 4):
        _say_go(daemon, compose.container("creator"), machines)
    began_at = datetime.now(UTC)
    for machines, api, creator, port in (
        (3, "api", "creator", 8082),
        (4, "api-2", "creator-2", 8080),
    ):
        _survives(compose, daemon, compose.client(port), (api, creator), machines=machines)
    sees_green_cells_and_their_series(compose, 8080, after=began_at)


def _survives(
    compose: Compose, daemon: Daemon, other: ApiClient, victims: tuple[str, str], *, machines: int
) -> None:
    """A change is deployed and all cells are green all the time, though an API is killed and a Creator restarted."""
    api, creator = (compose.container(service) for service in victims)
    wait_until("green cells", lambda: is_all_green(other), seconds=240)
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


def _all_the_time(holds: Callable[[], bool], *, until: Callable[[], bool]) -> None:
    """What holds now holds at each look until the other thing is true, too."""
    limit = time.monotonic() + 120
    while not until():
        assert holds()
        assert time.monotonic() < limit
        time.sleep(0.5)


def test_nothing_is_left_after_the_end(compose: Compose, daemon: Daemon) -> None:
    client = compose.client()
    client.delete_cluster("gated", etag=client.cluster("gated").etag)
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
        return all(cluster.slug != "gated" for cluster in client.clusters())
    except ApiError:
        return False

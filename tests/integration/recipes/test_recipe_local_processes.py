"""The recipe `local-processes` through Creator and the real terraform, with a stub in the agent's place."""

import json
import os
import socket
from pathlib import Path

import pytest

from common.agent_tokens import agent_token
from common.contracts.clusters import ClusterState
from database.session import Database
from tests.integration.agent.stand_ins import wait_until
from tests.integration.creator.installation import SERVER_KEY, Installation
from tests.ports import free_ports

RECIPE = Path(__file__).parents[3] / "configs/recipes/local-processes"
STUB_AGENT = "import time\ntime.sleep(600)\n"


@pytest.fixture
def installation(sqlite_url: str, tmp_path: Path) -> Installation:
    """A Creator whose recipes find a stub as the agent, and a cluster of two machines."""
    home = tmp_path / "home"
    (home / "agent").mkdir(parents=True)
    (home / "agent/main.py").write_text(STUB_AGENT)
    made = Installation(Database(sqlite_url), tmp_path / "data", home)
    paths = [path for path in RECIPE.iterdir() if path.is_file() and path.name != "recipe.yaml"]
    made.add_recipe("local-processes", {path.name: path.read_text() for path in paths})
    prefix = f"127.80.{os.getpid() % 250}"
    [port] = free_ports(1, f"{prefix}.1")
    made.add_cluster(
        "demo",
        "local-processes",
        {"hosts": 2, "address_prefix": prefix, "machine_port": port, "solomon_url": "http://s"},
    )
    return made


def test_a_cluster_of_processes_is_made_changed_and_destroyed(installation: Installation) -> None:
    try:
        assert installation.run_pass(), installation.deployments("demo")[0].error
        _check_made(installation)
        _check_scaled_down(installation)
        _check_new_token_makes_new_machines(installation)
    finally:
        installation.delete_cluster("demo")
        installation.run_pass()
        installation.database.dispose()

    assert installation.cluster("demo").state is ClusterState.DESTROYED
    assert installation.resources("demo") == []
    assert _processes_of(installation) == []
    assert not list((installation.data_folder / "machines").glob("demo*"))


def _check_made(installation: Installation) -> None:
    hosts = installation.cluster("demo").hosts
    assert sorted(hosts) == ["demo-1", "demo-2"]
    # A keeper and an agent each; a keeper has told its pid before its agent is there.
    wait_until(lambda: len(_processes_of(installation)) == 4)
    token = agent_token(SERVER_KEY.encode(), installation.cluster("demo").id, version=1)
    folder = installation.data_folder / "machines/demo/demo-2"
    assert (folder / "token").read_text() == token
    assert token.encode() not in installation.state("demo").read_bytes()
    port = json.loads((folder / "machine.json").read_text())["port"]
    with socket.create_connection((hosts["demo-2"]["address"], port), 5) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"


def _check_scaled_down(installation: Installation) -> None:
    kept = (installation.data_folder / "machines/demo/demo-1/machine.pid").read_text()
    installation.set_variable("demo", "hosts", 1)

    assert installation.run_pass()

    assert installation.deployments("demo")[0].summary == {"create": 0, "change": 0, "destroy": 1}
    assert list(installation.cluster("demo").hosts) == ["demo-1"]
    assert (installation.data_folder / "machines/demo/demo-1/machine.pid").read_text() == kept
    assert not (installation.data_folder / "machines/demo/demo-2").exists()


def _check_new_token_makes_new_machines(installation: Installation) -> None:
    installation.update_cluster("demo", agent_token_version=2)

    assert installation.run_pass()

    assert installation.deployments("demo")[0].summary == {"create": 1, "change": 0, "destroy": 1}
    token = (installation.data_folder / "machines/demo/demo-1/token").read_text()
    assert token.startswith("2.")


def _processes_of(installation: Installation) -> list[int]:
    """Every process that names the data folder in its command line or environment."""
    mark = str(installation.data_folder).encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            traces = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if mark in traces:
            found.append(int(folder.name))
    return found

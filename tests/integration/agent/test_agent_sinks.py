"""The agent as a process, its points in the cloud dialect with the VM's token, on a scrape, and left on disk at its end."""

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from common import processes
from tests.integration.agent.stand_ins import StubApi, document, prober, wait_until
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[3]
Start = Callable[..., processes.Process]


@pytest.fixture
def start_agent(stub_api: StubApi, agent_folder: Path) -> Iterator[Start]:
    started: list[processes.Process] = []

    def start(**environment: str) -> processes.Process:
        with agent_folder.parent.joinpath("agent.log").open("ab") as log:
            agent = processes.start(
                [sys.executable, "agent/main.py"],
                environment={
                    "PYTHONPATH": str(ROOT),
                    "MR_PROBER_API_URL": stub_api.url,
                    "MR_PROBER_CLUSTER": "demo",
                    "MR_PROBER_HOST": "h1",
                    "MR_PROBER_AGENT_TOKEN": stub_api.token,
                    "MR_PROBER_AGENT_DIR": str(agent_folder),
                    "MR_PROBER_AGENT_POLL_INTERVAL": "0.2",
                    **environment,
                },
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        started.append(agent)
        return agent

    yield start
    for agent in started:
        if agent.poll() is None:
            agent.terminate()
            agent.wait(60)


def cloud(stand_in: str) -> dict[str, str]:
    return {
        "MR_PROBER_SOLOMON_DIALECT": "cloud",
        "MR_PROBER_SOLOMON_URL": stand_in,
        "MR_PROBER_SOLOMON_PROJECT": "F",
        "MR_PROBER_METADATA_URL": stand_in,
    }


def names(stand_in: str) -> list[str]:
    answer = requests.get(
        f"{stand_in}/monitoring/v2/metrics/names",
        params={"folderId": "F", "selectors": '{service="custom", host="h1"}', "pageSize": "1000"},
        headers={"Authorization": "Bearer any"},
        timeout=20,
    )
    found: list[str] = answer.json()["names"]
    return found


def run_once(start_agent: Start, stub_api: StubApi, **environment: str) -> None:
    """Until a prober has run; then it is ended, which closes a cell."""
    stub_api.document = document(prober(1, {}, ["true"], interval_seconds=0.2))
    stub_api.reports.clear()
    agent = start_agent(**environment)
    wait_until(lambda: stub_api.reports and stub_api.reports[-1]["probers"], seconds=60)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(60) == 0


def test_its_last_points_reach_the_cloud_with_the_token_of_the_vm(
    start_agent: Start, stub_api: StubApi, stand_in: str
) -> None:
    run_once(start_agent, stub_api, **cloud(stand_in))
    assert {"mr_prober_runs", "mr_prober_state", "mr_prober_agent_heartbeat"} <= set(
        names(stand_in)
    )


def test_what_is_left_at_its_end_is_sent_by_the_next_one(
    start_agent: Start, stub_api: StubApi, stand_in: str, agent_folder: Path
) -> None:
    away = cloud(stand_in) | {"MR_PROBER_SOLOMON_URL": "http://127.0.0.1:1"}
    run_once(start_agent, stub_api, **away)
    assert list((agent_folder / "spool").iterdir())
    start_agent(**cloud(stand_in))
    wait_until(lambda: "mr_prober_runs" in names(stand_in), seconds=60)
    wait_until(lambda: not list((agent_folder / "spool").iterdir()), seconds=60)


def test_it_can_be_scraped_without_any_solomon(start_agent: Start) -> None:
    [port] = free_ports(1)
    start_agent(MR_PROBER_SCRAPE_PORT=str(port))
    wait_until(lambda: _answers(port), seconds=60)


def test_a_scrape_port_that_is_taken_is_one_clear_line(
    start_agent: Start, agent_folder: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert start_agent(MR_PROBER_SCRAPE_PORT=str(port)).wait(60) == 1
    [line] = agent_folder.parent.joinpath("agent.log").read_text().splitlines()
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in line


def test_addresses_that_are_none_are_named(start_agent: Start, agent_folder: Path) -> None:
    agent = start_agent(
        MR_PROBER_SOLOMON_URL="solomon.example.net",
        MR_PROBER_METADATA_URL="http://",
        MR_PROBER_SOLOMON_DIALECT="classic",
    )
    assert agent.wait(60) == 1
    said = agent_folder.parent.joinpath("agent.log").read_text()
    assert "MR_PROBER_SOLOMON_URL: 'solomon.example.net' is not the address" in said
    assert "MR_PROBER_METADATA_URL: 'http://' is not the address" in said
    assert "MR_PROBER_SOLOMON_TOKEN: must be set" in said


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=20).status_code == 200
    except requests.ConnectionError:
        return False

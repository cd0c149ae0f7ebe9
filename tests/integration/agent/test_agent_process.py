"""The whole agent as a process against stand-ins: runs, reports, points, SIGTERM."""

import os
import pwd
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from common import processes
from tests.integration.agent.stand_ins import StubApi, StubSolomon, document, prober, wait_until

ROOT = Path(__file__).parents[3]
OK = b"#!/bin/sh\necho 'things 7'\n"
FAILING = b"#!/bin/sh\necho no answer from the target >&2\nexit 1\n"
FOREVER = b"#!/bin/sh\ntrap '' TERM\nsetsid sleep 300 &\nsleep 300\n"

Start = Callable[..., processes.Process]


@pytest.fixture
def start_agent(
    stub_api: StubApi, stub_solomon: StubSolomon, agent_folder: Path
) -> Iterator[Start]:
    started: list[processes.Process] = []

    def start(**environment: str) -> processes.Process:
        log = agent_folder.parent.joinpath(f"agent{len(started)}.log").open("wb")
        agent = processes.start(
            [sys.executable, "agent/main.py"],
            environment={
                "PYTHONPATH": str(ROOT),
                "MR_PROBER_API_URL": stub_api.url,
                "MR_PROBER_CLUSTER": "demo",
                "MR_PROBER_HOST": "h1",
                "MR_PROBER_AGENT_TOKEN": stub_api.token,
                "MR_PROBER_AGENT_DIR": str(agent_folder),
                "MR_PROBER_AGENT_USER": pwd.getpwuid(os.geteuid()).pw_name,
                "MR_PROBER_AGENT_POLL_INTERVAL": "0.2",
                "MR_PROBER_SOLOMON_URL": stub_solomon.url,
                "MR_PROBER_SOLOMON_TOKEN": "secret",
                **environment,
            },
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        log.close()
        started.append(agent)
        return agent

    yield start
    for agent in started:
        # Not killed: an agent that ends takes its probers along.
        if agent.poll() is None:
            agent.terminate()
            agent.wait(30)


def last_states(api: StubApi) -> list[Any]:
    return [entry["states"] for entry in api.reports[-1]["probers"]] if api.reports else []


def test_runs_reports_pushes_and_leaves_nothing(
    start_agent: Start, stub_api: StubApi, stub_solomon: StubSolomon, agent_folder: Path
) -> None:
    stub_api.serve_files(OK, FAILING, FOREVER)
    stub_api.document = document(
        prober(1, {"ok.sh": OK}, ["./ok.sh"], interval_seconds=0.5, output="prometheus"),
        prober(2, {"no.sh": FAILING}, ["./no.sh"], interval_seconds=60),
        prober(3, {"ever.sh": FOREVER}, ["./ever.sh"], interval_seconds=60, grace_seconds=0.1),
        prober(4, {}, ["true"], mode="warm"),
    )
    agent = start_agent()
    wait_until(lambda: last_states(stub_api) == ["0", "1", "4", "3"])
    reasons = [reason["text"] for reason in stub_api.reports[-1]["reasons"]]
    assert reasons[0] == "no answer from the target"
    assert "mode 'warm'" in reasons[1]
    below = psutil.Process(agent.pid).children(recursive=True)
    assert below

    agent.send_signal(signal.SIGTERM)
    assert agent.wait(20) == 0
    assert not [child for child in below if child.is_running()]
    assert not list((agent_folder / "temporary").iterdir())
    outcomes = {
        (sensor["labels"]["prober_slug"], sensor["labels"]["outcome"]): sensor["value"]
        for sensor in stub_solomon.sensors("mr_prober_runs")
    }
    assert outcomes["prober-1", "success"] >= 1
    assert outcomes["prober-2", "failure"] >= 1
    assert outcomes["prober-3", "timeout"] == 0
    assert stub_solomon.sensors("things")[0]["value"] == 7.0
    assert stub_solomon.sensors("mr_prober_agent_heartbeat")
    assert stub_solomon.pushes[-1]["ts"] % 15 == 0
    assert stub_solomon.pushes[-1]["commonLabels"] == {"cluster_slug": "demo", "host": "h1"}
    assert stub_solomon.tokens[-1] == "OAuth secret"
    query = "project=mr_prober&cluster=local&service=mr_prober"
    assert stub_solomon.paths[-1] == f"/api/v2/push?{query}"


def test_at_the_end_who_cleans_up_gets_its_grace_and_the_last_counts_are_sent(
    start_agent: Start, stub_api: StubApi, stub_solomon: StubSolomon, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    forever = f"echo started >> {witness}; while :; do sleep 0.1; done"
    polite = f"trap 'sleep 1; echo cleaned >> {witness}; exit 0' TERM; {forever}"
    deaf = f"trap '' TERM; {forever}"
    settings = {"interval_seconds": 3600, "time_limit_seconds": 600}
    stub_api.document = document(
        prober(1, {}, ["sh", "-c", polite], grace_seconds=60, **settings),
        prober(2, {}, ["sh", "-c", deaf], grace_seconds=0.2, **settings),
    )
    agent = start_agent()
    wait_until(lambda: witness.exists() and witness.read_text().split() == ["started"] * 2)
    agent.send_signal(signal.SIGTERM)
    # Less than the longest grace: nobody waits for what has ended.
    assert agent.wait(50) == 0
    assert witness.read_text().split() == ["started", "started", "cleaned"]
    skipped = {
        sensor["labels"]["prober_slug"]: sensor["value"]
        for sensor in stub_solomon.sensors("mr_prober_skipped_runs")
        if sensor["labels"]["reason"] == "agent_restart"
    }
    assert skipped == {"prober-1": 1, "prober-2": 1}
    assert {sensor["value"] for sensor in stub_solomon.sensors("mr_prober_runs")} == {0}


def test_names_each_power_that_it_lacks_once(
    start_agent: Start, stub_api: StubApi, tmp_path: Path
) -> None:
    agent = start_agent()
    wait_until(lambda: stub_api.reports)
    stub_api.document = document(revision=2)
    wait_until(lambda: stub_api.reports[-1]["document_revision"] == 2)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(30) == 0
    said = [
        line.partition("a power is missing: ")[2]
        for line in (tmp_path / "agent0.log").read_text().splitlines()
        if "a power is missing" in line
    ]
    assert len(said) == len(set(said))
    assert any(line.startswith("not root") for line in said) == (os.geteuid() != 0)


def test_changes_reach_it_and_an_unchanged_prober_goes_on(
    start_agent: Start, stub_api: StubApi, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    kept = prober(
        1, {}, ["sh", "-c", f"echo $PPID >> {witness}; exec sleep 300"], time_limit_seconds=600
    )
    stub_api.document = document(kept, prober(2, {}, ["false"], interval_seconds=0.2))
    start_agent()
    wait_until(lambda: last_states(stub_api) == ["4", "1"] and witness.exists())
    stub_api.document = document(kept, prober(2, {}, ["true"], interval_seconds=0.2), revision=2)
    wait_until(lambda: last_states(stub_api) == ["4", "0"])
    assert stub_api.reports[-1]["document_revision"] == 2
    assert len(witness.read_text().split()) == 1


def test_starts_from_disk_while_the_api_is_away(
    start_agent: Start, stub_api: StubApi, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    script = f"#!/bin/sh\necho run >> {witness}\n".encode()
    stub_api.serve_files(script)
    stub_api.document = document(prober(1, {"a.sh": script}, ["./a.sh"], interval_seconds=0.2))
    first = start_agent()
    wait_until(witness.exists)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    witness.unlink()
    start_agent(MR_PROBER_API_URL="http://127.0.0.1:1")
    wait_until(witness.exists)


def test_says_in_one_line_that_another_agent_works_here(
    start_agent: Start, stub_api: StubApi, tmp_path: Path
) -> None:
    start_agent()
    wait_until(lambda: stub_api.reports)
    assert start_agent().wait(20) == 1
    said = (tmp_path / "agent1.log").read_text()
    assert "another agent already works" in said
    assert len(said.splitlines()) == 1


def test_names_all_missing_settings_without_a_traceback(start_agent: Start, tmp_path: Path) -> None:
    agent = start_agent(MR_PROBER_CLUSTER="", MR_PROBER_AGENT_POLL_INTERVAL="soon")
    assert agent.wait(20) == 1
    said = (tmp_path / "agent0.log").read_text()
    assert "MR_PROBER_CLUSTER" in said
    assert "MR_PROBER_AGENT_POLL_INTERVAL" in said
    assert "Traceback" not in said

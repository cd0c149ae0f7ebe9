"""The whole loop on one machine: green, red, green again, every part killed, everything down."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.contracts.states import State
from tests.e2e.stack import (
    HttpTarget,
    Stack,
    adopt_orphans,
    processes_below_us,
    running,
    wait_for,
)

PROBERS = {
    "disk-write",
    "dns-resolve",
    "http-get",
    "icmp-ping",
    "mesh-tcp",
    "tcp-connect",
    "udp-echo",
}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    adopt_orphans()
    stack = Stack(tmp_path)
    try:
        yield stack
    finally:
        stack.end_everything()
        sys.stdout.write(stack.story())


@pytest.fixture
def target(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpTarget]:
    target = HttpTarget(tmp_path_factory.mktemp("page"))
    stack.edit("environments/local/clusters/demo.yaml", str(stack.ports["http"]), str(target.port))
    with running(target):
        yield target


@pytest.mark.timeout(600)
def test_the_whole_loop_on_one_machine(stack: Stack, target: HttpTarget) -> None:
    target.stop()
    before = processes_below_us()
    target.start()
    stack.start()
    grid = wait_for("a grid that is all green", stack.all_green)
    assert set(grid.probers) == PROBERS
    assert [host.name for host in grid.hosts] == ["demo-1", "demo-2"]
    wait_for("the demo's word about it", lambda: "First green cell" in stack.output)
    assert stack.admin_key_file.read_text().strip() not in stack.output
    wait_for("series of both hosts in Solomon", lambda: _runs_of_both_hosts(stack))

    _a_dead_target_turns_red_and_green_again(stack, target)
    assert stack.state("tcp-connect") == {State.SUCCESS}
    _the_engineer_on_call_finds_and_silences_it(stack, target)
    _an_edit_reaches_the_agents(stack)
    _mistakes_are_told_where_their_author_looks(stack)
    _a_yaml_mistake_changes_nothing(stack)
    _every_part_survives_kill_9(stack, target)

    assert stack.end(signal.SIGINT) == 0, stack.output
    target.stop()
    assert processes_below_us() == before
    assert not stack.listening()
    assert stack.resources_in_terraform_states() == []
    assert sorted(path.name for path in stack.folder.iterdir()) == [
        "configs",
        "demo",
        "demo.log",
        "home",
        "tmp",
    ]
    assert not list((stack.folder / "tmp").iterdir())
    assert not list((stack.folder / "home").iterdir())


def _runs_of_both_hosts(stack: Stack) -> bool:
    series = stack.series('{name="mr_prober_runs", outcome="success"}')
    seen = {(entry["labels"]["host"], entry["labels"]["prober_slug"]) for entry in series}
    return seen >= {(host, prober) for host in ("demo-1", "demo-2") for prober in PROBERS}


def _a_dead_target_turns_red_and_green_again(stack: Stack, target: HttpTarget) -> None:
    target.stop()
    wait_for("http-get red on all hosts", lambda: stack.state("http-get") == {State.FAILURE})
    grid = stack.grid()
    assert grid
    assert all(host.cells["http-get"].reasons for host in grid.hosts)
    target.start()
    wait_for("all green again", stack.all_green)


def _the_engineer_on_call_finds_and_silences_it(stack: Stack, target: HttpTarget) -> None:
    """One look names the culprit, the log says why, a run shows it again; then it is quiet, and wakes by itself."""
    target.stop()
    wait_for("http-get red on all hosts", lambda: stack.state("http-get") == {State.FAILURE})
    judgement = json.loads(stack.on_call("demo-1", "status", "--json").stdout)["judgement"]
    accused = [one["text"] for one in judgement["findings"] if one["party"] == "target"]
    assert len(accused) == 1
    assert accused[0].startswith("http-get fails for ")
    wait_for("the record of a bad run", lambda: _log_says_refused(stack))
    assert stack.on_call("demo-1", "run", "http-get").returncode == 1
    paused = stack.on_call("demo-1", "pause", "http-get", "--for", "10s", "--why", "it is mended")
    assert paused.returncode == 0, paused.stderr
    wait_for(
        "one paused and one red cell",
        lambda: stack.state("http-get") == {State.PAUSED, State.FAILURE},
    )
    wait_for("red again by itself", lambda: stack.state("http-get") == {State.FAILURE})
    target.start()
    wait_for("all green again", stack.all_green)
    assert stack.on_call("demo-1", "run", "http-get").returncode == 0


def _log_says_refused(stack: Stack) -> bool:
    return "refused" in stack.on_call("demo-1", "logs", "http-get", "--failed").stdout.lower()


def _an_edit_reaches_the_agents(stack: Stack) -> None:
    agents = stack.pids("agent/main.py")
    stack.edit(
        "probers/tcp-connect/prober.yaml",
        r"(?m)^configs:",
        "configs:\n  second:\n    clusters: [demo]\n    order: 5\n    settings: {variables: {unused_here: 1}}",
    )
    new = stack.configs / "probers" / "always-green"
    new.mkdir()
    (new / "prober.yaml").write_text(
        "command: ['true']\ndefaults: {interval_seconds: 1, time_limit_seconds: 1}\nconfigs:\n  demo:\n    clusters: [demo]\n"
    )
    applied = stack.synchronize()
    assert applied.returncode == 0, applied.stdout + applied.stderr
    wait_for("the new prober green", lambda: stack.state("always-green") == {State.SUCCESS})
    assert stack.pids("agent/main.py") == agents
    again = stack.synchronize()
    assert again.returncode == 0
    wait_for("all green", stack.all_green)


def _mistakes_are_told_where_their_author_looks(stack: Stack) -> None:
    mistakes = {
        "probers/cannot-start/prober.yaml": "command: [./no-such-program]\n"
        "defaults: {interval_seconds: 1, time_limit_seconds: 1}\nconfigs:\n  demo:\n    clusters: [demo]\n",
        "recipes/refused/main.tf": 'resource "terraform_data" "x" {\n  nonsense = 1\n}\n',
        "recipes/no-value/main.tf": 'variable "zone" {}\n',
        "environments/local/clusters/refused.yaml": "recipe: refused\n",
        "environments/local/clusters/no-value.yaml": "recipe: no-value\n",
    }
    for path, text in mistakes.items():
        (stack.configs / path).parent.mkdir(exist_ok=True)
        (stack.configs / path).write_text(text)
    applied = stack.synchronize()
    assert "variables.zone" in applied.stdout + applied.stderr  # the cluster lacks its value
    wait_for("a broken prober", lambda: stack.state("cannot-start") == {State.BROKEN})
    grid = stack.grid()
    assert grid
    assert "no-such-program" in " ".join(grid.hosts[0].cells["cannot-start"].reasons.values())
    assert "main.tf:2" in wait_for("a refused recipe", lambda: _notices(stack, "refused"))
    assert stack.state("tcp-connect") == {State.SUCCESS}

    for path in mistakes:
        (stack.configs / path).unlink()
    for folder in ("probers/cannot-start", "recipes/refused", "recipes/no-value"):
        (stack.configs / folder).rmdir()
    # A recipe goes when its cluster is destroyed, so it may take another run.
    wait_for("the mistakes taken back", lambda: stack.synchronize().returncode == 0)
    wait_for("all green", stack.all_green)


def _a_yaml_mistake_changes_nothing(stack: Stack) -> None:
    prober = stack.configs / "probers/tcp-connect/prober.yaml"
    right = prober.read_text()
    prober.write_text(right.replace("command:", "comand:"))
    refused = stack.synchronize()
    assert refused.returncode == 1
    assert "tcp-connect/prober.yaml" in refused.stdout + refused.stderr
    assert "comand" in refused.stdout + refused.stderr
    prober.write_text(right)
    wait_for("all green", stack.all_green)


def _notices(stack: Stack, cluster: str) -> str:
    return " ".join(stack.client().cluster(cluster).notices)


def _every_part_survives_kill_9(stack: Stack, target: HttpTarget) -> None:
    deployments = len(stack.client().deployments("demo"))
    for part in ("solomon_stand_in/main.py", "api/main.py", "creator/main.py", "agent/main.py"):
        killed = stack.kill(part)
        wait_for(f"another {part}", lambda: set(stack.pids(part)) - {killed})  # noqa: B023 - called at once
        _a_dead_target_turns_red_and_green_again(stack, target)
    assert stack.end(signal.SIGKILL) == -signal.SIGKILL
    killed_at = time.time()
    stack.start()
    wait_for("the API again", stack.grid)
    _a_dead_target_turns_red_and_green_again(stack, target)
    # Nothing was deployed anew: the machines went on while everything else was away.
    assert len(stack.client().deployments("demo")) == deployments
    wait_for("points of the time after", lambda: stack.newest_point() > killed_at)

"""A real agent asked through its control socket: each question, and runs that people want."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.control.client import ControlClient
from agent.errors import AgentNotRunningError, ControlRefusedError
from agent.recorder.reader import Wanted, read_records
from common import processes
from common.contracts.control import LocalProber, RunPhase, RunWanted
from common.contracts.files import FileUpload
from common.contracts.probers import ProberSettings
from common.contracts.states import Outcome, State
from tests.integration.agent.control_agent import ROOT, ControlAgent
from tests.integration.agent.stand_ins import StubApi, document, prober, served, sha256, wait_until
from tests.integration.needs import need

SAYS = b'#!/bin/sh\necho "hello $VAR_NAME"\necho nobody answers >&2\nexit 1\n'
# Asks the agent that runs it to silence everything, and prints what it says.
ASKS = b"""
import json, os, socket, sys
ask = socket.socket(socket.AF_UNIX)
ask.connect(f"/proc/self/fd/{os.open(sys.argv[1], os.O_RDONLY)}/control.sock")
body = json.dumps({"seconds": 100, "why": "I do not want to be seen"})
try:
    ask.sendall(f"POST /v1/pauses HTTP/1.1\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}".encode())
except BrokenPipeError:
    pass  # refused before it asked
print(ask.recv(4096).split()[1].decode())
"""

LAST_VERDICT = 'mr_prober_outcome{number="1499",reason="the last one"} 1'
AS_NOBODY = (
    "import os, sys; from pathlib import Path; os.setgroups([]); os.setgid(65534); os.setuid(65534)"
)


@dataclass(frozen=True)
class Shared:
    agent: ControlAgent
    api: StubApi
    witness: Path

    @property
    def client(self) -> ControlClient:
        return self.agent.client


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One agent for all tests that change nothing of it: a start takes seconds."""
    folder = tmp_path_factory.mktemp("control")
    api = StubApi()
    witness, started = folder / "witness", folder / "started"
    witness.mkdir()
    script = f'env | grep -v TMPDIR | sort > "$(mktemp {witness}/XXXXXX)"; ulimit -n; false'
    rules = folder / "rules.toml"
    rules.write_text('commands = ["*forbidden*"]\nprobers = ["bad-*"]\n')
    api.serve_files(SAYS)
    api.document = document(
        prober(
            1, {"says.sh": SAYS}, ["./says.sh"],
            interval_seconds=86400, time_limit_seconds=5,
            variables={"name": "Ann"}, matrix={"target": {"values": ["a", "b"]}},
        ),
        prober(2, {}, ["true"], mode="unheard-of"),
        prober(3, {}, ["sh", "-c", script], interval_seconds=86400, open_files=123),
        prober(4, {}, ["false"], interval_seconds=0.3),
        prober(5, {}, ["true"], interval_seconds=0.3),
        prober(
            6, {}, ["sh", "-c", f"touch {started}; exec sleep 600"],
            exclusive="disk", time_limit_seconds=900, grace_seconds=0,
        ),
        prober(
            7, {}, ["sh", "-c", f"echo '{LAST_VERDICT}'"], interval_seconds=86400,
            matrix={"number": {"values": list(range(1500)), "deliver": "batch"}},
        ),
    )  # fmt: skip
    agent = ControlAgent(folder / "agent", api)
    with served(api.server):
        agent.start(MR_PROBER_AGENT_RULES=str(rules))
        wait_until(lambda: (agent.shown("prober-1"), agent.shown("prober-3")) == ("11", "1"))
        wait_until(lambda: agent.shown("prober-7").endswith("1"))
        wait_until(started.exists)
        # A report may be older than what the socket says.
        wait_until(lambda: api.reports and api.reports[-1]["probers"][2]["states"] == "1")
        yield Shared(agent, api, witness)
        agent.end()


def described(api: StubApi, *more: Any, **settings: Any) -> None:
    """A prober that fails on two targets each minute."""
    matrix = {"target": {"values": ["a", "b"]}}
    defaults = {"interval_seconds": 60, "variables": {"name": "Ann"}, "matrix": matrix}
    api.serve_files(SAYS)
    api.document = document(
        prober(1, {"says.sh": SAYS}, ["./says.sh"], **(defaults | settings)), *more
    )


def test_tells_all_about_itself_and_its_probers(shared: Shared) -> None:
    state = shared.client.state()
    assert (state.agent.cluster, state.agent.host, state.agent.boot) == ("demo", "h1", 1)
    assert shared.agent.process
    assert state.agent.pid == shared.agent.process.pid
    assert (state.configuration.revision, state.configuration.source) == (1, "api")
    assert state.api.address == shared.api.url
    assert state.api.problem == ""
    assert not state.solomon.is_used
    assert state.host.memory_bytes > state.host.memory_available_bytes > 0
    assert state.host.disk_free_bytes > 0
    assert state.own.slots == 100
    assert state.own.runs_in_progress >= 1
    assert any("not root" in power for power in state.own.missing_powers) == (os.geteuid() != 0)
    one, other = state.probers[:2]
    assert (one.state, one.reason) == (State.FAILURE, "nobody answers")
    assert one.figures.runs == {Outcome.FAILURE: 2}
    assert one.figures.cpu_seconds > 0
    assert one.next_run_at
    assert one.last_run_at
    assert one.next_run_at > one.last_run_at
    assert other.state is State.BROKEN
    assert "unheard-of" in other.problem
    details = shared.client.prober("prober-1")
    assert [one.labels for one in details.combinations] == [{"target": "a"}, {"target": "b"}]
    assert details.combinations[0].recent == [Outcome.FAILURE]
    assert details.combinations[0].since


def test_one_bad_combination_among_very_many_is_not_overlooked(shared: Shared) -> None:
    (one,) = [prober for prober in shared.client.state().probers if prober.slug == "prober-7"]
    assert one.states == "3" * 1499 + "1"
    assert (one.state, one.reason) == (State.FAILURE, "the last one")
    details = shared.client.prober("prober-7")
    assert (len(details.combinations), details.left_out) == (1500, 0)
    assert details.combinations[-1].labels == {"number": "1499"}
    record = shared.client.records(prober="prober-7").records[-1]
    assert (record.outcome, record.reason) == (Outcome.FAILURE, "the last one")
    assert [one.labels["number"] for one in record.combinations[:2]] == ["1499", "0"]
    assert record.left_out == 1400


def test_explains_where_each_value_comes_from(shared: Shared) -> None:
    said = shared.client.explanation("prober-1")
    origins = {
        name: (one.value, one.layer, one.config) for name, one in said.prober.settings.items()
    }
    assert origins["time_limit_seconds"] == (5, "cluster", "all")
    assert origins["grace_seconds"] == (2, "built-in", "")
    assert origins["variables.name"] == ("Ann", "cluster", "all")
    assert said.prober.runs[1].environment["VAR_TARGET"] == "b"
    (file,) = said.files.files
    assert (file.path, file.sha256) == ("says.sh", sha256(SAYS))
    assert said.files.folder
    assert (Path(said.files.folder) / "says.sh").read_bytes() == SAYS
    assert len(said.next_runs) == 2
    with pytest.raises(ControlRefusedError, match="has no prober nobody"):
        shared.client.explanation("nobody")


def test_shows_the_series_as_they_stand(shared: Shared) -> None:
    every = shared.client.metrics()
    assert every.common_labels == {"cluster_slug": "demo", "host": "h1"}
    values = {point.name: point.value for point in every.points}
    assert values["mr_prober_agent_heartbeat"] == 1
    own = shared.client.metrics("prober-1").points
    failures = [
        point.value for point in own if point.labels.get("outcome") == "failure" and point.name == "mr_prober_runs"
    ]  # fmt: skip
    assert failures == [1, 1]
    histogram = next(point for point in own if point.name == "mr_prober_run_seconds")
    assert sum(histogram.buckets) + histogram.above == 1


def test_runs_a_prober_exactly_as_the_agent_does_and_counts_nothing(shared: Shared) -> None:
    counted = shared.client.prober("prober-3")
    reported = shared.api.reports[-1]["probers"][2]
    progress = shared.agent.ran(RunWanted(prober="prober-3"))
    assert progress.phase is RunPhase.ENDED
    assert progress.record
    assert progress.record.is_trial
    assert (progress.record.outcome, progress.record.exit_code) == (Outcome.FAILURE, 1)
    assert progress.record.stdout.text() == "123\n"
    theirs, ours = (path.read_text() for path in shared.witness.iterdir())
    assert theirs == ours
    now = shared.client.prober("prober-3")
    assert now.prober.figures == counted.prober.figures
    assert now.combinations[0].last_run_at == counted.combinations[0].last_run_at
    assert shared.api.reports[-1]["probers"][2] == reported
    recorded = shared.client.records(prober="prober-3").records
    assert [one.is_trial for one in recorded] == [False]


def test_a_run_takes_other_values_and_another_combination(shared: Shared) -> None:
    progress = shared.agent.ran(
        RunWanted(prober="prober-1", combination={"target": "b"}, values={"name": "Bob"})
    )
    assert progress.record
    assert progress.record.environment["VAR_TARGET"] == "b"
    assert progress.record.stdout.text() == "hello Bob\n"
    assert progress.record.reason == "nobody answers"
    with pytest.raises(ControlRefusedError, match="z is none of a, b"):
        shared.client.run(RunWanted(prober="prober-1", combination={"target": "z"}))


def test_runs_the_files_of_an_author_and_leaves_nothing_of_them(shared: Shared) -> None:
    local = LocalProber(
        command=["./mine.sh"],
        files=[FileUpload.of("mine.sh", b"#!/bin/sh\ncat lib/word; pwd\n", executable=True),
               FileUpload.of("lib/word", b"a word\n")],
        settings=ProberSettings(time_limit_seconds=8),
    )  # fmt: skip
    progress = shared.agent.ran(RunWanted(prober="not-yet", local=local))
    assert progress.record
    word, folder = progress.record.stdout.text().splitlines()
    assert word == "a word"
    assert progress.record.outcome is Outcome.SUCCESS
    wait_until(lambda: not Path(folder).exists())
    assert "not-yet" not in [one.slug for one in shared.client.state().probers]


def test_the_rules_of_the_machines_owner_hold_for_wanted_runs_too(shared: Shared) -> None:
    command = LocalProber(command=["echo", "forbidden"])
    with pytest.raises(ControlRefusedError, match="forbidden by the owner") as refused:
        shared.client.run(RunWanted(prober="good", local=command))
    assert refused.value.status == 403
    with pytest.raises(ControlRefusedError, match="prober bad-one"):
        shared.client.run(RunWanted(prober="bad-one", local=LocalProber(command=["true"])))
    other = LocalProber(command=["true"], settings=ProberSettings(user="daemon"))
    with pytest.raises(ControlRefusedError, match="daemon"):
        shared.client.run(RunWanted(prober="good", local=other))


def test_a_wanted_run_waits_for_its_group_and_says_why_it_could_not_be(shared: Shared) -> None:
    own = LocalProber(command=["true"], settings=ProberSettings(exclusive="disk"))
    progress = shared.agent.ran(RunWanted(prober="own", local=own, wait_seconds=0.3))
    assert progress.phase is RunPhase.NOT_RUN
    assert "exclusion group" in progress.problem


def test_a_wanted_run_can_be_ended_and_nothing_of_it_is_left(
    shared: Shared, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    script = f"echo $$ > {started}; exec sleep 300"
    settings = ProberSettings(time_limit_seconds=600, grace_seconds=1)
    local = LocalProber(command=["sh", "-c", script], settings=settings)
    ticket = shared.client.run(RunWanted(prober="slow", local=local))
    wait_until(lambda: started.exists() and started.read_text())
    assert shared.client.progress(ticket.id).phase is RunPhase.RUNNING
    shared.client.end_run(ticket.id)
    progress = shared.client.progress(ticket.id, wait_seconds=20)
    assert progress.phase is RunPhase.ENDED
    assert "before its time" in progress.problem
    assert not Path(f"/proc/{started.read_text().strip()}").exists()


def test_follows_what_runs_say(shared: Shared) -> None:
    newest = shared.client.records(limit=1).newest
    seen: list[int] = []
    for _ in range(3):
        found = shared.client.records(prober="prober-4", failed=True, after=newest, wait_seconds=20)
        assert {one.prober for one in found.records} == {"prober-4"}
        assert found.records[0].reason == "exit status 1"
        seen += [one.number for one in found.records]
        newest = found.newest
    assert seen == sorted(set(seen))
    good = shared.client.records(prober="prober-5", limit=5).records
    assert good[-1].outcome is Outcome.SUCCESS
    assert shared.client.records(prober="prober-5", failed=True).records == []


def test_the_dead_tell_tales(control_agent: ControlAgent, stub_api: StubApi) -> None:
    described(stub_api)
    control_agent.start()
    wait_until(lambda: len(read_records(control_agent.folder, Wanted(failed=True)).records) == 2)
    control_agent.kill()
    with pytest.raises(AgentNotRunningError, match=str(control_agent.folder)):
        control_agent.client.state()
    record = read_records(control_agent.folder, Wanted(prober="prober-1")).records[0]
    assert record.stdout.text() == "hello Ann\n"
    assert record.arguments == ["./says.sh"]
    assert record.environment["VAR_NAME"] == "Ann"


def test_a_prober_may_not_ask_even_if_it_has_the_agents_user(
    control_agent: ControlAgent, stub_api: StubApi
) -> None:
    stub_api.serve_files(ASKS)
    command = ["python3", "asks.py", str(control_agent.folder)]
    stub_api.document = document(prober(1, {"asks.py": ASKS}, command, interval_seconds=1))
    control_agent.start()
    wait_until(lambda: control_agent.client.records(limit=1).records)
    said = control_agent.client.records(limit=1).records[-1]
    assert (said.stdout.text(), said.stderr.text()) == ("403\n", "")
    assert control_agent.client.pauses().pauses == []


def test_other_users_cannot_connect(shared: Shared) -> None:
    need(os.geteuid() == 0, "root, to be somebody else")
    for folder in (shared.agent.folder, *shared.agent.folder.parents):
        if str(folder).startswith("/tmp/"):  # noqa: S108 - pytest's own
            folder.chmod(0o755)
    script = f"from agent.control.client import ControlClient; {AS_NOBODY}; ControlClient(Path(sys.argv[1])).state()"
    log = shared.agent.folder.parent / "other.log"
    with log.open("wb") as output:
        other = processes.start(
            [sys.executable, "-c", script, str(shared.agent.folder)],
            environment={"PYTHONPATH": str(ROOT)}, cwd=Path("/"), stdout=output, stderr=output,
        )  # fmt: skip
    assert other.wait(30) == 1
    assert "Permission denied" in log.read_text()
    assert (shared.agent.folder / "control.sock").stat().st_mode & 0o777 == 0o660

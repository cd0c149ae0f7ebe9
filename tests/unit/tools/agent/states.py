"""What agents say of themselves, with what a test does not care about filled in."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from common.contracts.control import (
    AboutAgent,
    AgentState,
    CombinationState,
    ConfigurationState,
    HostState,
    LinkState,
    OwnState,
    ProberDetails,
    ProberState,
    RunFigures,
)
from common.contracts.records import RecordedOutput, RunRecord
from common.contracts.states import Outcome, State

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
NOBODY = UUID(int=1)


def agent_state(*probers: ProberState, **changed: Any) -> AgentState:
    parts: dict[str, Any] = {
        "agent": AboutAgent(
            cluster="demo", host="demo-1", instance=NOBODY, boot=3, version="1", python="3.11",
            pid=7, user="root", folder="/agent", started_at=NOW - timedelta(hours=5), clock=NOW,
        ),
        "configuration": ConfigurationState(revision=5, source="api", confirmed_seconds_ago=3),
        "api": LinkState(address="http://api", succeeded_seconds_ago=3),
        "reports": LinkState(address="http://api", succeeded_seconds_ago=3),
        "solomon": LinkState(is_used=False),
        "host": HostState(processors=2, load=[0.1, 0.2, 0.3]),
        "own": OwnState(cpu_seconds=1, rss_bytes=1, slots=100, runs_in_progress=0, runs_started=9, canary_runs={"right": 3}),
    }  # fmt: skip
    return AgentState(**parts | {"probers": list(probers)} | changed)


def prober_state(slug: str, state: State = State.SUCCESS, **more: Any) -> ProberState:
    figures = RunFigures(runs={Outcome.SUCCESS: 90, Outcome.FAILURE: 10})
    given = {"figures": figures, "since": NOW - timedelta(minutes=5), "states": str(state.value)}
    return ProberState(id=NOBODY, slug=slug, revision=1, state=state, **given | more)


def details(prober: ProberState, *states: tuple[dict[str, str], State]) -> ProberDetails:
    combinations = [CombinationState(labels=labels, state=state) for labels, state in states]
    return ProberDetails(prober=prober, combinations=combinations)


def record(outcome: Outcome = Outcome.FAILURE, **more: Any) -> RunRecord:
    given: dict[str, Any] = {
        "number": 1, "prober_id": NOBODY, "prober": "dns-resolve", "revision": 1,
        "due_at": NOW, "started_at": NOW, "ended_at": NOW + timedelta(seconds=1),
        "exit_code": 1, "reason": "no answer", "arguments": ["python3", "dns.py"],
        "stderr": RecordedOutput(head="no answer\n", printed_bytes=10),
    }  # fmt: skip
    return RunRecord(outcome=outcome, **given | more)

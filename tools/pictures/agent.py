"""Scenes of `yc-mr-prober-agent`: who is at fault, and what the log says."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from rich.console import Console

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
from common.contracts.records import RecordedCombination, RunRecord
from common.contracts.states import Outcome, State
from tools.agent.judgement import judged
from tools.agent.pages import status_page
from tools.agent.records import line_of
from tools.pictures.prompt import typed

# Three at night on the clock of whoever draws.
_NOW = datetime(2026, 1, 2, 3, 10, 35, tzinfo=UTC).replace(tzinfo=None).astimezone()
_ID = UUID(int=1)
_ANSWERS = LinkState(address="https://prober.example.net", succeeded_seconds_ago=4)
_RED = ProberState(
    id=_ID, slug="dns-resolve", revision=7, state=State.FAILURE, states="1010",
    reason="no answer within 2 s", since=_NOW - timedelta(minutes=4),
    last_run_at=_NOW - timedelta(seconds=3), next_run_at=_NOW + timedelta(seconds=2),
    figures=RunFigures(runs={Outcome.SUCCESS: 8541, Outcome.FAILURE: 96}),
)  # fmt: skip
_GREEN = ProberState(
    id=_ID, slug="mesh-tcp", revision=3, state=State.SUCCESS, states="000",
    since=_NOW - timedelta(hours=6), last_run_at=_NOW - timedelta(seconds=1),
    next_run_at=_NOW + timedelta(seconds=4),
    figures=RunFigures(runs={Outcome.SUCCESS: 12_960}),
)  # fmt: skip


def status(console: Console) -> None:
    """At night, on the machine of a red cell."""
    typed(console, "yc-mr-prober-agent status")
    state = AgentState(
        agent=AboutAgent(
            cluster="mesh-a", host="mesh-a-2", instance=_ID, boot=3, version="0.1.0", python="3.11",
            pid=412, user="root", folder="", started_at=_NOW - timedelta(hours=6), clock=_NOW,
        ),
        configuration=ConfigurationState(revision=1767322, source="api", confirmed_seconds_ago=4),
        api=_ANSWERS, storage=_ANSWERS, reports=_ANSWERS, solomon=_ANSWERS,
        host=HostState(
            processors=2, load=[0.21, 0.18, 0.2], memory_available_bytes=3 * 1024**3,
            disk_free_bytes=18 * 1024**3,
        ),
        own=OwnState(
            cpu_seconds=9, rss_bytes=45 * 1024**2, slots=100, runs_in_progress=1,
            runs_started=21_597, canary_runs={"right": 360},
        ),
        probers=[_RED, _GREEN],
    )  # fmt: skip
    console.print(status_page(state, judged(state, {_RED.slug: _details()})), soft_wrap=False)


def logs(console: Console) -> None:
    """Why the prober fails."""
    typed(console, "yc-mr-prober-agent logs dns-resolve --failed")
    for seconds, resolver in ((23, "10.0.0.2"), (13, "10.0.0.2"), (3, "10.0.0.2")):
        ended = _NOW - timedelta(seconds=seconds)
        bad = RecordedCombination(
            labels={"resolver": resolver, "name": "a"}, outcome=Outcome.FAILURE
        )
        record = RunRecord(
            number=1, prober_id=_ID, prober="dns-resolve", revision=7, outcome=Outcome.FAILURE,
            reason="no answer within 2 s", combinations=[bad], due_at=ended,
            started_at=ended - timedelta(seconds=2.1), ended_at=ended, exit_code=1,
        )  # fmt: skip
        console.print(line_of(record), soft_wrap=True)


def _details() -> ProberDetails:
    combinations = [
        CombinationState(labels={"resolver": resolver, "name": name}, state=state)
        for resolver, state in (("10.0.0.2", State.FAILURE), ("10.0.0.3", State.SUCCESS))
        for name in ("a", "b")
    ]
    return ProberDetails(prober=_RED, combinations=combinations)

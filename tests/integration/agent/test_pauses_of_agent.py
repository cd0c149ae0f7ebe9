"""Pauses of a real agent: seen everywhere, over restarts, and over by themselves."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from agent.clocks import Clocks, boot_ns
from agent.configuration import ConfigurationNews
from agent.control.desk import Desk
from agent.control.window import Window
from agent.errors import ControlRefusedError, LoopSilentError
from agent.mailboxes import Mailbox
from agent.plan import HostPlan
from agent.running.wiper import Wiper
from agent.sinks.port import Batch, SinkFigures
from common.contracts.control import Pause, PauseWanted
from common.contracts.reports import AgentReport
from common.contracts.states import SkipReason, State
from tests.integration.agent.control_agent import ControlAgent
from tests.integration.agent.stand_ins import StubApi, document, prober, wait_until
from tests.integration.agent.test_agent_loop import loop_of, planned

WANTED = PauseWanted(prober="prober-1", seconds=3600, why="the target moves", who="ann")


def paused_agent(agent: ControlAgent, api: StubApi, witness: Path) -> None:
    """Two probers, of which the first was red and is paused, and no run of it goes on."""
    script = f"echo run >> {witness}; echo no answer >&2; exit 1"
    api.document = document(
        prober(1, {}, ["sh", "-c", script], interval_seconds=0.2),
        prober(2, {}, ["true"], interval_seconds=0.2),
    )
    agent.start()
    wait_until(lambda: agent.shown("prober-1") == "1")
    agent.client.pause(WANTED)
    # One that had begun may still end.
    wait_until(lambda: not agent.client.prober("prober-1").prober.runs_in_progress)


def test_a_pause_is_told_to_the_api_and_ended_by_hand(
    control_agent: ControlAgent, stub_api: StubApi, tmp_path: Path
) -> None:
    paused_agent(control_agent, stub_api, tmp_path / "witness")
    wait_until(lambda: stub_api.reports and stub_api.reports[-1]["pauses"])
    report = stub_api.reports[-1]
    assert [entry["states"] for entry in report["probers"]] == ["5", "0"]
    assert report["reasons"] == []
    (told,) = report["pauses"]
    assert told["prober_id"] == report["probers"][0]["prober_id"]
    assert told["who"].startswith("ann (")
    assert told["why"] == "the target moves"

    assert control_agent.client.resume("prober-1").pauses == []
    wait_until(lambda: control_agent.shown("prober-1") == "1")
    wait_until(lambda: stub_api.reports[-1]["pauses"] == [])
    assert json.loads((control_agent.folder / "pauses.json").read_text()) == {"pauses": []}
    with pytest.raises(ControlRefusedError, match="no pause of its own"):
        control_agent.client.resume("prober-1")
    with pytest.raises(ControlRefusedError, match="does not run on this host"):
        control_agent.client.pause(PauseWanted(prober="nobody", seconds=1, why="?"))


def test_a_pause_survives_kill_9(
    control_agent: ControlAgent, stub_api: StubApi, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    paused_agent(control_agent, stub_api, witness)
    runs = witness.read_text()
    control_agent.kill()
    control_agent.start()

    def skipped() -> int:
        figures = control_agent.client.prober("prober-1").prober.figures
        return figures.skipped.get(SkipReason.PAUSED, 0)

    wait_until(lambda: control_agent.shown("prober-2") == "0" and skipped() > 2)
    one = control_agent.client.prober("prober-1").prober
    assert one.state is State.PAUSED
    assert one.pause
    assert one.pause.why == "the target moves"
    assert one.figures.runs == {}
    assert witness.read_text() == runs
    points = control_agent.client.metrics().points
    states = {
        point.labels["prober_slug"]: point.value
        for point in points
        if point.name == "mr_prober_state"
    }
    assert states == {"prober-1": State.PAUSED, "prober-2": State.SUCCESS}


class _Cells:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def values(self, name: str) -> list[float]:
        found = [
            point.value for batch in self.batches for point in batch.points if point.name == name
        ]
        return [value for value in found if isinstance(value, int | float)]

    def last(self, name: str, **labels: str) -> object:
        return next(
            point.value
            for point in self.batches[-1].points
            if point.name == name and labels.items() <= point.labels.items()
        )

    def start(self) -> None:
        pass

    def accept(self, batch: Batch) -> None:
        self.batches.append(batch)

    def figures(self) -> SinkFigures:
        return SinkFigures()

    def close(self, *, time_limit_seconds: float) -> None:
        pass


class SteppedClock:
    """Both hands are moved by the test, together."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.passed

    def boot_ns(self) -> int:
        return boot_ns() + round(self.passed.total_seconds() * 1e9)


def paused_for(time: timedelta, since: datetime) -> Pause:
    return Pause(prober="prober-1", since=since, until=since + time, who="ann", why="moving")


def test_a_pause_ends_by_the_clock_and_every_beat_is_accounted_for(tmp_path: Path) -> None:
    """A prober of each minute is paused for three; the clock leaps in steps that are no sleep of the host."""
    one = planned(1, tmp_path, "true", interval=timedelta(seconds=60))
    news: Mailbox[ConfigurationNews] = Mailbox()
    news.put(ConfigurationNews(HostPlan(UUID(int=9), "demo", 1, (one,)), "", None))
    clock, cells, wiper = SteppedClock(), _Cells(), Wiper()
    reports: list[AgentReport] = []
    loop = loop_of(
        tmp_path, news, reports, wiper, Clocks(boot_ns=clock.boot_ns, now=clock.now),
        sink=cells, pauses=[paused_for(timedelta(minutes=3), clock.now())],
    )  # fmt: skip
    begun = clock.passed

    def stopping() -> bool:
        # A second and more after its end there is a result.
        if clock.passed - begun < timedelta(seconds=184):
            clock.passed += timedelta(seconds=1)
        return bool(reports) and reports[-1].probers[0]["states"] == "0"

    loop.run(stopping)
    wiper.close(time_limit_seconds=10)
    assert [cells.values("mr_prober_state")[index] for index in (0, -1)] == [5, 0]
    paused = cells.last("mr_prober_skipped_runs", reason="paused")
    assert paused in {3, 4}
    # The run that shows the state is none of the schedule's.
    assert cells.last("mr_prober_runs", outcome="success") == 0
    assert cells.last("mr_prober_skipped_runs", reason="suspended") == 0
    assert any(report.pauses for report in reports)
    assert reports[-1].pauses == []


def test_the_desk_is_closed_when_the_loop_ends(tmp_path: Path) -> None:
    wiper = Wiper()
    desk: Desk[Window] = Desk(lambda: None)
    loop_of(tmp_path, Mailbox(), [], wiper, Clocks(), desk=desk).run(lambda: True)
    wiper.close(time_limit_seconds=10)
    with pytest.raises(LoopSilentError, match="it ends"):
        desk.ask(lambda window: window.pauses(), time_limit_seconds=0.1)

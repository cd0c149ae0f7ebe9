"""Runs that end while Creator changes the machines are flagged."""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from agent.accounts import Accounts
from agent.clocks import Clocks
from agent.configuration import ConfigurationNews
from agent.identity import Identity
from agent.loop import AgentLoop
from agent.mailboxes import Mailbox, Waker
from agent.plan import HostPlan, PlannedProber, RunKey, RunSpec
from agent.ports import AboutAgent, Ports
from agent.running.launchers import Workplace
from agent.running.users import Users
from agent.running.wiper import Wiper
from agent.sinks.port import Batch, SeveralSinks
from common.contracts.reports import AgentReport
from common.solomon.points import Point

KEY = RunKey(UUID(int=1), "{}")


class RecordingSink(SeveralSinks):
    """Remembers points."""

    def __init__(self) -> None:
        super().__init__([])
        self.points: list[Point] = []

    def accept(self, batch: Batch) -> None:
        self.points += batch.points

    def newest(self, name: str, **labels: str) -> object:
        """The last value of a series; None if there is no such series."""
        found = [
            point.value
            for point in self.points
            if point.name == name and labels.items() <= point.labels.items()
        ]
        return found[-1] if found else None


@pytest.mark.parametrize(
    ("left", "is_flagged"), [(timedelta(hours=1), True), (timedelta(hours=-1), False), (None, None)]
)
def test_a_run_that_ends_before_the_deadline_of_an_apply_is_flagged(
    tmp_path: Path, left: timedelta | None, is_flagged: bool | None
) -> None:
    spec = RunSpec(
        key=KEY, prober_slug="ping", labels={}, arguments=("true",), environment={}, folder=tmp_path,
        interval=timedelta(seconds=0.1), time_limit=timedelta(seconds=10), grace=timedelta(seconds=1),
        output="none",
    )  # fmt: skip
    prober = PlannedProber(UUID(int=1), "ping", 1, (KEY,), ({},), (spec,))
    until = None if left is None else (datetime.now(UTC) + left).timestamp()
    sink = RecordingSink()
    _run_until_it_succeeds(HostPlan(UUID(int=9), "demo", 1, (prober,), until), tmp_path, sink)
    runs = sink.newest("mr_prober_runs", outcome="success")
    assert runs
    flagged = sink.newest("mr_prober_flagged_runs", flag="during_apply")
    assert flagged == {True: runs, False: 0, None: None}[is_flagged]


def _run_until_it_succeeds(plan: HostPlan, folder: Path, sink: RecordingSink) -> None:
    news: Mailbox[ConfigurationNews] = Mailbox()
    news.put(ConfigurationNews(plan, "", None))
    reports: list[AgentReport] = []
    temporary = folder / "temporary"
    temporary.mkdir()
    wiper = Wiper()
    loop = AgentLoop(
        AboutAgent(Identity(UUID(int=5), 1), "h1", "demo"),
        Ports(news, Waker(), sink, reports.append, Accounts(folder)),
        Workplace(temporary, f"{Path(sys.executable).parent}:/usr/bin:/bin", Users(), wiper),
        clocks=Clocks(),
    )
    deadline = time.monotonic() + 60

    def stopping() -> bool:
        assert time.monotonic() < deadline
        return any(probed["states"] == "0" for report in reports for probed in report.probers)

    loop.run(stopping)
    wiper.close(time_limit_seconds=10)

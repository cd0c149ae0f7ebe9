"""The loop with real programs: how it ends."""

import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from agent.accounts import Accounts
from agent.clocks import Clocks, boot_ns
from agent.configuration import ConfigurationNews
from agent.identity import Identity
from agent.loop import AboutAgent, AgentLoop, Ports
from agent.mailboxes import Mailbox, Waker
from agent.plan import HostPlan, PlannedProber, RunKey, RunSpec
from agent.running.launchers import Workplace
from agent.running.users import Users
from agent.running.wiper import Wiper
from agent.sinks.port import SeveralSinks
from common.contracts.reports import AgentReport

IGNORES_SIGTERM = "trap '' TERM; touch {}; while :; do sleep 0.1; done"


def planned(number: int, folder: Path, script: str, *, interval: timedelta) -> PlannedProber:
    key = RunKey(UUID(int=number), "{}")
    spec = RunSpec(
        key=key,
        prober_slug=f"prober-{number}",
        labels={},
        arguments=("sh", "-c", script),
        environment={},
        folder=folder,
        interval=interval,
        time_limit=timedelta(seconds=60),
        grace=timedelta(seconds=1),
        output="none",
    )
    return PlannedProber(UUID(int=number), f"prober-{number}", 1, (key,), ({},), (spec,))


def test_waits_idly_for_what_ignores_sigterm_although_others_would_be_due(tmp_path: Path) -> None:
    started = tmp_path / "started"
    stubborn = planned(
        1, tmp_path, IGNORES_SIGTERM.format(started), interval=timedelta(seconds=100)
    )
    frequent = planned(2, tmp_path, "true", interval=timedelta(seconds=0.1))
    news: Mailbox[ConfigurationNews] = Mailbox()
    news.put(ConfigurationNews(HostPlan(UUID(int=9), "demo", 1, (stubborn, frequent)), "", None))
    readings: list[int] = []

    def counted_boot_ns() -> int:
        readings.append(boot_ns())
        return readings[-1]

    def stopping() -> bool:
        if started.exists():
            readings.clear()
        return started.exists()

    reports: list[AgentReport] = []
    wiper = Wiper()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    loop = AgentLoop(
        AboutAgent(Identity(UUID(int=5), 1), "h1", "demo"),
        Ports(news, Waker(), SeveralSinks([]), reports.append, Accounts(tmp_path)),
        Workplace(temporary, f"{Path(sys.executable).parent}:/usr/bin:/bin", Users(), wiper),
        clocks=Clocks(boot_ns=counted_boot_ns),
    )
    loop.run(stopping)
    wiper.close(time_limit_seconds=10)
    assert reports
    # A loop that does not wait reads the clock a hundred thousand times in the grace.
    assert len(readings) < 5000

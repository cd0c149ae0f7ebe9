"""The loop with real programs: clocks that step, hosts that sleep, and how it ends."""

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from agent.accounts import Accounts
from agent.clocks import Clocks, boot_ns
from agent.configuration import ConfigurationNews
from agent.identity import Identity
from agent.loop import AgentLoop
from agent.mailboxes import Mailbox, Waker
from agent.plan import HostPlan, PlannedProber, RunKey, RunSpec
from agent.ports import AboutAgent, Ports
from agent.running.launchers import Workplace
from agent.running.users import Users
from agent.running.wiper import Wiper
from agent.sinks.port import MetricSink, SeveralSinks
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


def loop_of(
    folder: Path,
    news: Mailbox[ConfigurationNews],
    reports: list[AgentReport],
    wiper: Wiper,
    clocks: Clocks,
    sink: MetricSink | None = None,
    **ports: Any,
) -> AgentLoop:
    temporary = folder / "temporary"
    temporary.mkdir()
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return AgentLoop(
        AboutAgent(Identity(UUID(int=5), 1), "h1", "demo"),
        Ports(news, Waker(), sink or SeveralSinks([]), reports.append, Accounts(folder), **ports),
        Workplace(temporary, path, Users(), wiper),
        clocks=clocks,
    )


class SteppedClock:
    """A clock of which the test moves the hands."""

    def __init__(self) -> None:
        self.offset = timedelta()
        self.slept_ns = 0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def boot_ns(self) -> int:
        return boot_ns() + self.slept_ns


def share_of_beats(folder: Path, steps: Callable[[SteppedClock, int], None]) -> float:
    """A prober of every 100 ms runs ten times, while the test sets its clocks in each round: its runs by what would fit in."""
    witness = folder / "witness"
    frequent = planned(1, folder, f"echo run >> {witness}", interval=timedelta(seconds=0.1))
    news: Mailbox[ConfigurationNews] = Mailbox()
    news.put(ConfigurationNews(HostPlan(UUID(int=9), "demo", 1, (frequent,)), "", None))
    clock = SteppedClock()
    wiper = Wiper()
    loop = loop_of(folder, news, [], wiper, Clocks(boot_ns=clock.boot_ns, now=clock.now))
    begin_ns = boot_ns()
    looks = 0

    def runs() -> int:
        return len(witness.read_text().split()) if witness.exists() else 0

    def stopping() -> bool:
        nonlocal looks
        looks += 1
        steps(clock, looks)
        lasts = boot_ns() - begin_ns
        return lasts > 60 * 10**9 or (lasts > 10**9 and runs() >= 10)

    loop.run(stopping)
    beats = (boot_ns() - begin_ns) / 10**8
    wiper.close(time_limit_seconds=10)
    assert runs() >= 10
    return runs() / beats


def test_who_prints_much_does_not_wait_for_a_loop_that_sleeps_until_the_next_starts(
    tmp_path: Path,
) -> None:
    done = tmp_path / "done"
    script = f"head -c 50000000 /dev/zero; touch {done}"
    loud = planned(1, tmp_path, script, interval=timedelta(seconds=100))
    # A pipe that is emptied four times in each of their beats takes 20 s.
    limited = replace(loud, specs=(replace(loud.specs[0], time_limit=timedelta(seconds=10)),))
    frequent = planned(2, tmp_path, "true", interval=timedelta(seconds=0.1))
    news: Mailbox[ConfigurationNews] = Mailbox()
    news.put(ConfigurationNews(HostPlan(UUID(int=9), "demo", 1, (limited, frequent)), "", None))
    wiper = Wiper()
    clocks = Clocks(boot_ns=boot_ns, now=lambda: datetime.now(UTC))
    begin_ns = boot_ns()
    loop = loop_of(tmp_path, news, [], wiper, clocks)
    loop.run(lambda: done.exists() or boot_ns() - begin_ns > 15 * 10**9)
    wiper.close(time_limit_seconds=10)
    assert done.exists()


def test_a_clock_that_is_set_back_and_forth_neither_stops_nor_hurries_anything(
    tmp_path: Path,
) -> None:
    def steps(clock: SteppedClock, look: int) -> None:
        clock.offset = timedelta(days=look % 3 - 1)

    # One more than fits in: the beat of the start.
    assert share_of_beats(tmp_path, steps) <= 1.2


def test_after_a_long_sleep_nothing_is_made_up_for(tmp_path: Path) -> None:
    def steps(clock: SteppedClock, look: int) -> None:
        clock.slept_ns = 3600 * 10**9 if look > 20 else 0

    assert share_of_beats(tmp_path, steps) <= 1.2


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
    loop = loop_of(tmp_path, news, reports, wiper, Clocks(boot_ns=counted_boot_ns))
    loop.run(stopping)
    wiper.close(time_limit_seconds=10)
    assert reports
    # A loop that does not wait reads the clock a hundred thousand times in the grace.
    assert len(readings) < 5000

"""How the loop begins and ends: everybody's first run at once, every run counted once, nothing new at the end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from agent.canaries import Canaries, StartCanary
from agent.clocks import Clocks, boot_ns
from agent.configuration import ConfigurationNews
from agent.flights import Flight
from agent.mailboxes import Mailbox
from agent.plan import HostPlan, PlannedProber, RunSpec
from agent.rules import Rules
from agent.running.wiper import Wiper
from agent.scheduler import SECOND_NS
from common.contracts.reports import AgentReport
from common.contracts.states import Outcome, SkipReason
from tests.integration.agent.test_agent_loop import loop_of, planned
from tests.integration.agent.test_during_apply import RecordingSink

HOUR = timedelta(hours=1)
# Says that it runs and that it was asked to end; nothing but SIGKILL ends it.
DEAF = "trap 'touch {0}/asked' TERM; touch {0}/started; while :; do sleep 0.1; done"


def changed(prober: PlannedProber, **values: object) -> PlannedProber:
    (spec,) = prober.specs
    return replace(prober, specs=(replace(spec, **values),))  # type: ignore[arg-type]


def plan(*probers: PlannedProber) -> Mailbox[ConfigurationNews]:
    news: Mailbox[ConfigurationNews] = Mailbox()
    news.put(ConfigurationNews(HostPlan(UUID(int=9), "demo", 1, probers), "", None))
    return news


def limited(condition: Callable[[], bool]) -> Callable[[], bool]:
    """The condition, or a failure after a minute."""
    end_ns = boot_ns() + 60 * SECOND_NS

    def checked() -> bool:
        assert boot_ns() < end_ns, "the condition never came true"
        return condition()

    return checked


def test_the_first_run_of_everybody_is_due_in_the_first_second_however_long_the_interval(
    tmp_path: Path,
) -> None:
    flights: list[Flight] = []
    reports: list[AgentReport] = []
    probers = [planned(number, tmp_path, "true", interval=HOUR) for number in range(1, 21)]
    wiper = Wiper()
    clocks = Clocks(boot_ns=boot_ns)
    loop = loop_of(
        tmp_path, plan(*probers), reports, wiper, clocks, record_flight=flights.append
    )  # fmt: skip
    loop.run(limited(lambda: len(flights) >= len(probers)))
    wiper.close(time_limit_seconds=10)
    assert {flight.spec.key for flight in flights} == {prober.keys[0] for prober in probers}
    assert len(flights) == len(probers)
    due = [flight.whole.due_ns for flight in flights]
    # One second of the schedule; how late the machine was is another figure.
    assert max(due) - min(due) < SECOND_NS


def test_a_run_whose_grace_goes_on_at_the_end_counts_once(tmp_path: Path) -> None:
    late = changed(
        planned(1, tmp_path, DEAF.format(tmp_path), interval=HOUR),
        time_limit=timedelta(seconds=2),
        grace=timedelta(seconds=3),
    )
    sink = RecordingSink()
    wiper = Wiper()
    loop = loop_of(tmp_path, plan(late), [], wiper, Clocks(boot_ns=boot_ns), sink)
    loop.run(limited((tmp_path / "asked").exists))
    wiper.close(time_limit_seconds=10)
    counted = [sink.newest("mr_prober_runs", outcome=outcome.value) for outcome in Outcome]
    skipped = [sink.newest("mr_prober_skipped_runs", reason=reason.value) for reason in SkipReason]
    assert sum(float(str(value)) for value in (*counted, *skipped) if value) == 1


def test_no_canary_is_started_while_the_last_runs_end(tmp_path: Path) -> None:
    started: list[RunSpec] = []
    at_the_end: list[int] = []
    stubborn = changed(
        planned(1, tmp_path, DEAF.format(tmp_path), interval=HOUR), grace=timedelta(seconds=3)
    )

    def canaries(start: StartCanary, now_ns: int) -> Canaries:
        def noted(spec: RunSpec, on_flight: Callable[[Flight], None]) -> None:
            started.append(spec)
            start(spec, on_flight)

        return Canaries(timedelta(seconds=0.3), rules=Rules(), now_ns=now_ns, start=noted)

    def stopping() -> bool:
        at_the_end[:] = [len(started)]
        return (tmp_path / "started").exists() and bool(started)

    wiper = Wiper()
    loop = loop_of(
        tmp_path, plan(stubborn), [], wiper, Clocks(boot_ns=boot_ns), canaries=canaries
    )  # fmt: skip
    loop.run(limited(stopping))
    wiper.close(time_limit_seconds=10)
    assert len(started) == at_the_end[0]

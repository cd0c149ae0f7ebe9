"""A plan that the loop cannot put in force, with real programs: those of the plan before go on, and the report says so."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from agent.clocks import Clocks
from agent.configuration import ConfigurationNews
from agent.mailboxes import Mailbox
from agent.plan import HostPlan
from agent.running.wiper import Wiper
from common.contracts.reports import AgentReport
from tests.integration.agent.stand_ins import wait_until
from tests.integration.agent.test_agent_loop import loop_of, planned


def test_the_programs_of_the_plan_before_go_on(tmp_path: Path) -> None:
    witness, other = tmp_path / "witness", tmp_path / "other"
    soon = timedelta(seconds=0.1)
    good = planned(1, tmp_path, f"echo run >> {witness}", interval=soon)
    new = planned(2, tmp_path, f"echo run >> {other}", interval=soon)
    # No document gets as far as this: it stands for any mistake of ours.
    bad = planned(3, tmp_path, "true", interval=timedelta())
    news: Mailbox[ConfigurationNews] = Mailbox()
    news.put(ConfigurationNews(HostPlan(UUID(int=9), "demo", 1, (good,)), "", None))
    reports: list[AgentReport] = []
    wiper = Wiper()
    loop = loop_of(tmp_path, news, reports, wiper, Clocks())
    phases = iter(range(3))
    phase, runs_before = next(phases), 0

    def runs() -> int:
        return len(witness.read_text().split()) if witness.exists() else 0

    def stopping() -> bool:
        nonlocal phase, runs_before
        loop._is_woken = True
        if phase == 0 and runs() >= 2:
            news.put(ConfigurationNews(HostPlan(UUID(int=9), "demo", 2, (new, bad)), "", None))
            phase, runs_before = next(phases), runs()
        elif phase == 1 and runs() >= runs_before + 3:
            phase = next(phases)
        return phase == 2

    loop.run(stopping)
    wiper.close(time_limit_seconds=10)
    assert not other.exists()
    last = reports[-1]
    assert last.document_revision == 1
    assert "document 2 cannot be put in force: a bug of the agent (ZeroDivisionError)" in (
        last.configuration_problem
    )
    assert [len(prober["states"]) for prober in last.probers] == [1]
    wait_until(lambda: not list((tmp_path / "temporary").iterdir()))

"""A cell that ends before there is a plan: the beats since an earlier agent are still open."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from agent.accounts import Accounted, Accounts
from agent.clocks import Clocks
from agent.configuration import ConfigurationNews
from agent.mailboxes import Mailbox
from agent.plan import HostPlan
from agent.running.wiper import Wiper
from tests.integration.agent.test_agent_loop import loop_of, planned


def test_an_agent_that_never_had_a_plan_accounts_for_nothing(tmp_path: Path) -> None:
    earlier = Accounted(1_700_000_000 * 10**9, {5: 2}, cell=7)
    Accounts(tmp_path).write(earlier)
    wiper = Wiper()
    news: Mailbox[ConfigurationNews] = Mailbox()
    loop_of(tmp_path, news, [], wiper, Clocks()).run(lambda: True)
    assert Accounts(tmp_path).earlier() == Accounted(earlier.until_unix_ns, {5: 2}, cell=8)
    (tmp_path / "temporary").rmdir()
    one = planned(1, tmp_path, "true", interval=timedelta(seconds=60))
    news.put(ConfigurationNews(HostPlan(UUID(int=9), "demo", 1, (one,)), "", None))
    looks = iter([False, True])
    loop_of(tmp_path, news, [], wiper, Clocks()).run(lambda: next(looks))
    wiper.close(time_limit_seconds=10)
    now = Accounts(tmp_path).earlier()
    assert now
    assert now.until_unix_ns > earlier.until_unix_ns
    assert now.cell == 9

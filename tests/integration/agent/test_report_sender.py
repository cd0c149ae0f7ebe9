"""Reports over real HTTP: the newest wins, what failed is repeated."""

from datetime import UTC, datetime
from uuid import UUID

from agent.reports import ReportSender
from common.agent_api_client import AgentApiClient
from common.agent_transport import AgentTransport
from common.contracts.reports import AgentReport
from tests.integration.agent.stand_ins import StubApi, wait_until


def report(boot: int) -> AgentReport:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    return AgentReport(instance=UUID(int=1), boot=boot, host="h1", version="1", clock=long_ago)


def sender(url: str, api: StubApi) -> ReportSender:
    made = ReportSender(AgentApiClient(AgentTransport(url, api.token), "demo"))
    made.start()
    return made


def test_sends_with_the_clock_of_the_sending(stub_api: StubApi) -> None:
    sending = sender(stub_api.url, stub_api)
    sending.send(report(1))
    wait_until(lambda: stub_api.reports)
    assert stub_api.reports[0]["boot"] == 1
    assert not stub_api.reports[0]["clock"].startswith("2020")
    sending.close(time_limit_seconds=10)


def test_repeats_what_failed(stub_api: StubApi) -> None:
    stub_api.refuse_posts = True
    sending = sender(stub_api.url, stub_api)
    sending.send(report(1))
    wait_until(lambda: stub_api.statuses("reports"))
    stub_api.refuse_posts = False
    wait_until(lambda: stub_api.reports)
    assert stub_api.reports[0]["boot"] == 1
    sending.close(time_limit_seconds=10)


def test_the_last_report_is_sent_at_the_end(stub_api: StubApi) -> None:
    sending = sender(stub_api.url, stub_api)
    sending.send(report(1))
    sending.send(report(2))
    sending.close(time_limit_seconds=10)
    assert stub_api.reports[-1]["boot"] == 2


def test_the_end_does_not_wait_for_an_api_that_is_away(stub_api: StubApi) -> None:
    sending = sender("http://127.0.0.1:1", stub_api)
    sending.send(report(1))
    sending.close(time_limit_seconds=10)
    assert stub_api.reports == []

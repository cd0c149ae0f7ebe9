"""Which plan holds when one cannot be put in force."""

from dataclasses import replace

from agent.configuration import ConfigurationNews
from agent.in_force import PlanTaken
from agent.plan import HostPlan
from agent.standing_news import StandingNews
from tests.unit.agent.factories import host_plan, planned


class FakeLoop:
    """Remembers the plans that it was to put in force; some of them it cannot."""

    def __init__(self, *bad: int) -> None:
        self.bad = bad
        self.applied: list[HostPlan] = []

    def apply(self, plan: HostPlan, now_ns: int) -> None:
        assert now_ns >= 0
        self.applied.append(plan)
        if plan.document_revision in self.bad and plan.probers:
            raise ZeroDivisionError("interval")


def news_of(revision: int, problem: str = "") -> ConfigurationNews:
    plan = replace(host_plan(planned()), document_revision=revision)
    return ConfigurationNews(plan, problem, 5, "api")


def test_a_new_plan_is_put_in_force_once() -> None:
    loop = FakeLoop()
    standing, news = StandingNews(loop.apply), news_of(1)
    assert standing.take(news, 0)
    assert not standing.take(news, 1)
    assert standing.take(replace(news, problem="the API is away"), 2)
    assert loop.applied == [news.plan]
    assert standing.news.problem == "the API is away"


def test_the_plan_before_holds_where_the_new_one_cannot_be_put_in_force() -> None:
    loop = FakeLoop(2)
    standing, good, bad = StandingNews(loop.apply), news_of(1), news_of(2)
    standing.take(good, 0)
    assert standing.take(bad, 1)
    # What was half done is undone.
    assert loop.applied == [good.plan, bad.plan, good.plan]
    assert standing.news.plan is good.plan
    assert "document 2 cannot be put in force" in standing.news.problem
    assert "ZeroDivisionError" in standing.news.problem
    # It is not tried again with each poll, and the fault is told for as long as it is the newest one.
    assert not standing.take(bad, 2)
    assert len(loop.applied) == 3
    assert standing.take(news_of(3), 3)
    assert standing.news.problem == ""
    assert standing.news.plan
    assert standing.news.plan.document_revision == 3


def test_nothing_runs_where_the_first_one_cannot_be_put_in_force() -> None:
    loop = FakeLoop(1)
    standing = StandingNews(loop.apply)
    standing.take(news_of(1), 0)
    assert loop.applied[-1].probers == ()
    assert standing.news.plan is None
    assert standing.news.problem


def test_what_stands_in_for_a_refused_plan_is_put_in_force_and_the_fault_stays() -> None:
    loop = FakeLoop(2)
    told: list[PlanTaken] = []
    standing, bad = StandingNews(loop.apply, told.append), news_of(2)
    standing.take(bad, 0)
    fallback = replace(news_of(1), is_fallback=True)
    assert standing.take(fallback, 1)
    assert standing.news.plan is fallback.plan
    assert "document 2 cannot be put in force" in standing.news.problem
    applied = len(loop.applied)
    # The next polls bring the refused one again.
    assert not standing.take(bad, 2)
    assert len(loop.applied) == applied
    assert standing.news.plan is fallback.plan
    assert standing.take(news_of(3), 3)
    assert standing.news.problem == ""
    taken = [(one.plan.document_revision, one.is_in_force) for one in told]
    assert taken == [(2, False), (1, True), (3, True)]

"""Reading all pages: what is asked again, how often, how long; and paging that never ends."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from common.solomon.tokens import FixedToken, NoTokenError
from tests.unit.tools.meeseeks.node_cases import listed
from tools.meeseeks.errors import ComputeAdminError, StoppedError
from tools.meeseeks.nodes import Listing
from tools.meeseeks.pages import (
    Clocks,
    NodePage,
    NodeReader,
    PageQuery,
    PageRefusedError,
    ReadLimits,
)

Answer = NodePage | PageRefusedError


class FakeNodeService:
    """Gives what the test says, answer by answer; each call takes `seconds` of the fake clock."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[PageQuery] = []
        self.tokens: list[str] = []
        self.limits: list[float] = []
        self.slept: list[float] = []
        self.seconds = 0.0
        self.now = 1000.0
        self.stopped = False

    def page(self, query: PageQuery, *, token: str, time_limit: timedelta) -> NodePage:
        self.asked.append(query)
        self.tokens.append(token)
        self.limits.append(time_limit.total_seconds())
        self.now += self.seconds
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, PageRefusedError):
            raise answer
        return answer

    def sleep(self, seconds: float) -> bool:
        self.slept.append(seconds)
        self.now += seconds
        return self.stopped

    def reader(self, tokens: object = None, **limits: object) -> NodeReader:
        return NodeReader(
            self,
            tokens or FixedToken("t1"),  # type: ignore[arg-type] # a fake with both methods
            endpoint="admin:443",
            limits=ReadLimits(**limits),  # type: ignore[arg-type] # as a test names them
            clocks=Clocks(now=lambda: self.now, sleep=self.sleep, random=lambda: 1.0),
        )


ONE = NodePage((listed(1),), "t2", 2)
TWO = NodePage((listed(2),), "", 2)
AWAY = PageRefusedError("UNAVAILABLE", "away")


def test_all_pages_in_their_order_with_the_filter_on_each() -> None:
    service = FakeNodeService(ONE, NodePage((), "t3"), TWO)
    listing = service.reader().listing(filter_text='zone_id IN ("a")')
    assert listing == Listing((listed(1), listed(2)), total=2, pages=3)
    assert [query.page_token for query in service.asked] == ["", "t2", "t3"]
    assert {query.filter for query in service.asked} == {'zone_id IN ("a")'}
    assert service.slept == []


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED"])
def test_what_passes_is_asked_again_after_growing_pauses(code: str) -> None:
    away = PageRefusedError(code, "")
    service = FakeNodeService(ONE, away, away, away, TWO)
    reader = service.reader()
    assert len(reader.listing().nodes) == 2
    assert [query.page_token for query in service.asked] == ["", "t2", "t2", "t2", "t2"]
    assert service.slept == [0.2, 0.4, 0.8]
    assert reader.repeated == 3


@pytest.mark.parametrize(
    "code",
    ["PERMISSION_DENIED", "UNAUTHENTICATED", "INVALID_ARGUMENT", "INTERNAL", "RESOURCE_EXHAUSTED"],
)
def test_what_does_not_pass_by_itself_is_not_asked_again(code: str) -> None:
    service = FakeNodeService(ONE, PageRefusedError(code, "no"))
    with pytest.raises(ComputeAdminError, match=rf"at admin:443 gave no whole list: {code}: no"):
        service.reader().listing()
    assert len(service.asked) == 2


def test_repetitions_are_bounded_over_the_whole_list() -> None:
    service = FakeNodeService(AWAY, ONE, AWAY, AWAY)
    with pytest.raises(ComputeAdminError, match="UNAVAILABLE: away"):
        service.reader(repetitions=2).listing()
    assert len(service.asked) == 4


def test_the_whole_list_has_a_limit_that_calls_and_pauses_keep() -> None:
    service = FakeNodeService(*[NodePage((), f"t{number}") for number in range(100)])
    service.seconds = 3
    reader = service.reader(call=timedelta(seconds=5), whole=timedelta(seconds=10))
    with pytest.raises(ComputeAdminError, match="it took longer than 10 seconds"):
        reader.listing()
    assert service.limits == [5, 5, 4, 1]

    service = FakeNodeService(AWAY)
    with pytest.raises(ComputeAdminError, match="UNAVAILABLE"):
        service.reader(whole=timedelta(seconds=1)).listing()
    assert sum(service.slept) < 1


def test_paging_that_leads_back_is_cut_and_says_so() -> None:
    service = FakeNodeService(ONE, NodePage((listed(2),), "t3"), NodePage((listed(3),), "t2"))
    listing = service.reader().listing()
    assert listing.broken_paging == "after page 3 it leads back to a page that was read"
    assert len(service.asked) == listing.pages == 3


def test_paging_without_an_end_is_cut_and_says_so() -> None:
    service = FakeNodeService(*[NodePage((listed(number),), f"t{number}") for number in range(99)])
    listing = service.reader(pages=7).listing()
    assert listing.broken_paging == "it has not ended after 7 pages"
    assert len(service.asked) == len(listing.nodes) == 7


def test_a_pause_ends_when_the_process_shall() -> None:
    service = FakeNodeService(AWAY)
    service.stopped = True
    with pytest.raises(StoppedError):
        service.reader().listing()
    assert len(service.asked) == 1


class Tokens:
    """A source with two tokens."""

    def __init__(self) -> None:
        self.given = ["old", "new"]

    def token(self) -> str:
        return self.given[0]

    def refused(self) -> bool:
        if len(self.given) == 1:
            return False
        self.given.pop(0)
        return True


def test_a_refused_token_is_replaced_at_once_and_only_if_there_is_another() -> None:
    refused = PageRefusedError("UNAUTHENTICATED", "")
    service = FakeNodeService(refused, TWO)
    service.reader(Tokens()).listing()
    assert (service.tokens, service.slept) == (["old", "new"], [])

    service = FakeNodeService(refused)
    with pytest.raises(ComputeAdminError, match="UNAUTHENTICATED"):
        service.reader(Tokens()).listing()
    assert service.tokens == ["old", "new"]


class NoTokens:
    def token(self) -> str:
        raise NoTokenError("the metadata service gives no token")

    def refused(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (NoTokens, "gave no whole list: the metadata service gives no token"),
        (lambda: FixedToken("planted\n"), "the token holds characters that no token has"),
        (lambda: FixedToken("plantéd"), "the token holds characters that no token has"),
    ],
)
def test_without_a_token_nothing_is_asked_and_it_is_not_shown(
    tokens: Callable[[], object], text: str
) -> None:
    service = FakeNodeService(TWO)
    with pytest.raises(ComputeAdminError, match=text) as raised:
        service.reader(tokens()).listing()
    assert service.asked == []
    assert "plant" not in str(raised.value)

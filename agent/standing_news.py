"""Which news of the configuration is in force: the newest plan that could be put in force: *act*, around one guarded step."""

import logging
from collections.abc import Callable
from dataclasses import replace

from agent.configuration import ConfigurationNews
from agent.errors import UnexpectedError
from agent.in_force import PlanTaken
from agent.plan import HostPlan

log = logging.getLogger(__name__)

_MAX_PROBLEM_LENGTH = 1000
_NOTHING_YET = ConfigurationNews(None, "", None)


class StandingNews:
    """Used by the loop's thread."""

    def __init__(
        self,
        apply: Callable[[HostPlan, int], None],
        tell: Callable[[PlanTaken], None] = lambda _: None,
    ) -> None:
        """`apply` puts a plan in force, at that moment of the scheduler's clock; whatever it raises, the plan before holds.

        `tell` hears what became of each new plan.
        """
        self._apply = apply
        self._tell = tell
        self._refused: HostPlan | None = None
        self._problem = ""
        self.news = _NOTHING_YET

    def take(self, news: ConfigurationNews, now_ns: int) -> bool:
        """Put a new plan in force; whether reports say something else now."""
        before = self.news
        plan = news.plan
        if plan is not None and plan is not before.plan and plan is not self._refused:
            self._put_in_force(plan, now_ns, is_fallback=news.is_fallback)
        if plan is not None and plan is self._refused:
            # The news of the plan that holds, with what is wrong with the newest one.
            news = replace(news, plan=before.plan, document=before.document, problem=self._problem)
        elif news.is_fallback:
            news = replace(news, problem=self._problem)
        self.news = news
        return (news.plan, news.problem) != (before.plan, before.problem)

    def _put_in_force(self, plan: HostPlan, now_ns: int, *, is_fallback: bool) -> None:
        """A mistake of ours about one document must not end what runs."""
        try:
            self._apply(plan, now_ns)
        except Exception as error:
            log.exception("the plan is not put in force revision=%d", plan.document_revision)
            self._refused = plan
            said = f"document {plan.document_revision} cannot be put in force: {UnexpectedError(error)}"
            self._problem = said[:_MAX_PROBLEM_LENGTH]
            self._go_back(plan, now_ns)
            self._tell(PlanTaken(plan, is_in_force=False))
        else:
            # What a fallback stands in for is refused still.
            if not is_fallback:
                self._refused, self._problem = None, ""
            self._tell(PlanTaken(plan, is_in_force=True))

    def _go_back(self, refused: HostPlan, now_ns: int) -> None:
        """Undo the half of it that was done: to the plan before, or to none."""
        before = self.news.plan or replace(refused, probers=())
        try:
            self._apply(before, now_ns)
        except Exception:
            log.exception(
                "the plan before is not whole any more revision=%d", before.document_revision
            )

"""Why a prober runs as it does: the same pure functions that the API uses, and what the plan adds."""

from agent.control.messages import RefusedError
from agent.control.survey import Survey
from common.contracts.configuration import ConfigurationDocument
from common.contracts.control import MAX_COMBINATIONS_SHOWN, ExplainedFiles, ProberExplanation
from common.contracts.explanation import explained_prober
from common.contracts.resolution import EffectiveProber, Host, resolve

_NEXT_RUNS = 20


def effective_prober(
    document: ConfigurationDocument, host: Host, slug: str
) -> EffectiveProber | None:
    """One prober as `resolve` has it; None if it does not run on the host."""
    only = [prober for prober in document.probers if prober.slug == slug]
    resolved = resolve(document.model_copy(update={"probers": only}), host)
    return resolved[0] if resolved else None


class Explaining:
    """Explains the probers of the configuration in force."""

    def __init__(self, survey: Survey, host: Host) -> None:
        self._survey = survey
        self._host = host

    def explanation(self, slug: str) -> ProberExplanation:
        """RefusedError if the prober does not run on this host, or nothing does yet."""
        news = self._survey.news()
        if news.document is None or news.plan is None:
            raise RefusedError(409, "the agent has no configuration yet")
        effective = effective_prober(news.document, self._host, slug)
        if effective is None:
            raise RefusedError(404, _why_not(news.document, slug))
        planned = self._survey.planned(slug)
        moment = self._survey.moment()
        views = self._survey.views(planned.keys[:MAX_COMBINATIONS_SHOWN])
        times = sorted(at for view in views if (at := moment.at(view.next_ns)))
        return ProberExplanation(
            document_revision=news.plan.document_revision,
            prober=explained_prober(effective),
            files=ExplainedFiles(
                folder=str(planned.specs[0].folder) if planned.specs else None,
                files=list(effective.files),
            ),
            problem=planned.problem,
            mode_problem=next((view.cold for view in views if view.cold), ""),
            next_runs=times[:_NEXT_RUNS],
            pause=self._survey.pause_of(slug),
        )


def _why_not(document: ConfigurationDocument, slug: str) -> str:
    if any(prober.slug == slug for prober in document.probers):
        return f"no config of prober {slug} selects this host, or it is disabled here"
    return f"the configuration of this cluster has no prober {slug}"

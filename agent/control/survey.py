"""From what the loop shows to what the control socket says about the agent and its probers: *read*; asked for in parts."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from pathlib import Path

from agent.configuration import ConfigurationNews
from agent.control.desk import Desk
from agent.control.messages import RefusedError
from agent.control.standings import Around, Moment, combination_state, prober_state
from agent.control.tallies import metric_point
from agent.control.window import MOST_KEYS, MOST_STATES, CombinationView, Window
from agent.host import host_state
from agent.identity import Identity
from agent.links import LinkNotes, Links
from agent.own_figures import agent_points
from agent.pauses import StandingPauses
from agent.plan import PlannedProber, RunKey
from common.contracts.control import (
    MAX_COMBINATIONS_SHOWN,
    AboutAgent,
    AgentState,
    ConfigurationState,
    HostState,
    LinkState,
    NewestMetrics,
    OwnState,
    Pause,
    ProberDetails,
    ProberState,
    RecorderState,
    SinkState,
)
from common.contracts.states import most_urgent
from common.solomon.points import Point
from common.version import VERSION

# Of each prober in the list of all of them; `details` shows more.
_KEYS_LOOKED_AT = 1000


@dataclass(frozen=True)
class AgentFacts:
    """What stays the same for as long as the agent runs."""

    identity: Identity
    cluster: str
    host: str
    environment: str
    folder: Path
    user: str
    default_user: str  # of probers that name none
    slots: int
    api_url: str  # empty: there is none
    has_storage: bool  # the configuration can be read there while the API is away
    solomon_url: str
    missing_powers: Sequence[str]
    started_at: datetime


class Survey:
    """Builds the answers; used by the threads of callers."""

    def __init__(
        self,
        desk: Desk[Window],
        facts: AgentFacts,
        links: Links,
        *,
        clock_ns: Callable[[], int],
        recorder: Callable[[], RecorderState] = RecorderState,
    ) -> None:
        self._desk = desk
        self._facts = facts
        self._links = links
        self._clock_ns = clock_ns
        self._recorder = recorder

    def moment(self) -> Moment:
        """Now."""
        return Moment(datetime.now(UTC), self._clock_ns())

    def news(self) -> ConfigurationNews:
        """The configuration in force."""
        return self._desk.ask(lambda window: window.news)

    def planned(self, slug: str) -> PlannedProber:
        """A prober of the plan; RefusedError if there is none of that name."""
        plan = self.news().plan
        found = [prober for prober in plan.probers if prober.slug == slug] if plan else []
        if not found:
            raise RefusedError(404, f"prober {slug} does not run on this host")
        return found[0]

    def state(self) -> AgentState:
        """All but the combinations."""
        moment, news = self.moment(), self.news()
        figures = self._desk.ask(lambda window: window.figures())
        facts = self._facts
        own = OwnState(
            cpu_seconds=figures.cpu_seconds,
            rss_bytes=figures.rss_bytes,
            slots=facts.slots,
            runs_in_progress=figures.runs_in_progress,
            runs_started=figures.runs_started,
            bugs=figures.dropped.get("bug", 0),
            canary_runs=figures.canary_runs,
            canary_problem=figures.canary_problem,
            missing_powers=list(facts.missing_powers),
        )
        return AgentState(
            agent=self._about(moment),
            configuration=_configuration(news, moment),
            api=_link(self._links.api.notes, facts.api_url, moment),
            storage=_link(
                self._links.storage.notes, "object storage" if facts.has_storage else "", moment
            ),
            reports=_link(self._links.reports.notes, facts.api_url, moment),
            solomon=_link(self._links.solomon.notes, facts.solomon_url, moment),
            sink=SinkState(
                dropped={**figures.dropped, **figures.sink.dropped},
                spool_bytes=figures.sink.spool_bytes,
                spool_age_seconds=figures.sink.spool_age_seconds,
            ),
            recorder=self._recorder(),
            host=self.host(),
            own=own,
            pauses=list(self._pauses()),
            probers=self._listed(news.plan.probers if news.plan else (), moment),
        )

    def host(self) -> HostState:
        """The machine."""
        return host_state(self._facts.folder)

    def details(self, slug: str) -> ProberDetails:
        """A prober and its combinations; RefusedError if it is not in the plan."""
        prober, moment = self.planned(slug), self.moment()
        views = self.views(prober.keys[:MAX_COMBINATIONS_SHOWN])
        labels = dict(zip(prober.keys, prober.labels, strict=True))
        return ProberDetails(
            prober=self._listed([prober], moment)[0],
            combinations=[combination_state(view, labels[view.key], moment) for view in views],
            left_out=len(prober.keys) - len(views),
        )

    def views(self, keys: Sequence[RunKey]) -> list[CombinationView]:
        """These combinations, as far as the plan still holds them."""
        views: list[CombinationView] = []
        for part in _parts(keys, MOST_KEYS):
            views += self._desk.ask(partial(_views, part))
        return views

    def metrics(self, slug: str | None) -> NewestMetrics:
        """The series of one prober, or of all and the agent's own."""
        plan = self.news().plan
        probers = [self.planned(slug)] if slug else (plan.probers if plan else ())
        points = []
        if not slug:
            points += agent_points(self._desk.ask(lambda window: window.figures()))
        for part in _parts([key for prober in probers for key in prober.keys], MOST_KEYS):
            points += self._desk.ask(partial(_points, part))
        return NewestMetrics(
            at=datetime.now(UTC),
            common_labels={"cluster_slug": self._facts.cluster, "host": self._facts.host},
            points=[metric_point(point) for point in points],
        )

    def _about(self, moment: Moment) -> AboutAgent:
        facts = self._facts
        return AboutAgent(
            cluster=facts.cluster,
            host=facts.host,
            environment=facts.environment,
            instance=facts.identity.instance,
            boot=facts.identity.boot,
            version=VERSION,
            python=platform.python_version(),
            pid=os.getpid(),
            user=facts.user,
            folder=str(facts.folder),
            started_at=facts.started_at,
            clock=moment.now,
        )

    def _listed(self, probers: Sequence[PlannedProber], moment: Moment) -> list[ProberState]:
        """One entry each; asked for together, since each question costs a round of the loop."""
        shown = {
            prober.id: self._shown_keys(prober, states)
            for prober, states in zip(probers, self._states(probers), strict=True)
        }
        views = {
            view.key: view
            for view in self.views([key for keys, _ in shown.values() for key in keys])
        }
        running = self._desk.ask(lambda window: window.in_progress())
        pauses = StandingPauses(self._pauses(), now=moment.now, now_ns=moment.now_ns)
        return [
            prober_state(
                prober,
                shown[prober.id][1],
                [views[key] for key in shown[prober.id][0] if key in views],
                Around(
                    moment=moment,
                    running=running.get(prober.id, 0),
                    pause=pauses.of(prober.slug),
                    default_user=self._facts.default_user,
                ),
            )
            for prober in probers
        ]

    def _states(self, probers: Sequence[PlannedProber]) -> list[str]:
        states = "".join(
            self._desk.ask(partial(_state_characters, part))
            for part in _parts([key for prober in probers for key in prober.keys], MOST_STATES)
        )
        ends = list(accumulate(len(prober.keys) for prober in probers))
        return [
            states[end - len(prober.keys) : end] for prober, end in zip(probers, ends, strict=True)
        ]

    def _shown_keys(self, prober: PlannedProber, states: str) -> tuple[Sequence[RunKey], str]:
        """The combinations that are looked at: the first ones, and one that stands for all."""
        first = prober.keys[:_KEYS_LOOKED_AT]
        urgent = states.find(str(most_urgent(states).value))
        more = prober.keys[urgent : urgent + 1] if urgent >= len(first) else ()
        return (*first, *more), states

    def _pauses(self) -> tuple[Pause, ...]:
        return self._desk.ask(lambda window: window.pauses())

    def pause_of(self, slug: str) -> Pause | None:
        """The pause that holds for a prober."""
        return self._desk.ask(lambda window: window.pause_of(slug))


def _parts(keys: Sequence[RunKey], size: int) -> Iterable[Sequence[RunKey]]:
    return (keys[first : first + size] for first in range(0, len(keys), size))


def _views(keys: Sequence[RunKey], window: Window) -> list[CombinationView]:
    return window.views(keys)


def _state_characters(keys: Sequence[RunKey], window: Window) -> str:
    return window.states(keys)


def _points(keys: Sequence[RunKey], window: Window) -> list[Point]:
    return window.points(keys)


def _configuration(news: ConfigurationNews, moment: Moment) -> ConfigurationState:
    until = news.plan.applying_until if news.plan else None
    return ConfigurationState(
        revision=news.plan.document_revision if news.plan else None,
        source=news.source,
        confirmed_seconds_ago=moment.seconds_since(news.confirmed_ns),
        problem=news.problem,
        applying_until=datetime.fromtimestamp(until, UTC) if until else None,
    )


def _link(notes: LinkNotes, address: str, moment: Moment) -> LinkState:
    return LinkState(
        address=address,
        is_used=bool(address),
        succeeded_seconds_ago=moment.seconds_since(notes.succeeded_ns),
        failed_seconds_ago=moment.seconds_since(notes.failed_ns),
        problem=notes.problem,
    )

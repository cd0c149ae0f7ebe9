"""From what the loop shows to what the control socket says about the agent and its probers: *read*; asked for in parts."""

import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from agent.configuration import ConfigurationNews
from agent.control.desk import Desk
from agent.control.messages import RefusedError
from agent.control.tallies import figures_of, metric_point
from agent.control.window import MOST_KEYS, CombinationView, Window
from agent.host import host_state
from agent.identity import Identity
from agent.links import LinkNotes, Links
from agent.own_figures import agent_points
from agent.plan import HostPlan, PlannedProber, RunKey
from common.contracts.control import (
    MAX_COMBINATIONS_SHOWN,
    AboutAgent,
    AgentState,
    CombinationState,
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
from common.contracts.states import State, most_urgent
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


@dataclass(frozen=True)
class Moment:
    """Now on both clocks, so that times of the one can be told in the other."""

    now: datetime
    now_ns: int

    def at(self, ns: int | None) -> datetime | None:
        """The time of day of a moment of the scheduler's clock."""
        if ns is None:
            return None
        return self.now + timedelta(microseconds=(ns - self.now_ns) // 1000)

    def seconds_since(self, ns: int | None) -> float | None:
        """How long ago it was."""
        return None if ns is None else max(0.0, (self.now_ns - ns) / 1e9)


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
        pauses = self._desk.ask(lambda window: window.pauses())
        facts = self._facts
        own = OwnState(
            cpu_seconds=figures.cpu_seconds,
            rss_bytes=figures.rss_bytes,
            slots=facts.slots,
            runs_in_progress=figures.runs_in_progress,
            runs_started=figures.runs_started,
            bugs=figures.dropped.get("bug", 0),
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
            pauses=list(pauses),
            probers=self._probers(news.plan, moment),
        )

    def host(self) -> HostState:
        """The machine."""
        return host_state(self._facts.folder)

    def details(self, slug: str) -> ProberDetails:
        """A prober and its combinations; RefusedError if it is not in the plan."""
        prober, moment = self.planned(slug), self.moment()
        views = self._views(prober, MAX_COMBINATIONS_SHOWN)
        labels = dict(zip(prober.keys, prober.labels, strict=True))
        running = self._desk.ask(lambda window: window.in_progress())
        return ProberDetails(
            prober=self._prober(prober, views, moment, running),
            combinations=[_combination(view, labels[view.key], moment) for view in views],
            left_out=len(prober.keys) - len(views),
        )

    def views(self, prober: PlannedProber) -> list[CombinationView]:
        """Its combinations, as many as are shown."""
        return self._views(prober, MAX_COMBINATIONS_SHOWN)

    def metrics(self, slug: str | None) -> NewestMetrics:
        """The series of one prober, or of all and the agent's own."""
        plan = self.news().plan
        probers = [self.planned(slug)] if slug else (plan.probers if plan else ())
        points = []
        if not slug:
            points += agent_points(self._desk.ask(lambda window: window.figures()))
        for part in _parts([key for prober in probers for key in prober.keys]):
            points += self._desk.ask(lambda window, part=part: window.points(part))  # type: ignore[misc] # the default binds it now
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

    def _probers(self, plan: HostPlan | None, moment: Moment) -> list[ProberState]:
        running = self._desk.ask(lambda window: window.in_progress())
        return [
            self._prober(prober, self._views(prober, _KEYS_LOOKED_AT), moment, running)
            for prober in (plan.probers if plan else ())
        ]

    def _views(self, prober: PlannedProber, most: int) -> list[CombinationView]:
        views: list[CombinationView] = []
        for part in _parts(prober.keys[:most]):
            views += self._desk.ask(lambda window, part=part: window.views(part))  # type: ignore[misc] # the default binds it now
        return views

    def _prober(
        self,
        prober: PlannedProber,
        views: Sequence[CombinationView],
        moment: Moment,
        running: Mapping[UUID, int],
    ) -> ProberState:
        states = "".join(str(view.state.value) for view in views)
        state = most_urgent(states)
        urgent = [view for view in views if view.state is state]
        spec = prober.specs[0] if prober.specs else None
        return ProberState(
            id=prober.id,
            slug=prober.slug,
            revision=prober.revision,
            state=state,
            states=states,
            reason=next((view.standing.reason for view in urgent if view.standing.reason), ""),
            problem=prober.problem,
            since=min((at for view in urgent if (at := view.standing.since)), default=None),
            last_run_at=max((at for view in views if (at := view.standing.last_run_at)), default=None),
            next_run_at=moment.at(min((ns for view in views if (ns := view.next_ns)), default=None)),
            interval_seconds=spec.interval.total_seconds() if spec else None,
            time_limit_seconds=spec.time_limit.total_seconds() if spec else None,
            mode=spec.mode if spec else "",
            mode_problem=next((view.cold for view in views if view.cold), ""),
            user=(spec.sandbox.user or self._facts.default_user) if spec else "",
            runs_in_progress=running.get(prober.id, 0),
            figures=figures_of(view.tally for view in views),
            pause=self.pause_of(prober.slug),
        )  # fmt: skip

    def pause_of(self, slug: str) -> Pause | None:
        """The pause that holds for a prober."""
        return self._desk.ask(lambda window: window.pause_of(slug))


def _parts(keys: Sequence[RunKey]) -> Iterable[Sequence[RunKey]]:
    return (keys[first : first + MOST_KEYS] for first in range(0, len(keys), MOST_KEYS))


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


def _combination(
    view: CombinationView, labels: Mapping[str, str], moment: Moment
) -> CombinationState:
    standing = view.standing
    return CombinationState(
        labels=dict(labels),
        state=State(view.state),
        reason=standing.reason,
        since=standing.since,
        last_run_at=standing.last_run_at,
        next_run_at=moment.at(view.next_ns),
        recent=list(standing.recent),
        figures=figures_of([view.tally]),
        upload=view.upload,
    )

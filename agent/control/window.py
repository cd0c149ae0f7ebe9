"""What the control socket sees of the loop and does to it; everything here happens on the loop's thread."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from agent.board import Board, Standing
from agent.clocks import Clocks
from agent.configuration import ConfigurationNews
from agent.flights import Flight
from agent.metrics import MetricBook, Tally
from agent.own_figures import AgentFigures
from agent.pauses import StandingPauses
from agent.plan import HostPlan, RunKey, RunSpec
from agent.running.runner import Runner
from agent.scheduler import Scheduler
from common.contracts.control import Pause
from common.contracts.modes import WARM
from common.contracts.reports import ReportedPause
from common.contracts.states import SkipReason, State
from common.solomon.points import Point

# A question about more combinations comes in parts, so that none holds up the loop.
MOST_KEYS = 100
MOST_STATES = 4000


@dataclass(frozen=True, slots=True)
class CombinationView:
    """One combination at this moment; times are nanoseconds of the scheduler's clock."""

    key: RunKey
    state: State
    standing: Standing
    tally: Tally
    next_ns: int | None
    upload: str | None
    cold: str  # why runs of mode `warm` are started as in mode `run`; empty if they are not


@dataclass(frozen=True, slots=True)
class LoopParts:
    """What the loop works with; `skip` counts beats without a run, `changed` hastens the next report."""

    board: Board
    book: MetricBook
    scheduler: Scheduler
    runner: Runner
    clocks: Clocks
    skip: Callable[[RunKey, SkipReason, int], None]
    changed: Callable[[int], None]
    figures: Callable[[int], AgentFigures]


class Window:
    """See above."""

    def __init__(self, parts: LoopParts, pauses: Iterable[Pause]) -> None:
        """`pauses` are those from before the start."""
        self._parts = parts
        self._pauses = self._standing(pauses)
        self._plan: HostPlan | None = None
        self._specs: Mapping[RunKey, RunSpec] = {}  # by combination
        self._paused: frozenset[RunKey] = frozenset()  # keys of the schedule
        self._trials: dict[RunKey, Callable[[Flight], None]] = {}
        self.news = ConfigurationNews(None, "", None)

    def apply(self, plan: HostPlan, specs: Mapping[RunKey, RunSpec]) -> None:
        """A new plan is in force; `specs` are by combination."""
        self._plan, self._specs = plan, specs
        self._silence()

    def look(self, now_ns: int) -> None:
        """End the pauses that are over."""
        if self._pauses.end(self._parts.clocks.now(), now_ns):
            self._silence()
            self._parts.changed(now_ns)

    def in_progress(self) -> Mapping[UUID, int]:
        """How many runs of each prober go on."""
        return self._parts.runner.in_progress_by_prober()

    def figures(self) -> AgentFigures:
        """What the agent says about itself."""
        return self._parts.figures(self._parts.clocks.boot_ns())

    def pauses(self) -> tuple[Pause, ...]:
        """Those that go on."""
        return self._pauses.all()

    def pause_of(self, prober: str) -> Pause | None:
        """The pause that holds for a prober."""
        return self._pauses.of(prober)

    def keep_pauses(self, pauses: Sequence[Pause]) -> None:
        """These hold from now on, and no others."""
        self._pauses = self._standing(pauses)
        self._silence()
        self._parts.changed(self._parts.clocks.boot_ns())

    def reported_pauses(self) -> list[ReportedPause]:
        """The pauses as reports carry them; those of unknown probers are left out."""
        pauses = self._pauses.all()
        if not pauses or not self._plan:
            return []
        ids = {prober.slug: str(prober.id) for prober in self._plan.probers}
        return [
            ReportedPause(
                prober_id=ids[pause.prober] if pause.prober else None,
                since=pause.since, until=pause.until, who=pause.who, why=pause.why,
            )
            for pause in pauses
            if pause.prober is None or pause.prober in ids
        ]  # fmt: skip

    def start_trial(self, spec: RunSpec, on_flight: Callable[[Flight], None]) -> SkipReason | None:
        """Run this once, under a key that no plan has; or why there is no room for it now."""
        obstacle = self._parts.scheduler.admit(spec.key, spec.exclusive)
        if obstacle is None:
            self._trials[spec.key] = on_flight
            try:
                self._parts.runner.start(spec, self._parts.clocks.boot_ns(), counted=False)
            except BaseException:
                self._parts.scheduler.finished(spec.key)
                self._trials.pop(spec.key, None)
                raise
        return obstacle

    def start_canary(self, spec: RunSpec, on_flight: Callable[[Flight], None]) -> None:
        """Run this once beside everything: it takes no slot."""
        self._trials[spec.key] = on_flight
        try:
            self._parts.runner.start(spec, self._parts.clocks.boot_ns(), counted=False)
        except BaseException:
            self._trials.pop(spec.key, None)
            raise

    @property
    def is_all_paused(self) -> bool:
        """Whether somebody paused everything on this host."""
        return any(pause.prober is None for pause in self._pauses.all())

    def end_trial(self, key: RunKey) -> None:
        """Nobody wants it any more; nothing happens if it is over."""
        if key in self._trials:
            self._parts.runner.end(key, self._parts.clocks.boot_ns())

    def uploaded(self, keys: Sequence[RunKey], evidence: UUID) -> None:
        """The record of a run of these combinations can be read at the API."""
        self._parts.board.uploaded(keys, str(evidence))
        self._parts.changed(self._parts.clocks.boot_ns())

    def take_flight(self, flight: Flight) -> bool:
        """Whether the run was one that somebody asked for; then they get it."""
        on_flight = self._trials.pop(flight.spec.key, None)
        if on_flight is None:
            return False
        # Nothing is remembered of a key that comes once only.
        self._parts.runner.end(flight.spec.key, self._parts.clocks.boot_ns())
        on_flight(flight)
        return True

    def views(self, keys: Sequence[RunKey]) -> list[CombinationView]:
        """At most MOST_KEYS combinations of the plan; those that it does not hold (any more) are missing."""
        found = []
        for key in keys[:MOST_KEYS]:
            standing, tally = self._parts.board.standing(key), self._parts.book.tally(key)
            state = self._parts.board.state(key)
            if standing is None or tally is None or state is None:
                continue
            spec = self._specs.get(key)
            next_ns = self._parts.scheduler.next_due_ns(spec.key) if spec else None
            upload = self._parts.board.upload_of(key)
            cold = self._parts.runner.warm.reason(spec) if spec and spec.mode == WARM else ""
            found.append(CombinationView(key, state, standing, tally, next_ns, upload, cold))
        return found

    def states(self, keys: Sequence[RunKey]) -> str:
        """A character for each of at most MOST_STATES combinations of the plan, as in reports."""
        known = (self._parts.board.state(key) for key in keys[:MOST_STATES])
        return "".join(str(state.value) for state in known if state is not None)

    def points(self, keys: Sequence[RunKey]) -> list[Point]:
        """The series of at most MOST_KEYS combinations."""
        return self._parts.book.points_of(keys[:MOST_KEYS], self._parts.clocks.boot_ns())

    def _standing(self, pauses: Iterable[Pause]) -> StandingPauses:
        clocks = self._parts.clocks
        return StandingPauses(pauses, now=clocks.now(), now_ns=clocks.boot_ns())

    def _silence(self) -> None:
        """Tell schedule, board and counters who is paused now."""
        if self._plan is None:
            return
        probers = [prober for prober in self._plan.probers if self._pauses.of(prober.slug)]
        before = self._paused
        self._paused = frozenset(spec.key for prober in probers for spec in prober.specs)
        self._parts.scheduler.pause(self._paused)
        shown = frozenset(key for prober in probers for key in prober.keys)
        self._parts.board.pause(shown)
        self._parts.book.pause(shown)
        now_ns = self._parts.clocks.boot_ns()
        for key in before - self._paused:
            if undecided := self._parts.scheduler.resume(key, now_ns):
                self._parts.skip(key, SkipReason.PAUSED, undecided)

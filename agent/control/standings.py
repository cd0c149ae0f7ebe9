"""From what the loop shows of probers to how the control socket tells it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.control.tallies import figures_of
from agent.control.window import CombinationView
from agent.plan import PlannedProber
from common.contracts.control import CombinationState, Pause, ProberState
from common.contracts.states import most_urgent


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


@dataclass(frozen=True)
class Around:
    """What else there is to say about a prober."""

    moment: Moment
    running: int
    pause: Pause | None
    default_user: str  # of probers that name none


def prober_state(
    prober: PlannedProber, states: str, views: Sequence[CombinationView], around: Around
) -> ProberState:
    """A prober as a whole; `states` are those of all of its combinations, `views` some of them."""
    state = most_urgent(states)
    urgent = [view.standing for view in views if view.state is state]
    spec = prober.specs[0] if prober.specs else None
    next_ns = min((view.next_ns for view in views if view.next_ns is not None), default=None)
    return ProberState(
        id=prober.id,
        slug=prober.slug,
        revision=prober.revision,
        state=state,
        states=states,
        reason=next((one.reason for one in urgent if one.reason), ""),
        problem=prober.problem,
        since=min((one.since for one in urgent if one.since), default=None),
        last_run_at=max((at for view in views if (at := view.standing.last_run_at)), default=None),
        next_run_at=around.moment.at(next_ns),
        interval_seconds=spec.interval.total_seconds() if spec else None,
        time_limit_seconds=spec.time_limit.total_seconds() if spec else None,
        mode=spec.mode if spec else "",
        mode_problem=next((view.cold for view in views if view.cold), ""),
        user=(spec.sandbox.user or around.default_user) if spec else "",
        runs_in_progress=around.running,
        figures=figures_of(view.tally for view in views),
        pause=around.pause,
    )


def combination_state(
    view: CombinationView, labels: Mapping[str, str], moment: Moment
) -> CombinationState:
    """One combination."""
    standing = view.standing
    return CombinationState(
        labels=dict(labels),
        state=view.state,
        reason=standing.reason,
        since=standing.since,
        last_run_at=standing.last_run_at,
        next_run_at=moment.at(view.next_ns),
        recent=list(standing.recent),
        figures=figures_of([view.tally]),
        upload=view.upload,
    )

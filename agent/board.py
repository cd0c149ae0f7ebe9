"""What the last runs said: state and reason per combination, in the order in which reports show them. Pure."""

from dataclasses import dataclass
from datetime import datetime

from agent.plan import HostPlan, PlannedProber, RunKey
from agent.results import RunResult
from common.contracts.reports import MAX_REASONS, ProberReport, Reason, shortened
from common.contracts.states import STATE_OF_OUTCOME, State

# As many as a report carries; the first ones by slug, so that always the same are missing.
_MAX_PROBERS = 2000


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known about one combination."""

    state: State = State.NOT_RUN_YET
    reason: str = ""
    last_run_at: datetime | None = None


class Board:
    """The standings of one host's combinations."""

    def __init__(self) -> None:
        self._probers: tuple[PlannedProber, ...] = ()
        self._standings: dict[RunKey, Standing] = {}

    def apply(self, plan: HostPlan) -> None:
        """Show what is in the plan; whoever was there before keeps the last standing until its next run."""
        before = self._standings
        self._probers = plan.probers
        self._standings = {}
        for prober in plan.probers:
            for key in prober.keys:
                known = before.get(key, Standing())
                if prober.problem:
                    reason = shortened(prober.problem)
                    known = Standing(State.BROKEN, reason, known.last_run_at)
                self._standings[key] = known

    def record(self, result: RunResult, ended_at: datetime) -> State | None:
        """Take in a result; the state before, if this one is another."""
        known = self._standings.get(result.key)
        if known is None:
            return None
        state = STATE_OF_OUTCOME[result.verdict.outcome]
        self._standings[result.key] = Standing(state, result.verdict.reason, ended_at)
        return known.state if state is not known.state else None

    def prober_reports(self) -> list[ProberReport]:
        """States as reports carry them."""
        return [self._report(prober) for prober in self._probers[:_MAX_PROBERS]]

    def reasons(self) -> list[Reason]:
        """Why combinations are not green, as many as a report carries."""
        found = (
            Reason(prober_id=str(prober.id), combination=index, text=standing.reason)
            for prober in self._probers
            for index, key in enumerate(prober.keys)
            if (standing := self._standings[key]).reason
        )
        return [reason for reason, _ in zip(found, range(MAX_REASONS), strict=False)]

    def _report(self, prober: PlannedProber) -> ProberReport:
        standings = [self._standings[key] for key in prober.keys]
        runs = [standing.last_run_at for standing in standings if standing.last_run_at]
        return ProberReport(
            prober_id=str(prober.id),
            revision=prober.revision,
            states="".join(str(standing.state.value) for standing in standings),
            last_run_at=max(runs, default=None),
        )

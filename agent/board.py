"""What the last runs said: state and reason per combination, in the order in which reports show them. Pure."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from agent.plan import HostPlan, PlannedProber, RunKey
from agent.results import RunResult
from common.contracts.probers import MAX_CONFIRMING_RUNS
from common.contracts.reports import MAX_REASONS, ProberReport, Reason, shortened
from common.contracts.states import STATE_OF_OUTCOME, Outcome, State

# As many as a report carries; the first ones by slug, so that always the same are missing.
_MAX_PROBERS = 2000


def confirmed_state(recent: Sequence[Outcome], confirm: tuple[int, int], before: State) -> State:
    """The state after these last runs, the newest last: another one than before only if it is confirmed.

    Of the last M runs, at least N must be bad for a bad state, and fewer than N for a good one.
    """
    needed, considered = confirm
    newest = recent[-1]
    if considered == 1:  # nearly always
        return STATE_OF_OUTCOME[newest]
    bad = sum(outcome is not Outcome.SUCCESS for outcome in recent[-considered:])
    is_confirmed = bad < needed if newest is Outcome.SUCCESS else bad >= needed
    return STATE_OF_OUTCOME[newest] if is_confirmed else before


class Standing(NamedTuple):
    """What is known about one combination."""

    state: State = State.NOT_RUN_YET
    reason: str = ""
    last_run_at: datetime | None = None
    recent: tuple[Outcome, ...] = ()  # the newest last
    since: datetime | None = None  # in this state


class Board:
    """The standings of one host's combinations."""

    def __init__(self) -> None:
        self._probers: tuple[PlannedProber, ...] = ()
        self._standings: dict[RunKey, Standing] = {}
        self._paused: Collection[RunKey] = frozenset()
        self._uploads: dict[RunKey, str] = {}

    def uploaded(self, keys: Iterable[RunKey], evidence: str) -> None:
        """The newest evidence of these combinations, which is told as long as they are not green."""
        self._uploads |= dict.fromkeys((key for key in keys if key in self._standings), evidence)

    def upload_of(self, key: RunKey) -> str | None:
        """The id of the newest evidence of a combination."""
        return self._uploads.get(key)

    def pause(self, keys: Collection[RunKey]) -> None:
        """Show these as paused, whatever their last runs said; reasons are told with the pauses."""
        self._paused = keys

    def apply(self, plan: HostPlan) -> None:
        """Show what is in the plan; whoever was there before keeps the last standing until its next run."""
        before, now = self._standings, dict[RunKey, Standing]()
        for prober in plan.probers:
            for key in prober.keys:
                known = before.get(key, Standing())
                if prober.problem:
                    reason = shortened(prober.problem)
                    known = Standing(State.BROKEN, reason, known.last_run_at, since=known.since)
                now[key] = known
        self._probers, self._standings = plan.probers, now
        self._uploads = {key: one for key, one in self._uploads.items() if key in self._standings}

    def record(
        self, result: RunResult, ended_at: datetime, *, confirm: tuple[int, int] = (1, 1)
    ) -> Standing | None:
        """Take in a result; how the combination stands now, None if it is not in the plan (any more)."""
        known = self._standings.get(result.key)
        if known is None:
            return None
        recent = (*known.recent, result.verdict.outcome)[-MAX_CONFIRMING_RUNS:]
        state = confirmed_state(recent, confirm, known.state)
        # What is not confirmed yet is no reason for the state that is shown.
        says_why = state is STATE_OF_OUTCOME[result.verdict.outcome]
        reason = result.verdict.reason if says_why else known.reason
        if state is State.SUCCESS and self._uploads and known.state is not state:
            self._uploads.pop(result.key, None)
        since = known.since if state is known.state and known.since else ended_at
        self._standings[result.key] = standing = Standing(state, reason, ended_at, recent, since)
        return standing

    def state(self, key: RunKey) -> State | None:
        """How a combination stands; None if it is not in the plan."""
        known = self._standings.get(key)
        return self._shown(key, known) if known else None

    def standing(self, key: RunKey) -> Standing | None:
        """What its runs said, also in a pause; None if it is not in the plan."""
        return self._standings.get(key)

    def prober_reports(self) -> list[ProberReport]:
        """States as reports carry them."""
        return [self._report(prober) for prober in self._probers[:_MAX_PROBERS]]

    def reasons(self) -> list[Reason]:
        """Why combinations are not green, as many as a report carries."""
        found = (
            self._reason(prober, index, standing.reason)
            for prober in self._probers
            for index, key in enumerate(prober.keys)
            if (standing := self._standings[key]).reason and key not in self._paused
        )
        return [reason for reason, _ in zip(found, range(MAX_REASONS), strict=False)]

    def _reason(self, prober: PlannedProber, index: int, text: str) -> Reason:
        reason = Reason(prober_id=str(prober.id), combination=index, text=text)
        if upload := self._uploads.get(prober.keys[index]):
            reason["upload"] = upload
        return reason

    def _report(self, prober: PlannedProber) -> ProberReport:
        standings = [self._standings[key] for key in prober.keys]
        runs = [standing.last_run_at for standing in standings if standing.last_run_at]
        return ProberReport(
            prober_id=str(prober.id),
            revision=prober.revision,
            states="".join(
                str(self._shown(key, one).value)
                for key, one in zip(prober.keys, standings, strict=True)
            ),
            last_run_at=max(runs, default=None),
        )

    def _shown(self, key: RunKey, standing: Standing) -> State:
        return State.PAUSED if key in self._paused else standing.state

"""Decide: what comes next in a deployment, from its recorded steps alone. Pure.

Whoever holds the cluster's lease may go on with a deployment; the Creator that began it is not needed.

    (nothing) ─▶ init? ─▶ plan ─▶ nothing to do
                            └───▶ judge ─▶ wait for a person, only show, or apply ─▶ applied
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from creator.deployment.events import Events, is_stale, needs_init
from creator.deployment.terraform import EXIT_CODE_WITH_CHANGES, Kind

# A plan that somebody else overtook is made anew; twice in a row, and something is wrong.
_PLANS_AT_MOST = 2
_APPLYING = (Kind.APPLY, Kind.DESTROY)
_DECIDING = (Kind.INIT, Kind.PLAN, *_APPLYING)


class Move(StrEnum):
    """What to do next."""

    INIT = "init"
    PLAN = "plan"
    JUDGE = "judge"  # there is a plan: policy, gates and people decide what becomes of it
    RECORD_UNCHANGED = "record_unchanged"
    RECORD_APPLIED = "record_applied"
    REPLACE = "replace"  # the approved plan is stale: another one has to take its place
    FAIL = "fail"
    UNKNOWN = "unknown"  # nobody knows how far terraform came; the next pass plans


@dataclass(frozen=True)
class StepResult:
    """A command that has ended; without an exit code nobody saw how."""

    kind: Kind
    exit_code: int | None
    interrupted: bool = False
    killed: bool = False
    needs_init: bool = False  # it says that the workspace is not prepared
    is_stale: bool = False  # it says that the state has changed since the plan
    lock_was_freed: bool = False  # a dead step of ours had left a lock in its way, which is no more

    @property
    def end_is_unknown(self) -> bool:
        """Whether terraform cannot have told its end: it was killed, or nobody was there."""
        return self.killed or self.exit_code is None or self.exit_code < 0


def step_result(kind: Kind, exit_code: int | None, events: Events) -> StepResult:
    """A command that has ended in time, by what it said."""
    return StepResult(
        kind, exit_code, needs_init=needs_init(events.errors), is_stale=is_stale(events.errors)
    )


@dataclass(frozen=True)
class Progress:
    """How far a deployment is."""

    steps: Sequence[StepResult] = ()
    init_is_due: bool = True  # its inputs are not those of the init before
    has_plan: bool = False  # a saved plan lies ready
    is_approved: bool = False  # it is the one that a person approved


def with_result(steps: Sequence[StepResult], result: StepResult) -> list[StepResult]:
    """The steps and one more; that a lock was freed is told of the step that met it."""
    if result.kind is not Kind.UNLOCK:
        return [*steps, result]
    if not steps or result.exit_code != 0:
        return list(steps)
    return [*steps[:-1], replace(steps[-1], lock_was_freed=True)]


def next_move(progress: Progress) -> Move:
    """What comes next."""
    steps = [step for step in progress.steps if step.kind in _DECIDING]
    if not steps:
        return Move.INIT if progress.init_is_due else _when_prepared(progress)
    last = steps[-1]
    if last.end_is_unknown:
        return Move.UNKNOWN
    if last.needs_init and Kind.INIT not in [step.kind for step in steps]:
        return Move.INIT
    if last.lock_was_freed and sum(step.lock_was_freed for step in steps) == 1:
        return _when_prepared(progress)
    return _after(last, steps, progress)


def _after(last: StepResult, steps: Sequence[StepResult], progress: Progress) -> Move:
    if last.kind is Kind.INIT:
        return _when_prepared(progress) if last.exit_code == 0 else Move.FAIL
    if last.kind is Kind.PLAN:
        return _after_plan(last, progress)
    return _after_apply(last, steps, progress)


def _when_prepared(progress: Progress) -> Move:
    return Move.JUDGE if progress.has_plan else Move.PLAN


def _after_plan(plan: StepResult, progress: Progress) -> Move:
    if plan.exit_code == 0:
        return Move.RECORD_UNCHANGED
    if plan.exit_code != EXIT_CODE_WITH_CHANGES:
        return Move.FAIL
    # The plan itself may be on another machine.
    return Move.JUDGE if progress.has_plan else Move.UNKNOWN


def _after_apply(apply: StepResult, steps: Sequence[StepResult], progress: Progress) -> Move:
    if apply.exit_code == 0:
        return Move.RECORD_APPLIED
    if not apply.is_stale:
        return Move.FAIL
    if progress.is_approved:
        return Move.REPLACE
    plans = sum(step.kind is Kind.PLAN for step in steps)
    return Move.PLAN if plans < _PLANS_AT_MOST else Move.FAIL

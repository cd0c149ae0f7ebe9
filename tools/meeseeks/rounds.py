"""One round: read both sides, decide, act. What a round came to is a value."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from pydantic import JsonValue

from common.errors import MrProberError
from tools.exit_codes import ExitCode
from tools.meeseeks.errors import OutdatedPlanError, StoppedError, UnknownOutcomeError
from tools.meeseeks.nodes import Listing
from tools.meeseeks.plan import Current, Plan, Rules, planned


class Outcome(StrEnum):
    """What a round came to."""

    UNCHANGED = "unchanged"
    PLANNED = "planned"  # something would change
    APPLIED = "applied"
    REFUSED = "refused"  # by a threshold, or since somebody else manages the variable
    OUTDATED = "outdated"  # somebody changed the variable meanwhile
    UNKNOWN = "unknown"  # the write got no answer
    FAILED = "failed"  # nothing was compared, or the API refused


EXIT_CODES = {
    Outcome.UNCHANGED: ExitCode.DONE,
    Outcome.PLANNED: ExitCode.CHANGES,
    Outcome.APPLIED: ExitCode.DONE,
    Outcome.REFUSED: ExitCode.ERROR,
    Outcome.OUTDATED: ExitCode.PARTLY,
    Outcome.UNKNOWN: ExitCode.PARTLY,
    Outcome.FAILED: ExitCode.ERROR,
}


@dataclass(frozen=True)
class Round:
    """Without a plan reading failed; `error` is why something was not done."""

    outcome: Outcome
    plan: Plan | None = None
    error: str = ""
    seconds: float = 0.0


class Lister(Protocol):
    """Lists nodes."""

    def listing(self, *, filter_text: str = "") -> Listing:
        """All of them; ComputeAdminError."""


class Variable(Protocol):
    """See `tools.meeseeks.variable.ClusterVariable`."""

    def current(self) -> Current:
        """What it holds."""

    def write(self, value: JsonValue, seen: Current) -> None:
        """Replace it."""


def round_of(
    lister: Lister,
    variable: Variable,
    rules: Rules,
    *,
    apply: bool,
    clock: Callable[[], float] = time.monotonic,
) -> Round:
    """Compare once and, if asked to, apply; every foreseen mishap is an outcome but StoppedError."""
    begun_at = clock()
    try:
        # The variable first: its ETag then also guards the time that reading the list takes.
        current = variable.current()
        plan = planned(current, lister.listing(filter_text=rules.selection.filter_text), rules)
    except StoppedError:
        raise
    except MrProberError as error:
        return Round(Outcome.FAILED, error=str(error), seconds=clock() - begun_at)
    done = _acted(variable, plan) if apply else Round(_outcome_of(plan), plan)
    return replace(done, seconds=clock() - begun_at)


def _outcome_of(plan: Plan) -> Outcome:
    if plan.refusals:
        return Outcome.REFUSED
    return Outcome.PLANNED if plan.is_change else Outcome.UNCHANGED


def _acted(variable: Variable, plan: Plan) -> Round:
    if (outcome := _outcome_of(plan)) is not Outcome.PLANNED:
        return Round(outcome, plan)
    try:
        variable.write(plan.value, plan.current)
    except OutdatedPlanError as error:
        return Round(Outcome.OUTDATED, plan, str(error))
    except UnknownOutcomeError as error:
        return Round(Outcome.UNKNOWN, plan, str(error))
    except MrProberError as error:
        return Round(Outcome.FAILED, plan, str(error))
    return Round(Outcome.APPLIED, plan)

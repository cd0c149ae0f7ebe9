"""What a finished run says about its combination, as a value."""

from typing import NamedTuple

from agent.costs import Cost
from agent.outputs.printed import NOTHING_PRINTED, Printed
from agent.plan import RunKey
from agent.verdict import Verdict


class RunResult(NamedTuple):
    """One finished run; times are nanoseconds of the scheduler's clock."""

    key: RunKey
    verdict: Verdict
    due_ns: int
    started_ns: int
    ended_ns: int
    cost: Cost = Cost()
    printed: Printed = NOTHING_PRINTED
    # False: it shows a state and is in no counter, since its beat was accounted for before.
    counted: bool = True
    starved: bool = False
    during_apply: bool = False  # Creator was changing the machines when it ended

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return (self.ended_ns - self.started_ns) / 1e9

    @property
    def start_lag_seconds(self) -> float:
        """How late it started."""
        return max(0.0, (self.started_ns - self.due_ns) / 1e9)

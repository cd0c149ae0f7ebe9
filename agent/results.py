"""What a finished run says about its combination, as a value."""

from dataclasses import dataclass, field

from agent.costs import Cost
from agent.outputs.printed import Printed
from agent.plan import RunKey
from agent.verdict import Verdict


@dataclass(frozen=True, slots=True)
class RunResult:
    """One finished run; times are nanoseconds of the scheduler's clock."""

    key: RunKey
    verdict: Verdict
    due_ns: int
    started_ns: int
    ended_ns: int
    cost: Cost = field(default=Cost())
    printed: Printed = field(default=Printed())
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

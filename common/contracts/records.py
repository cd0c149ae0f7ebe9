"""The record of one run in an agent's flight recorder: on its disk, in answers of its control socket, in uploads."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from pydantic import Field

from common.contracts.states import Outcome
from common.contracts.values import Wire

# Written into each record; a reader skips records whose format it does not know.
RECORD_FORMAT = 1


class RecordedOutput(Wire):
    """What is kept of a stream: all of it as `head`, or head and tail with `cut_bytes` between them that are lost."""

    head: str = ""
    tail: str = ""
    cut_bytes: int = 0
    printed_bytes: int = 0

    def text(self) -> str:
        """Head and tail; the cut between them is marked on a line of its own."""
        return (
            f"{self.head}\n[... {self.cut_bytes} bytes cut ...]\n{self.tail}"
            if self.cut_bytes
            else self.head
        )


class RecordedCombination(Wire):
    """What a run said about one combination of its prober's matrix."""

    labels: dict[str, str] = {}
    outcome: Outcome
    reason: str = ""


class RecordedCost(Wire):
    """What the processes of a run used."""

    user_seconds: float = 0.0
    system_seconds: float = 0.0
    peak_rss_bytes: int = 0


class RunRecord(Wire):
    """One run; values of secrets are replaced wherever they show.

    `number` grows with each record of an agent, over restarts, too.
    """

    format: int = RECORD_FORMAT
    number: int = Field(ge=0)
    prober_id: UUID
    prober: str
    revision: int
    # Asked for at the control socket: in no metric, no state, no count.
    is_trial: bool = False
    # That of the worst of its combinations, which are listed with the worst first; `left_out` more are not listed.
    outcome: Outcome
    reason: str = ""
    combinations: list[RecordedCombination] = []
    left_out: int = 0
    due_at: datetime
    started_at: datetime
    ended_at: datetime
    start_lag_seconds: float = 0.0
    # Negative: the signal that ended the process; None: it never ran, or nobody saw its end.
    exit_code: int | None = None
    # Why the agent ended it: time_limit, output_limit, or the setting whose limit it went over; empty: it did not.
    ended_by: str = ""
    cost: RecordedCost = RecordedCost()
    starved: bool = False
    during_apply: bool = False
    arguments: list[str] = []
    environment: Mapping[str, str] = {}
    folder: str = ""
    user: str = ""
    time_limit_seconds: float = 0.0
    stdout: RecordedOutput = RecordedOutput()
    stderr: RecordedOutput = RecordedOutput()

    @property
    def is_good(self) -> bool:
        """Whether every combination was a success."""
        return self.outcome is Outcome.SUCCESS

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return (self.ended_at - self.started_at).total_seconds()

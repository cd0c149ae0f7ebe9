"""What the commands need of an agent; the real one is its control socket (`agent/control/client.py`)."""

from typing import Protocol
from uuid import UUID

from common.contracts.control import (
    AgentState,
    NewestMetrics,
    Pause,
    Pauses,
    PauseWanted,
    ProberDetails,
    ProberExplanation,
    Records,
    RunProgress,
    RunTicket,
    RunWanted,
)


class LivingAgent(Protocol):
    """An agent; every method raises AgentNotRunningError if nobody answers, ControlRefusedError if it says no."""

    def state(self) -> AgentState:
        """All about it."""

    def prober(self, slug: str) -> ProberDetails:
        """One prober with its combinations."""

    def explanation(self, slug: str) -> ProberExplanation:
        """Which layer set what."""

    def metrics(self, prober: str | None = None) -> NewestMetrics:
        """The numbers as they stand."""

    def records(
        self,
        *,
        prober: str | None = None,
        failed: bool = False,
        limit: int = 50,
        after: int | None = None,
        wait_seconds: float = 0.0,
    ) -> Records:
        """Runs, the oldest first; with `after` only those that came later, waiting for one to come."""

    def run(self, wanted: RunWanted) -> RunTicket:
        """Ask for one run outside of the schedule."""

    def progress(self, run: UUID, *, wait_seconds: float = 0.0) -> RunProgress:
        """How far it is."""

    def end_run(self, run: UUID) -> RunProgress:
        """Nobody waits for it any more."""

    def pauses(self) -> Pauses:
        """Those that go on."""

    def pause(self, wanted: PauseWanted) -> Pause:
        """Silence a prober or all."""

    def resume(self, prober: str | None = None) -> Pauses:
        """End a pause."""

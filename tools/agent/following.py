"""Act: go on asking a living agent: a run until it ends, the recorder as it grows, the cost of probers again and again."""

import time
from collections.abc import Callable, Iterator

from common.contracts.control import (
    MAX_WAIT_SECONDS,
    AgentState,
    RunPhase,
    RunProgress,
    RunTicket,
    RunWanted,
)
from common.contracts.records import RunRecord
from tools.agent.errors import RunRefusedError
from tools.agent.ports import LivingAgent

# The agent ends a run itself at its time limit; this only bounds how long we believe in that.
_PATIENCE_SECONDS = 30.0


def run_to_its_end(
    agent: LivingAgent,
    wanted: RunWanted,
    *,
    told: Callable[[RunTicket, RunProgress], None],
    clock_seconds: Callable[[], float] = time.monotonic,
) -> RunRecord:
    """The record of the run; `told` is called whenever there is something new to show.

    RunRefusedError if it was not made. Whoever interrupts this ends the run as well.
    """
    ticket = agent.run(wanted)
    deadline = clock_seconds() + wanted.wait_seconds + ticket.longest_seconds + _PATIENCE_SECONDS
    try:
        while clock_seconds() < deadline:
            progress = agent.progress(ticket.id, wait_seconds=1)
            told(ticket, progress)
            if progress.phase is RunPhase.NOT_RUN:
                raise RunRefusedError(wanted.prober, progress.problem)
            if progress.phase is RunPhase.ENDED and progress.record is not None:
                return progress.record
    except KeyboardInterrupt:
        agent.end_run(ticket.id)
        raise
    agent.end_run(ticket.id)
    raise RunRefusedError(wanted.prober, "the agent does not say how it ended")


def records_as_they_come(
    agent: LivingAgent, *, prober: str | None, failed: bool, limit: int, follow: bool
) -> Iterator[RunRecord]:
    """The newest records, the oldest of them first; with `follow` also those to come, for ever."""
    found = agent.records(prober=prober, failed=failed, limit=limit)
    yield from found.records
    while follow:
        found = agent.records(
            prober=prober, failed=failed, after=found.newest, wait_seconds=MAX_WAIT_SECONDS
        )
        yield from found.records


def states(agent: LivingAgent, *, is_enough: Callable[[], bool]) -> Iterator[AgentState]:
    """The state now and after each pause, which `is_enough` makes, until it says so."""
    while True:
        yield agent.state()
        if is_enough():
            return

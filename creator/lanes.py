"""Decide: which clusters get a worker next. People's changes go before drift checks, and neither starves the other. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from creator.planner import Action, Decision

# Whoever waits longer in the lane of drift goes with the people: else a busy day would hide drift for its length.
PATIENCE = timedelta(minutes=10)


class Lane(StrEnum):
    """Who waits for it."""

    PEOPLE = "people"
    DRIFT = "drift"


@dataclass(frozen=True)
class Waiting:
    """A cluster that something is to be done about, at most once in a queue."""

    cluster_id: UUID
    lane: Lane
    since: datetime


def lane_of(decision: Decision) -> Lane:
    """In which lane a cluster waits."""
    return Lane.DRIFT if decision.action is Action.CHECK else Lane.PEOPLE


def next_to_start(
    waiting: Collection[Waiting], running: Sequence[Lane], *, workers: int, now: datetime
) -> list[Waiting]:
    """What to start now, oldest first, people's before drift; `running` has the lane of each busy worker.

    Half of the workers (rounded down) take nothing but people's changes.
    """
    free = max(0, workers - len(running))
    free_for_drift = workers - workers // 2 - list(running).count(Lane.DRIFT)
    chosen: list[Waiting] = []
    for one in sorted(waiting, key=lambda one: (not _goes_first(one, now), one.since)):
        if len(chosen) == free:
            break
        if not _goes_first(one, now):
            if free_for_drift <= 0:
                break
            free_for_drift -= 1
        chosen.append(one)
    return chosen


def _goes_first(one: Waiting, now: datetime) -> bool:
    return one.lane is Lane.PEOPLE or now - one.since >= PATIENCE

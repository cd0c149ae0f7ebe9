"""Who gets a worker next."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creator.lanes import PATIENCE, Lane, Waiting, lane_of, next_to_start
from creator.planner import Action, Decision

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
P, D = Lane.PEOPLE, Lane.DRIFT


def waiting(number: int, lane: Lane, seconds: float = 0) -> Waiting:
    return Waiting(UUID(int=number), lane, NOW - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("queue", "running", "workers", "started"),
    [
        ([], [], 2, []),
        # Oldest first, people's before drift.
        ([(1, P, 1), (2, P, 5), (3, D, 60)], [], 1, [2]),
        ([(1, P, 1), (2, P, 5), (3, D, 60)], [], 3, [2, 1, 3]),
        # Half of the workers are kept for people.
        ([(1, D, 2), (2, D, 1)], [], 2, [1]),
        ([(1, D, 2), (2, D, 1)], [D], 2, []),
        ([(1, D, 2), (2, P, 1)], [D], 2, [2]),
        ([(1, D, 3), (2, D, 2), (3, D, 1)], [P], 4, [1, 2]),
        # With one worker there is nothing to keep.
        ([(1, D, 1)], [], 1, [1]),
        ([(1, D, 1)], [P], 1, []),
        # People take all of them.
        ([(1, P, 2), (2, P, 1)], [], 2, [1, 2]),
        # A check that waited for too long goes with the people.
        ([(1, D, 600), (2, P, 1)], [D], 2, [1]),
        # Fewer workers than before are no reason to start more.
        ([(1, P, 1)], [P, P, P], 2, []),
    ],
)
def test_who_is_next(
    queue: list[tuple[int, Lane, float]], running: list[Lane], workers: int, started: list[int]
) -> None:
    chosen = next_to_start([waiting(*one) for one in queue], running, workers=workers, now=NOW)

    assert [one.cluster_id.int for one in chosen] == started


@given(
    lanes=st.lists(st.tuples(st.sampled_from(Lane), st.floats(0, 1200))),
    running=st.lists(st.sampled_from(Lane), max_size=8),
    workers=st.integers(1, 8),
)
def test_no_worker_is_used_twice_and_nobody_waits_without_need(
    lanes: list[tuple[Lane, float]], running: list[Lane], workers: int
) -> None:
    queue = [waiting(number, *one) for number, one in enumerate(lanes)]

    chosen = next_to_start(queue, running, workers=workers, now=NOW)

    assert len(chosen) == len(set(chosen))
    free = max(0, workers - len(running))
    assert len(chosen) <= free
    left = set(queue) - set(chosen)
    if any(one.lane is P or NOW - one.since >= PATIENCE for one in left):
        assert len(chosen) == free


def test_only_checks_are_of_the_lane_of_drift() -> None:
    assert {action for action in Action if lane_of(Decision(action, "")) is D} == {Action.CHECK}

"""When held requests are answered after a change."""

import pytest

from api.waiting_room import timetable


def test_answers_within_a_second_and_a_bit_where_only_the_document_is_fetched() -> None:
    plan = timetable(5_000, now=100.0, free_at=0.0, new_files=False)
    assert plan.moments[0] == 100.0
    assert plan.moments[-1] == pytest.approx(101.0, abs=0.01)


@pytest.mark.parametrize(("agents", "seconds"), [(3, 2 / 3), (500, 1.0), (5_000, 10.0)])
def test_spreads_answers_that_make_agents_fetch_files(agents: int, seconds: float) -> None:
    plan = timetable(agents, now=0.0, free_at=0.0, new_files=True)
    assert plan.moments == sorted(plan.moments)
    assert plan.moments[-1] == pytest.approx(seconds, rel=0.01)


def test_a_second_cluster_waits_for_the_room_that_the_first_one_takes() -> None:
    first = timetable(1_000, now=0.0, free_at=0.0, new_files=True)
    second = timetable(10, now=0.1, free_at=first.free_at, new_files=True)
    assert second.moments[0] == pytest.approx(2.0)
    assert timetable(1, now=50.0, free_at=first.free_at, new_files=True).moments == [50.0]


def test_nobody_needs_no_room() -> None:
    assert timetable(0, now=1.0, free_at=0.0, new_files=True).moments == []

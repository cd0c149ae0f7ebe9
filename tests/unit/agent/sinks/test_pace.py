"""When to push next, by what Solomon answered."""

from datetime import timedelta

import pytest

from agent.sinks.pace import HOPELESS_FAILURES, Pace
from agent.sinks.solomon import SPREAD_SECONDS, send_offset_seconds, steady_unix
from common.solomon.answers import PushResult, PushStatus

OK = PushResult(PushStatus.OK)
AWAY = PushResult(PushStatus.RETRY)


def pace() -> Pace:
    return Pace(replays_per_second=50)


def test_what_waits_goes_out_at_the_set_rate() -> None:
    made = pace()
    made.replayed(OK, 100.0, jitter=1.0)
    assert made.next_replay == pytest.approx(100.02)


def test_pauses_grow_while_solomon_is_away_and_fresh_points_are_tried_all_the_same() -> None:
    made = pace()
    pauses = []
    for _ in range(6):
        made.replayed(AWAY, 100.0, jitter=1.0)
        pauses.append(made.next_replay - 100.0)
    assert pauses == [1, 2, 4, 8, 15, 15]
    assert made.may_push(100.0)


def test_the_first_success_of_fresh_points_ends_the_pause() -> None:
    made = pace()
    for _ in range(6):
        made.replayed(AWAY, 100.0, jitter=1.0)
    made.fresh_pushed(OK, 101.0, jitter=1.0)
    assert made.next_replay == pytest.approx(101.02)
    made.replayed(AWAY, 102.0, jitter=1.0)
    assert made.next_replay == 103.0


def test_a_success_while_all_is_well_does_not_make_the_replay_faster() -> None:
    made = pace()
    made.replayed(OK, 100.0, jitter=1.0)
    made.fresh_pushed(OK, 100.019, jitter=1.0)
    assert made.next_replay == pytest.approx(100.02)


def test_nobody_pushes_during_the_pause_that_solomon_asked_for() -> None:
    made = pace()
    slow_down = PushResult(PushStatus.SLOW_DOWN, pause=timedelta(seconds=60))
    made.fresh_pushed(slow_down, 100.0, jitter=1.0)
    assert not made.may_push(159.0)
    assert made.may_push(160.0)
    assert made.next_replay == 160.0


def test_too_many_requests_without_a_pause_are_a_pause_that_grows() -> None:
    made = pace()
    ends = []
    for _ in range(7):
        made.replayed(PushResult(PushStatus.SLOW_DOWN), 0.0, jitter=1.0)
        ends.append(made.next_replay)
    assert ends == [10, 20, 40, 80, 160, 300, 300]


def test_a_request_is_hopeless_only_if_solomon_takes_others_meanwhile() -> None:
    made = pace()
    for _ in range(100):
        made.replayed(AWAY, 0.0, jitter=1.0)
        made.fresh_pushed(AWAY, 0.0, jitter=1.0)
    assert not made.oldest_is_hopeless()
    for _ in range(HOPELESS_FAILURES):
        assert not made.oldest_is_hopeless()
        made.fresh_pushed(OK, 0.0, jitter=1.0)
        made.replayed(AWAY, 0.0, jitter=1.0)
    assert made.oldest_is_hopeless()
    made.gave_up_oldest()
    assert not made.oldest_is_hopeless()


def test_hosts_send_at_different_moments_of_ten_seconds() -> None:
    offsets = [send_offset_seconds(f"host-{number}") for number in range(200)]
    assert offsets[0] == send_offset_seconds("host-0")
    assert min(offsets) >= 0
    assert max(offsets) < SPREAD_SECONDS
    assert len({int(offset) for offset in offsets}) == SPREAD_SECONDS


def test_a_clock_that_leaps_makes_nothing_too_old() -> None:
    moments = {"day": 1_000_000.0, "boot": 50}
    unix = steady_unix(
        time_of_day=lambda: moments["day"], clock_ns=lambda: int(moments["boot"] * 1e9)
    )
    moments["day"] += 1e9
    moments["boot"] += 7
    assert unix() == pytest.approx(1_000_007.0)

"""The loop of `--watch`: pauses, outages, the end."""

from datetime import timedelta
from threading import Event

import pytest

from tools.meeseeks.errors import StoppedError
from tools.meeseeks.rounds import Outcome, Round
from tools.meeseeks.watch import pause_after, watch

MINUTE = timedelta(minutes=1)


class RecordingStop(Event):
    """Does not wait; is set after so many waits."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._rounds = rounds

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(round(timeout, 3))
        if len(self.waits) == self._rounds:
            self.set()
        return self.is_set()


def waits_after(*outcomes: Outcome) -> list[float]:
    rounds = iter(outcomes)
    stop = RecordingStop(len(outcomes))
    watch(lambda: Round(next(rounds)), interval=MINUTE, stop=stop, chance=lambda: 0.5)
    return stop.waits


def test_rounds_are_an_interval_apart_whatever_they_came_to() -> None:
    good = [one for one in Outcome if one not in {Outcome.FAILED, Outcome.UNKNOWN}]
    assert waits_after(*good) == [60] * len(good)


def test_outages_are_asked_sooner_first_then_less_and_less_and_recovery_is_as_before() -> None:
    failed = [Outcome.FAILED] * 8 + [Outcome.UNKNOWN] * 2
    waits = waits_after(*failed, Outcome.UNCHANGED, Outcome.FAILED)
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 60, 2]


@pytest.mark.parametrize("failures", [0, 1, 5, 1000])
def test_a_pause_is_spread_by_a_fifth(failures: int) -> None:
    shortest, middle, longest = (pause_after(failures, MINUTE, chance) for chance in (0, 0.5, 1))
    assert shortest == middle * 0.9
    assert longest == middle * 1.1
    assert pause_after(failures, timedelta(hours=1), 0.5) <= timedelta(hours=1)


def test_told_to_end_in_the_middle_of_a_round_it_ends() -> None:
    def stopped() -> Round:
        raise StoppedError

    watch(stopped, interval=MINUTE, stop=RecordingStop(99))


def test_what_is_a_bug_ends_it_with_a_traceback() -> None:
    def broken() -> Round:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        watch(broken, interval=MINUTE, stop=RecordingStop(99))

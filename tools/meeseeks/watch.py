"""The loop of `--watch`: a round, a pause, for ever. Outages of either API are rounds like any other."""

import logging
import random
from collections.abc import Callable
from datetime import timedelta
from threading import Event

from tools.meeseeks.errors import StoppedError
from tools.meeseeks.rounds import Outcome, Round

log = logging.getLogger(__name__)

# After these the other side may be ill: it is asked sooner first, then less and less.
OUTAGES = frozenset({Outcome.FAILED, Outcome.UNKNOWN})
_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(minutes=5)
_JITTER = 0.2


def pause_after(failures: int, interval: timedelta, chance: float) -> timedelta:
    """The pause after so many failed rounds in a row; `chance` from 0 to 1 spreads it by a fifth, so that nobody comes in step."""
    pause = interval
    if failures:
        longest = max(interval, _LONGEST_PAUSE)
        pause = min(longest, _FIRST_PAUSE * 2.0 ** min(failures - 1, 30))
    return pause * (1 - _JITTER / 2 + _JITTER * chance)


def watch(
    run_round: Callable[[], Round],
    *,
    interval: timedelta,
    stop: Event,
    chance: Callable[[], float] = random.random,
) -> None:
    """Until `stop`; a round that is told to stop in the middle of reading ends it, too."""
    failures = 0
    while not stop.is_set():
        try:
            done = run_round()
        except StoppedError:
            break
        failures = failures + 1 if done.outcome in OUTAGES else 0
        stop.wait(pause_after(failures, interval, chance()).total_seconds())
    log.info("ended")

"""When the API is asked for the configuration, and the thread that asks: *decide* and *read*."""

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from agent.configuration import Configuration, ConfigurationNews

_LONGEST_BACK_OFF = timedelta(seconds=15)
_PAUSE = timedelta(seconds=5)
# Whatever the settings say: nobody asks without end.
_LEAST_PAUSE = timedelta(seconds=0.1)
_PAUSE_AFTER_NEWS = timedelta(seconds=0.5)
# Of the wait: what an API that rounds or ends early for its own reasons may be short of.
_HELD_SHARE = 0.9


def poll_delay(
    wait: timedelta, *, took: timedelta, changed: bool, failures: int, jitter: float
) -> timedelta:
    """The pause before the next question; `jitter` is from 0 to 1 and adds ±10 %.

    Zero if the API held the last one for as long as it was asked to.
    Short after news, so that the next ones are not missed; longer if an API without `wait`,
    or one that holds too many, answered at once; longer and longer after failures.
    """
    wait = max(wait, _LEAST_PAUSE)
    pause = min(wait, _PAUSE)
    if failures:
        longest = max(pause, _LONGEST_BACK_OFF)
        pause = min(longest, pause * 2.0 ** min(failures - 1, 10))
    elif changed:
        pause = min(wait, _PAUSE_AFTER_NEWS)
    elif took >= wait * _HELD_SHARE:
        return timedelta()
    return pause * (0.9 + 0.2 * jitter)


def follow(
    configuration: Configuration,
    *,
    wait: timedelta,
    stopping: threading.Event,
    nudged: threading.Event,
    deliver: Callable[[ConfigurationNews], None],
) -> None:
    """Deliver what is on disk, then poll until told to stop; the body of a thread. `nudged` ends a pause."""
    deliver(configuration.start_from_disk())
    configuration.stand_in(deliver)
    while not stopping.is_set():
        nudged.clear()
        started = time.monotonic()
        etag = configuration.etag
        deliver(configuration.poll(wait))
        delay = poll_delay(
            wait,
            took=timedelta(seconds=time.monotonic() - started),
            changed=configuration.etag != etag,
            failures=configuration.failures,
            jitter=random.random(),  # noqa: S311 - no secret
        )
        nudged.wait(delay.total_seconds())

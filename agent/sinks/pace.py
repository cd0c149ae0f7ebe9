"""When to push next, and when a request is hopeless: *decide*. Pure; times are seconds of a clock that never steps."""

from datetime import timedelta

from common.solomon.answers import PushResult, PushStatus

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0
SLOW_DOWN_SECONDS = 10.0
LONGEST_SLOW_DOWN_SECONDS = 300.0
# So often may one waiting request fail while Solomon takes all others; then it is the request's fault.
HOPELESS_FAILURES = 8

_ANSWERED = frozenset({PushStatus.OK, PushStatus.REFUSED})


class Pace:
    """What Solomon's answers mean for the next pushes.

    Fresh points are tried once a cell, which is gentle enough; what waits is sent at a bounded rate while all is well
    and with growing pauses while it is not. If Solomon asks for a pause, nobody pushes at all.
    """

    def __init__(self, *, replays_per_second: float) -> None:
        self._interval = 1.0 / replays_per_second
        self._failures = 0
        self._silent_until = 0.0
        self._replay_at = 0.0
        self._oldest_failures = 0
        self._fresh_taken = False

    def may_push(self, now: float) -> bool:
        """Whether Solomon has not asked for a pause."""
        return now >= self._silent_until

    @property
    def is_well(self) -> bool:
        """Whether the last push was answered with something final."""
        return self._failures == 0

    @property
    def next_replay(self) -> float:
        """When the oldest waiting request may be sent."""
        return max(self._replay_at, self._silent_until)

    def oldest_is_hopeless(self) -> bool:
        """Whether the oldest waiting request blocks the others for nothing."""
        return self._oldest_failures >= HOPELESS_FAILURES

    def fresh_pushed(self, result: PushResult, now: float, *, jitter: float) -> None:
        """Fresh points got this answer; `jitter` is about 1 and keeps agents apart."""
        if result.status in _ANSWERED:
            self._fresh_taken = True
            # The end of an outage: no need to wait for the end of a pause that was meant for it.
            if self._failures:
                self._replay_at = now + self._interval
        self._answered(result, now, jitter=jitter)

    def replayed(self, result: PushResult, now: float, *, jitter: float) -> None:
        """The oldest waiting request got this answer."""
        if result.status in _ANSWERED:
            self._oldest_failures = 0
            self._replay_at = now + self._interval
        elif self._fresh_taken:
            self._oldest_failures += 1
            self._fresh_taken = False
        self._answered(result, now, jitter=jitter)

    def gave_up_oldest(self) -> None:
        """Another request is the oldest now."""
        self._oldest_failures = 0

    def _answered(self, result: PushResult, now: float, *, jitter: float) -> None:
        if result.status in _ANSWERED:
            self._failures = 0
            return
        doubled = 2.0 ** min(self._failures, 10)
        self._failures += 1
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * doubled)
        self._replay_at = now + pause * jitter
        if result.status is PushStatus.SLOW_DOWN or result.pause is not None:
            usual = min(LONGEST_SLOW_DOWN_SECONDS, SLOW_DOWN_SECONDS * doubled)
            asked = result.pause if result.pause is not None else timedelta(seconds=usual)
            self._silent_until = now + asked.total_seconds() * jitter

"""Pauses on their way from a caller to disk and loop, one at a time."""

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from agent.control.desk import Desk
from agent.control.messages import RefusedError
from agent.control.window import Window
from agent.pauses import PauseFile, with_pause, without_pause
from common.contracts.control import Pause, PauseWanted
from common.contracts.reports import MAX_PAUSES, MAX_WHO_CHARACTERS

log = logging.getLogger(__name__)


class PauseDesk:
    """Takes wishes; used by the threads of callers."""

    def __init__(self, desk: Desk[Window], file: PauseFile) -> None:
        self._desk = desk
        self._file = file
        self._lock = threading.Lock()

    def standing(self) -> tuple[Pause, ...]:
        """Those that go on."""
        return self._desk.ask(lambda window: window.pauses())

    def pause(self, wanted: PauseWanted, who: str) -> Pause:
        """Begin one now; RefusedError if there are too many. `who` is the caller's user."""
        now = datetime.now(UTC)
        new = Pause(
            prober=wanted.prober,
            since=now,
            until=now + timedelta(seconds=wanted.seconds),
            who=_name(wanted.who, who),
            why=wanted.why,
        )
        with self._lock:
            pauses = with_pause(self.standing(), new)
            if len(pauses) > MAX_PAUSES:
                raise RefusedError(409, f"{MAX_PAUSES} pauses go on already: pause all probers")
            self._take_over(pauses)
        log.warning(
            "paused prober=%s until=%s who=%s why=%r",
            new.prober or "all", new.until.isoformat(timespec="seconds"), new.who, new.why,
        )  # fmt: skip
        return new

    def resume(self, prober: str | None, who: str) -> tuple[Pause, ...]:
        """End the pause of a prober, or that of all; RefusedError if there is none. Those that are left."""
        with self._lock:
            before = self.standing()
            pauses = without_pause(before, prober)
            if len(pauses) == len(before):
                what = f"prober {prober} has no pause of its own" if prober else "all probers together are not paused"  # fmt: skip
                raise RefusedError(404, what)
            self._take_over(pauses)
        log.warning("resumed prober=%s who=%s", prober or "all", who)
        return pauses

    def _take_over(self, pauses: Sequence[Pause]) -> None:
        try:
            self._file.keep(pauses)
        except OSError as error:
            # On a full disk, of all times, somebody may need to silence a prober.
            log.warning("a restart of the agent will forget this: %s", error)
        self._desk.ask(lambda window: window.keep_pauses(pauses))


def _name(claimed: str, user: str) -> str:
    """What somebody calls themselves, and which user they are, no longer than a report may have it.

    One that is longer would cost every report while the pause goes on.
    """
    if not claimed or claimed == user:
        return user[:MAX_WHO_CHARACTERS]
    known = f" ({user})"[:MAX_WHO_CHARACTERS]
    return claimed[: MAX_WHO_CHARACTERS - len(known)] + known

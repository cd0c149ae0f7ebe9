"""Pauses: who silenced which prober, until when, and why: *decide*; and the file that keeps them over a restart."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from common.atomic_files import write_atomically
from common.contracts.control import Pause, Pauses

log = logging.getLogger(__name__)


class StandingPauses:
    """The pauses that go on, one for each prober at most and one for all of them. Pure.

    A pause ends when the time of day says so, or when as much time has passed as there was left when we heard of it:
    whichever comes first, so that no step of the clock silences a prober for long.
    """

    def __init__(self, pauses: Iterable[Pause], *, now: datetime, now_ns: int) -> None:
        """`now_ns` is of the clock that never steps."""
        self._ends_ns = {
            pause.prober: (pause, now_ns + round((pause.until - now).total_seconds() * 1e9))
            for pause in pauses
            if pause.until > now
        }

    def end(self, now: datetime, now_ns: int) -> bool:
        """Forget those that are over; whether there were any."""
        over = [
            prober
            for prober, (pause, end_ns) in self._ends_ns.items()
            if pause.until <= now or end_ns <= now_ns
        ]
        for prober in over:
            del self._ends_ns[prober]
        return bool(over)

    def of(self, prober: str) -> Pause | None:
        """The pause that holds for a prober: its own before that of all."""
        found = self._ends_ns.get(prober) or self._ends_ns.get(None)
        return found[0] if found else None

    def all(self) -> tuple[Pause, ...]:
        """Those that go on, that of all probers first."""
        return tuple(
            sorted((pause for pause, _ in self._ends_ns.values()), key=lambda one: one.prober or "")
        )


def with_pause(pauses: Iterable[Pause], new: Pause) -> tuple[Pause, ...]:
    """The pauses with another one, which replaces an earlier one of the same prober."""
    return (*without_pause(pauses, new.prober), new)


def without_pause(pauses: Iterable[Pause], prober: str | None) -> tuple[Pause, ...]:
    """The pauses without that of a prober, or without that of all."""
    return tuple(pause for pause in pauses if pause.prober != prober)


class PauseFile:
    """Where pauses wait for the next agent of the folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "pauses.json"

    def pauses(self) -> Sequence[Pause]:
        """Those that were kept; none if the file is missing or damaged: then probers run, which hurts nobody."""
        try:
            return Pauses.model_validate_json(self._file.read_bytes()).pauses
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            log.warning("pauses are forgotten: %s cannot be read: %s", self._file, error)
            return ()

    def keep(self, pauses: Sequence[Pause]) -> None:
        """Keep these and no others; OSError."""
        content = Pauses(pauses=list(pauses)).model_dump_json().encode()
        write_atomically(self._file, content + b"\n")

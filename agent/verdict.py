"""From the end of a process to the outcome of its run: *decide*. Pure."""

import signal
from dataclasses import dataclass
from datetime import timedelta

from common.contracts.reports import shortened
from common.contracts.states import Outcome

# 3 by the prober's contract; 126 and 127 by custom: found but not executable, not found.
BROKEN_STATUSES = (3, 126, 127)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome and why; a success needs no reason."""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended and the end of what it printed."""

    exit_code: int  # negative: the signal that killed it
    time_limit_passed: bool  # we had decided to kill it, whatever came after
    time_limit: timedelta
    stdout: str = ""
    stderr: str = ""


def verdict(ending: Ending) -> Verdict:
    """The verdict; once the time limit has passed no exit status changes it."""
    said = _last_line(ending.stderr) or _last_line(ending.stdout)
    if ending.time_limit_passed:
        text = f"no end within {ending.time_limit.total_seconds():g} s"
        return Verdict(Outcome.TIMEOUT, shortened(f"{text}: {said}") if said else text)
    if ending.exit_code == 0:
        return Verdict(Outcome.SUCCESS)
    if ending.exit_code < 0:
        text = f"killed by {_signal_name(-ending.exit_code)}"
        return Verdict(Outcome.BROKEN, shortened(f"{said} ({text})") if said else text)
    outcome = Outcome.BROKEN if ending.exit_code in BROKEN_STATUSES else Outcome.FAILURE
    return Verdict(outcome, shortened(said) or f"exit status {ending.exit_code}")


def cannot_start(arguments: tuple[str, ...], error: OSError) -> Verdict:
    """The verdict when the operating system refuses to start the program."""
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        reason += ", or its interpreter is missing"
    return Verdict(Outcome.BROKEN, shortened(f"cannot start {arguments[0]}: {reason}"))


def _last_line(text: str) -> str:
    """The last line that says something, without characters that would spoil a page or a log."""
    printable = "".join(
        letter if letter.isprintable() or letter in "\n\r" else " " for letter in text
    )
    lines = [line.strip() for line in printable.splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

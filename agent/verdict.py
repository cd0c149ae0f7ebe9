"""From the end of a process to the outcome of its run: *decide*. Pure."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from agent.costs import Cost
from common.contracts.reports import shortened
from common.contracts.states import Outcome

# 3 by the prober's contract; 126 and 127 by custom: found but not executable, not found.
BROKEN_STATUSES = (3, 126, 127)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome and why; a success needs no reason."""

    outcome: Outcome
    reason: str = ""


class LimitedCost(NamedTuple):
    """What a run used beside what it may use."""

    breach: str = ""  # the setting whose limit it was killed for
    cost: Cost = Cost()
    memory_bytes: int = 2**63
    cpu_seconds: int = 86400

    def breached_by(self, exit_code: int) -> str:
        """The setting whose limit the run went over, however it ended; empty if none."""
        if self.breach:
            return self.breach
        # A short run ends before anybody looks: what it used in the end says the same each time.
        if self.cost.peak_rss_bytes > self.memory_bytes:
            return "memory_mb"
        seconds = self.cost.user_seconds + self.cost.system_seconds
        if exit_code == -signal.SIGXCPU or seconds > self.cpu_seconds:
            return "cpu_seconds"
        return ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended and the end of what it printed."""

    exit_code: int  # negative: the signal that killed it
    time_limit_passed: bool  # we had decided to kill it, whatever came after
    time_limit: timedelta
    stdout: str = ""
    stderr: str = ""
    limited: LimitedCost = field(default=LimitedCost())


def verdict_of_exit(exit_code: int, stdout: str, stderr: str) -> Verdict:
    """The verdict by the prober's contract, about a status of 0 or more."""
    if exit_code == 0:
        return Verdict(Outcome.SUCCESS)
    outcome = Outcome.BROKEN if exit_code in BROKEN_STATUSES else Outcome.FAILURE
    said = last_line(stderr) or last_line(stdout)
    return Verdict(outcome, shortened(said) or f"exit status {exit_code}")


# Exit status, stdout and stderr.
ExitVerdict = Callable[[int, str, str], Verdict]


def verdict(ending: Ending, of_exit: ExitVerdict = verdict_of_exit) -> Verdict:
    """The verdict; once the time limit has passed no exit status changes it. `of_exit` is the output format's."""
    said = last_line(ending.stderr) or last_line(ending.stdout)
    if ending.time_limit_passed:
        text = f"no end within {ending.time_limit.total_seconds():g} s"
        return Verdict(Outcome.TIMEOUT, shortened(f"{text}: {said}") if said else text)
    if limit := ending.limited.breached_by(ending.exit_code):
        text = f"killed by limit ({limit})"
        return Verdict(Outcome.BROKEN, shortened(f"{said}: {text}") if said else text)
    if ending.exit_code < 0:
        text = f"killed by {_signal_name(-ending.exit_code)}"
        return Verdict(Outcome.BROKEN, shortened(f"{said} ({text})") if said else text)
    return of_exit(ending.exit_code, ending.stdout, ending.stderr)


def cannot_start(arguments: tuple[str, ...], error: OSError) -> Verdict:
    """The verdict when the operating system refuses to start the program."""
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        reason += ", or its interpreter is missing"
    return Verdict(Outcome.BROKEN, shortened(f"cannot start {arguments[0]}: {reason}"))


def launcher_died() -> Verdict:
    """The verdict when the process that started the program was killed: by it, perhaps, or by another one."""
    return Verdict(Outcome.BROKEN, "the process that started it was killed, and it, too")


def last_line(text: str) -> str:
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

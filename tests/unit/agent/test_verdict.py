"""From exit status to outcome."""

import signal
from datetime import timedelta

import pytest

from agent.costs import Cost
from agent.verdict import Ending, LimitedCost, Verdict, cannot_start, verdict
from common.contracts.states import Outcome


def ending(exit_code: int, *, late: bool = False, stdout: str = "", stderr: str = "") -> Ending:
    return Ending(exit_code, late, timedelta(seconds=2.5), stdout, stderr)


@pytest.mark.parametrize(
    ("exit_code", "outcome"),
    [
        (0, Outcome.SUCCESS),
        (1, Outcome.FAILURE),
        (2, Outcome.FAILURE),
        (3, Outcome.BROKEN),
        (125, Outcome.FAILURE),
        (126, Outcome.BROKEN),
        (127, Outcome.BROKEN),
        (255, Outcome.FAILURE),
        (-signal.SIGSEGV, Outcome.BROKEN),
        (-signal.SIGTERM, Outcome.BROKEN),
    ],
)
def test_the_exit_status_decides(exit_code: int, outcome: Outcome) -> None:
    assert verdict(ending(exit_code)).outcome is outcome


@pytest.mark.parametrize("exit_code", [0, 1, 3, -signal.SIGTERM, -signal.SIGKILL])
def test_after_the_time_limit_no_exit_status_counts(exit_code: int) -> None:
    said = verdict(ending(exit_code, late=True))
    assert said.outcome is Outcome.TIMEOUT
    assert said.reason == "no end within 2.5 s"


def test_the_reason_is_the_last_line_of_stderr_else_of_stdout_else_the_status() -> None:
    assert verdict(ending(1, stdout="out\n", stderr="one\ntwo\n\n")).reason == "two"
    assert verdict(ending(1, stdout="out\n", stderr=" \n")).reason == "out"
    assert verdict(ending(5)).reason == "exit status 5"
    assert verdict(ending(0, stdout="fine")).reason == ""


def test_a_foreign_signal_is_named() -> None:
    assert verdict(ending(-signal.SIGSEGV)).reason == "killed by SIGSEGV"
    assert verdict(ending(-signal.SIGSEGV, stderr="oops")).reason == "oops (killed by SIGSEGV)"
    assert verdict(ending(-63)).reason == "killed by signal 63"


def test_a_reason_is_short_and_printable() -> None:
    reason = verdict(ending(1, stderr="\x1b[31m" + "ж" * 500 + "\x00")).reason
    assert len(reason.encode()) <= 200
    assert reason.isprintable()


def test_a_program_that_cannot_start_is_named() -> None:
    said = cannot_start(("./a.py", "x"), FileNotFoundError(2, "No such file or directory"))
    assert said.outcome is Outcome.BROKEN
    assert "./a.py" in said.reason
    assert "interpreter" in said.reason


@pytest.mark.parametrize(
    ("limited", "exit_code", "setting"),
    [
        (LimitedCost(breach="processes"), -9, "processes"),
        (LimitedCost(cost=Cost(0.1, 0.1, 200), memory_bytes=100), 0, "memory_mb"),
        (LimitedCost(cost=Cost(1.5, 0.6, 1), cpu_seconds=2), 1, "cpu_seconds"),
        (LimitedCost(), -signal.SIGXCPU, "cpu_seconds"),
    ],
)
def test_a_run_over_a_limit_is_broken_and_names_the_setting(
    limited: LimitedCost, exit_code: int, setting: str
) -> None:
    said = verdict(Ending(exit_code, False, timedelta(seconds=1), limited=limited))
    assert said == Verdict(Outcome.BROKEN, f"killed by limit ({setting})")


def test_the_time_limit_was_decided_first() -> None:
    limited = LimitedCost(breach="memory_mb")
    said = verdict(Ending(-9, True, timedelta(seconds=1), limited=limited))
    assert said.outcome is Outcome.TIMEOUT

"""Runs that are over, of which a test names only what it cares about."""

from typing import Any

from agent.flights import Excerpt, Flight
from common.contracts.states import Outcome
from tests.unit.agent.factories import run_result, run_spec


def flight(
    *, slug: str = "tcp", is_good: bool = False, printed: bytes = b"", **spec: Any
) -> Flight:
    outcome = Outcome.SUCCESS if is_good else Outcome.FAILURE
    whole = run_result(outcome, reason="" if is_good else "no answer")
    one = Flight(run_spec(prober_slug=slug, **spec), whole, (whole,), exit_code=int(not is_good))
    one.stdout = Excerpt(printed, printed_bytes=len(printed))
    return one

"""Which records are worth an upload, and how an API that does not take them is spared."""

import pytest

from agent.flights import Flight
from agent.recorder.uploads import (
    AGAIN_SECONDS,
    ALWAYS_SECONDS,
    UploadChoice,
    is_hopeless,
    pause_after,
)
from common.contracts.states import Outcome
from common.contracts.values import Problem
from common.errors import ApiRefusedError, ApiUnreachableError
from tests.unit.agent.factories import run_key, run_result, run_spec


def chosen(policy: str, *runs: tuple[float, str]) -> list[bool]:
    """For each run, by its second and `f` or `s`, whether it is uploaded."""
    choice = UploadChoice()
    decided = []
    for now, letter in runs:
        is_good = letter == "s"
        whole = run_result(Outcome.SUCCESS if is_good else Outcome.FAILURE)
        flight = Flight(run_spec(evidence=policy), whole, (whole,))
        decided.append(choice.is_worth_it(flight, is_good=is_good, now=now))
    return decided


@pytest.mark.parametrize("policy", ["never", "a word of a newer API"])
def test_never_is_never(policy: str) -> None:
    assert chosen(policy, (0, "f"), (1, "s")) == [False, False]


def test_the_first_bad_run_is_and_then_one_in_a_while() -> None:
    runs = [(0, "s"), (1, "f"), (2, "f"), (AGAIN_SECONDS, "f"), (AGAIN_SECONDS + 1, "f")]
    assert chosen("on_failure", *runs) == [False, True, False, False, True]


def test_a_bad_run_after_a_good_one_is_news() -> None:
    assert chosen("on_failure", (0, "f"), (1, "s"), (2, "f")) == [True, False, True]


def test_always_means_good_ones_too_within_bounds() -> None:
    runs = [(0, "s"), (1, "s"), (2, "f"), (3, "f"), (2 + ALWAYS_SECONDS, "f")]
    assert chosen("always", *runs) == [True, False, True, False, True]


def test_combinations_are_apart() -> None:
    choice = UploadChoice()
    whole = run_result(Outcome.FAILURE)
    for number in (1, 2):
        spec = run_spec(run_key(number), evidence="on_failure")
        assert choice.is_worth_it(Flight(spec, whole, (whole,)), is_good=False, now=0)


def test_pauses_grow_and_end_growing() -> None:
    pauses = [pause_after(failures, jitter=0.5) for failures in range(40)]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[1]
    assert pauses[-1] == 300
    assert pause_after(1, jitter=0) < pause_after(1, jitter=1)


@pytest.mark.parametrize(
    ("status", "hopeless"), [(403, True), (404, True), (413, True), (429, False), (503, False)]
)
def test_only_a_plain_no_ends_a_record(status: int, hopeless: bool) -> None:
    refused = ApiRefusedError(Problem(title="no", status=status, detail="no"))
    assert is_hopeless(refused) is hopeless
    assert not is_hopeless(ApiUnreachableError("http://api", "away"))

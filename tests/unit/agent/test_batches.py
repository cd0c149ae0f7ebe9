"""One run, many combinations: who gets which verdict and which samples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.batches import batch_results
from agent.outputs.printed import Sample
from agent.plan import Batch
from agent.results import RunResult
from agent.verdict import Verdict
from common.contracts.states import Outcome
from tests.unit.agent.factories import run_key, run_result, run_spec

NAMES = ("a", "b", "c")
BATCH = Batch(
    targets="[]",
    keys=tuple(run_key(1, name) for name in NAMES),
    labels=tuple({"target": name, "port": "80"} for name in NAMES),
)
SUCCESS = Verdict(Outcome.SUCCESS)


def results(
    lines: list[str], outcome: Outcome = Outcome.SUCCESS, reason: str = ""
) -> dict[str, RunResult]:
    spec = run_spec(batch=BATCH, output="prometheus", secrets=("s3cret",))
    found = batch_results(
        run_result(outcome, reason=reason), spec, BATCH, [f"{line}\n" for line in lines]
    )
    return {result.key.combination: result for result in found}


def said(target: str, value: object, more: str = "") -> str:
    return f'mr_prober_outcome{{target="{target}",port="80"{more}}} {value}'


def verdicts(
    lines: list[str], outcome: Outcome = Outcome.SUCCESS, reason: str = ""
) -> list[Verdict]:
    return [result.verdict for result in results(lines, outcome, reason).values()]


def test_each_combination_gets_its_printed_outcome() -> None:
    lines = [said("c", 3), said("a", 0), said("b", 1, ',reason="3 of 3 lost, s3cret"')]
    assert verdicts(lines) == [
        SUCCESS,
        Verdict(Outcome.FAILURE, "3 of 3 lost, (sensitive)"),
        Verdict(Outcome.BROKEN, "printed mr_prober_outcome 3"),
    ]


@pytest.mark.parametrize("end", [Outcome.FAILURE, Outcome.TIMEOUT, Outcome.BROKEN])
def test_printed_verdicts_stand_however_the_run_ended(end: Outcome) -> None:
    assert verdicts([said("a", 0), said("b", 0)], end, "why")[:2] == [SUCCESS, SUCCESS]


@pytest.mark.parametrize(
    ("end", "missing"),
    [
        (Outcome.SUCCESS, Verdict(Outcome.BROKEN, "no mr_prober_outcome of it was printed")),
        (Outcome.FAILURE, Verdict(Outcome.BROKEN, "no mr_prober_outcome of it was printed: why")),
        (Outcome.TIMEOUT, Verdict(Outcome.TIMEOUT, "why")),
        (Outcome.BROKEN, Verdict(Outcome.BROKEN, "why")),
    ],
)
def test_what_is_missing_is_broken_and_after_the_time_limit_timeout(
    end: Outcome, missing: Verdict
) -> None:
    reason = "" if end is Outcome.SUCCESS else "why"
    assert verdicts([said("a", 0)], end, reason) == [SUCCESS, missing, missing]


def test_samples_belong_to_the_combination_that_their_labels_name() -> None:
    found = results(
        ['rtt{target="b",port="80",path="1"} 5', 'rtt{target="b"} 6', "rtt 7", said("b", 0)]
    )
    assert found["b"].printed.samples == (Sample("rtt", (("path", "1"),), 5.0),)
    assert found["a"].printed.samples == ()
    assert sum(result.printed.bad_lines for result in found.values()) == 2


@pytest.mark.parametrize(
    "bad",
    [
        said("a", 2),
        said("a", "NaN"),
        said("stranger", 0),
        'mr_prober_outcome{target="a"} 0',
        "mr_prober_outcome 0",
        "mr_prober_outcomes 0",
        "mr_prober_outcome{",
        said("a", 0, ',more="1"'),
    ],
)
def test_a_bad_verdict_is_counted_and_drops_no_other(bad: str) -> None:
    found = results([bad, said("b", 1)])
    assert found["a"].verdict.outcome is Outcome.BROKEN
    assert found["b"].verdict.outcome is Outcome.FAILURE
    assert found["a"].printed.bad_lines == 1
    assert found["a"].printed.first_problem


def test_the_costs_of_all_combinations_are_those_of_the_run() -> None:
    found = results([])
    assert sum(result.cost.user_seconds for result in found.values()) == pytest.approx(0.5)


@given(st.lists(st.text(alphabet='mr_prober_outcome{target="a"} 01\x00', max_size=60), max_size=6))
def test_whatever_is_printed_each_combination_has_one_result(lines: list[str]) -> None:
    found = results([*lines, said("c", 0)])
    assert sorted(found) == list(NAMES)
    assert found["c"].verdict == SUCCESS

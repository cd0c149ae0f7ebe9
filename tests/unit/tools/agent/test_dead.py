"""What is said of the probers of an agent that is dead: their worst combination, as it was last."""

from common.contracts.records import RecordedCombination, RunRecord
from common.contracts.states import Outcome
from tests.unit.tools.agent.states import record
from tools.agent.dead import worst_of_newest


def run(number: int, outcome: Outcome, *targets: str, prober: str = "tcp") -> RunRecord:
    combinations = [
        RecordedCombination(labels={"target": target}, outcome=outcome) for target in targets
    ]
    return record(outcome, number=number, prober=prober, combinations=combinations)


def test_a_prober_is_as_bad_as_its_worst_combination_was_last() -> None:
    records = [
        run(1, Outcome.FAILURE, "a"),
        run(2, Outcome.FAILURE, "b"),
        run(4, Outcome.SUCCESS, "a"),
        run(3, Outcome.SUCCESS, "c", prober="other"),
    ]
    assert {slug: one.number for slug, one in worst_of_newest(records).items()} == {
        "tcp": 2,
        "other": 3,
    }


def test_of_a_batch_only_the_newest_run_counts() -> None:
    records = [run(1, Outcome.FAILURE, "a", "b"), run(2, Outcome.SUCCESS, "b", "a")]
    assert worst_of_newest(records)["tcp"].number == 2

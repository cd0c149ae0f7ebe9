"""What comes next in a deployment: the whole table."""

import pytest

from creator.deployment.procedure import Move, Progress, StepResult, next_move, with_result
from creator.deployment.terraform import Kind

INIT = StepResult(Kind.INIT, 0)
PLANNED = StepResult(Kind.PLAN, 2)
UNPREPARED = StepResult(Kind.PLAN, 1, needs_init=True)
STALE = StepResult(Kind.APPLY, 1, is_stale=True)
FREED = StepResult(Kind.PLAN, 1, lock_was_freed=True)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], Move.INIT),
        ([INIT], Move.PLAN),
        ([StepResult(Kind.INIT, 1)], Move.FAIL),
        ([INIT, StepResult(Kind.PLAN, 0)], Move.RECORD_UNCHANGED),
        ([INIT, StepResult(Kind.PLAN, 1)], Move.FAIL),
        ([INIT, PLANNED], Move.JUDGE),
        ([INIT, PLANNED, StepResult(Kind.SHOW, 0)], Move.JUDGE),
        ([INIT, PLANNED, StepResult(Kind.APPLY, 0)], Move.RECORD_APPLIED),
        ([INIT, PLANNED, StepResult(Kind.APPLY, 1)], Move.FAIL),
        ([INIT, PLANNED, StepResult(Kind.DESTROY, 0)], Move.RECORD_APPLIED),
        # A workspace that is not what we remember of it is prepared once.
        ([UNPREPARED], Move.INIT),
        ([UNPREPARED, INIT, UNPREPARED], Move.FAIL),
        ([PLANNED, StepResult(Kind.APPLY, 1, needs_init=True)], Move.INIT),
        ([PLANNED, StepResult(Kind.APPLY, 1, needs_init=True), INIT], Move.JUDGE),
        # A plan that was overtaken is made once more.
        ([INIT, PLANNED, STALE], Move.PLAN),
        ([INIT, PLANNED, STALE, PLANNED, STALE], Move.FAIL),
        # A lock that a dead step had left was freed: once more, but not for ever.
        ([INIT, FREED], Move.PLAN),
        ([INIT, FREED, FREED], Move.FAIL),
        ([INIT, PLANNED, StepResult(Kind.APPLY, 1, lock_was_freed=True)], Move.JUDGE),
    ],
)
def test_the_steps_decide(steps: list[StepResult], expected: Move) -> None:
    has_plan = any(step.kind is Kind.PLAN and step.exit_code == 2 for step in steps)
    assert next_move(Progress(steps, has_plan=has_plan)) is expected


@pytest.mark.parametrize("kind", [Kind.INIT, Kind.PLAN, Kind.APPLY, Kind.DESTROY])
@pytest.mark.parametrize(
    "end", [{"exit_code": None}, {"exit_code": -9}, {"exit_code": 0, "killed": True}]
)
def test_an_end_that_nobody_saw_is_unknown(kind: Kind, end: dict[str, int | None]) -> None:
    step = StepResult(kind, end["exit_code"], killed=bool(end.get("killed")))
    assert next_move(Progress([INIT, step], has_plan=True)) is Move.UNKNOWN


def test_a_freed_lock_is_told_of_the_step_that_met_it() -> None:
    met = [StepResult(Kind.INIT, 0), StepResult(Kind.PLAN, 1)]
    freed = with_result(met, StepResult(Kind.UNLOCK, 0))
    assert [step.lock_was_freed for step in freed] == [False, True]
    assert next_move(Progress(steps=freed)) is Move.PLAN
    for not_freed in (with_result(met, StepResult(Kind.UNLOCK, code)) for code in (1, None)):
        assert next_move(Progress(steps=not_freed)) is Move.FAIL
    again = with_result(freed, StepResult(Kind.PLAN, 1))
    again = with_result(again, StepResult(Kind.UNLOCK, 0))
    assert next_move(Progress(steps=again)) is Move.FAIL, "once is enough"


def test_init_is_skipped_when_its_inputs_are_the_same() -> None:
    assert next_move(Progress(init_is_due=False)) is Move.PLAN


def test_an_approved_plan_is_not_planned_again() -> None:
    prepared = Progress(init_is_due=False, has_plan=True, is_approved=True)
    assert next_move(prepared) is Move.JUDGE
    assert next_move(Progress([INIT], has_plan=True, is_approved=True)) is Move.JUDGE


def test_an_approved_plan_that_is_stale_gives_way_to_another_one() -> None:
    assert next_move(Progress([INIT, STALE], has_plan=True, is_approved=True)) is Move.REPLACE


def test_a_plan_on_another_machine_is_of_no_use() -> None:
    assert next_move(Progress([INIT, PLANNED], has_plan=False)) is Move.UNKNOWN

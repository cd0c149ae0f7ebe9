"""What terraform's answers mean for a recipe's revision."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.contracts.recipes import RevisionProblem, Validity
from creator.recipe_checks import next_check_at, verdict_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SYNTAX = {
    "severity": "error",
    "summary": "Invalid expression",
    "detail": "Expected more.",
    "range": {"filename": "main.tf", "start": {"line": 3, "column": 1}},
}
MISSING_PROVIDER = {
    "severity": "error",
    "summary": "Missing required provider",
    "detail": "It is not here.",
}
WARNING = {"severity": "warning", "summary": "Deprecated", "detail": ""}


def answer(*diagnostics: dict[str, Any]) -> bytes:
    return json.dumps({"diagnostics": diagnostics}).encode()


@pytest.mark.parametrize(
    ("validated", "init_complaint", "validity", "message"),
    [
        (answer(), "", Validity.VALID, None),
        (answer(WARNING), "", Validity.VALID, None),
        (answer(SYNTAX), "", Validity.INVALID, "Invalid expression: Expected more."),
        (answer(MISSING_PROVIDER, SYNTAX), "no network", Validity.INVALID, "Invalid expression: Expected more."),
        (answer(MISSING_PROVIDER), "no network", Validity.UNCHECKED, "no network"),
        (answer(MISSING_PROVIDER), "", Validity.UNCHECKED, "Missing required provider: It is not here."),
        (answer(), "no network", Validity.UNCHECKED, "no network"),
        (b"", "", Validity.UNCHECKED, "terraform validate gave no answer"),
        (b"[]", "killed", Validity.UNCHECKED, "killed"),
    ],
)  # fmt: skip
def test_only_what_the_recipe_did_makes_it_invalid(
    validated: bytes, init_complaint: str, validity: Validity, message: str | None
) -> None:
    verdict = verdict_of(validated, init_complaint)
    assert verdict.validity is validity
    assert [problem.message for problem in verdict.problems] == ([message] if message else [])


def test_a_problem_names_file_and_line() -> None:
    (problem,) = verdict_of(answer(SYNTAX), "").problems
    assert problem == RevisionProblem(
        file="main.tf", line=3, message="Invalid expression: Expected more."
    )


def test_problems_are_bounded_in_number_and_size() -> None:
    verdict = verdict_of(answer(*[SYNTAX | {"detail": "x" * 100_000}] * 500), "")
    assert len(verdict.problems) == 20
    assert len(json.dumps([one.model_dump() for one in verdict.problems])) < 50_000


@pytest.mark.parametrize(
    ("age", "delay"),
    [
        (timedelta(0), timedelta(seconds=30)),
        (timedelta(minutes=5), timedelta(minutes=5)),
        (timedelta(days=9), timedelta(hours=1)),
        (timedelta(seconds=-5), timedelta(seconds=30)),
    ],
)
def test_an_undecided_one_is_tried_again_ever_more_rarely(age: timedelta, delay: timedelta) -> None:
    assert next_check_at(NOW - age, NOW) == NOW + delay

"""From results to states: a state changes only when it is confirmed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.board import Board, confirmed_state
from common.contracts.probers import confirmation
from common.contracts.states import STATE_OF_OUTCOME, Outcome, State
from tests.unit.agent.factories import host_plan, planned, run_key, run_result

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LETTERS = {"s": Outcome.SUCCESS, "f": Outcome.FAILURE, "t": Outcome.TIMEOUT, "b": Outcome.BROKEN}


def states(runs: str, confirm: str) -> str:
    """The state character after each run."""
    board = Board()
    board.apply(host_plan(planned(1)))
    shown = []
    for letter in runs:
        board.record(run_result(LETTERS[letter]), NOW, confirm=confirmation(confirm))
        shown.append(str(int(board.state(run_key()) or 0)))
    return "".join(shown)


@pytest.mark.parametrize(
    ("runs", "confirm", "expected"),
    [
        ("sftbs", "1 of 1", "01230"),
        ("sfsfs", "2 of 2", "00000"),
        ("sffs", "2 of 2", "0010"),
        ("sfsfss", "2 of 3", "000100"),
        ("f", "2 of 3", "4"),
        ("sft", "2 of 3", "002"),
        ("sbb", "3 of 3", "000"),
    ],
)
def test_a_state_needs_its_confirmation(runs: str, confirm: str, expected: str) -> None:
    assert states(runs, confirm) == expected


def test_the_reason_is_that_of_the_state_which_is_shown() -> None:
    board = Board()
    board.apply(host_plan(planned(1)))
    for outcome, reason in ((Outcome.SUCCESS, ""), (Outcome.FAILURE, "one lost packet")):
        board.record(run_result(outcome, reason=reason), NOW, confirm=(2, 2))
    assert board.reasons() == []
    board.record(run_result(Outcome.FAILURE, reason="another one"), NOW, confirm=(2, 2))
    assert [reason["text"] for reason in board.reasons()] == ["another one"]


@given(st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=30))
def test_without_confirmation_the_last_run_is_the_state(recent: list[Outcome]) -> None:
    state = confirmed_state(recent, (1, 1), State.NOT_RUN_YET)
    assert state is STATE_OF_OUTCOME[recent[-1]]


@pytest.mark.parametrize("text", ["", "2", "0 of 3", "4 of 3", "1 of 21", "-1 of 2", "1 of 2 "])
def test_a_wrong_confirmation_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="N of M"):
        confirmation(text)


def test_a_paused_combination_says_so_and_keeps_what_its_runs_said() -> None:
    board = Board()
    board.apply(host_plan(planned(1)))
    board.record(run_result(Outcome.FAILURE, reason="no answer"), NOW)
    board.pause({run_key()})
    assert board.state(run_key()) is State.PAUSED
    assert board.prober_reports()[0]["states"] == "5"
    assert board.reasons() == []
    standing = board.standing(run_key())
    assert standing
    assert standing.state is State.FAILURE
    board.pause(frozenset())
    assert board.prober_reports()[0]["states"] == "1"
    assert board.reasons()[0]["text"] == "no answer"


def test_knows_since_when_it_stands_like_that() -> None:
    board = Board()
    board.apply(host_plan(planned(1)))
    moments = [NOW + timedelta(seconds=number) for number in range(5)]
    letters = "ffssf"
    since = []
    for letter, moment in zip(letters, moments, strict=True):
        board.record(run_result(LETTERS[letter]), moment)
        standing = board.standing(run_key())
        assert standing
        since.append(standing.since)
    assert since == [moments[0], moments[0], moments[2], moments[2], moments[4]]


def test_leads_to_evidence_until_the_combination_is_green_again() -> None:
    board = Board()
    board.apply(host_plan(planned(1)))
    board.uploaded([run_key(), run_key(7)], "some-id")
    board.record(run_result(Outcome.FAILURE, reason="no answer"), NOW)
    assert board.reasons()[0].get("upload") == "some-id"
    assert board.upload_of(run_key(7)) is None
    board.record(run_result(Outcome.SUCCESS), NOW)
    board.record(run_result(Outcome.FAILURE, reason="no answer"), NOW)
    assert "upload" not in board.reasons()[0]

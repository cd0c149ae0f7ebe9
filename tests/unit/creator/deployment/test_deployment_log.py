"""The log of a deployment: in pieces, bounded, without secrets."""

import pytest

from common.masking import MASK, forms_of
from creator.deployment.logs import DeploymentLog, begins_anew
from creator.deployment.terraform import MAX_LOG_LENGTH

SECRET = "correct-horse-battery"


def _log(*secrets: str) -> tuple[DeploymentLog, list[str]]:
    pieces: list[str] = []
    return DeploymentLog(secrets, store=pieces.append), pieces


def test_pieces_and_the_whole_say_the_same() -> None:
    log, pieces = _log()
    for line in ("one", "two", "three"):
        log.add(line)
        log.flush()
    assert "".join(pieces) == log.text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("cut", range(1, len(SECRET)))
def test_a_secret_on_the_border_of_two_pieces_shows_in_neither(cut: int) -> None:
    log, pieces = _log(*forms_of(f"{SECRET} {SECRET}"))
    log.add(f"{'x' * 500}\nbefore {SECRET}")
    log.flush()
    log.add(f"   {SECRET}{'y' * cut}\n" + "z\n" * 400)
    log.flush()
    log.add("end\n" * 300)
    log.flush()
    whole = "".join(pieces)
    assert SECRET not in whole
    assert SECRET not in log.text()
    assert f"before {MASK}{'y' * cut}\n" in whole


def test_what_could_become_a_secret_is_held_back_until_the_end() -> None:
    log, pieces = _log(SECRET)
    log.add(SECRET[:10])
    log.flush()
    assert pieces == []
    assert log.text() == f"{SECRET[:10]}\n"


def test_a_piece_that_could_not_be_stored_comes_with_the_next_one() -> None:
    pieces: list[str] = []
    fails = [True]

    def store(piece: str) -> None:
        if fails:
            fails.clear()
            raise ConnectionError
        pieces.append(piece)

    log = DeploymentLog((), store=store)
    log.add("one")
    with pytest.raises(ConnectionError):
        log.flush()
    log.add("two")
    log.flush()
    assert pieces == ["one\ntwo\n"]


def test_of_a_flood_both_ends_stay_and_no_more_is_stored_than_a_log_may_hold() -> None:
    log, pieces = _log(SECRET)
    log.add("the beginning")
    for number in range(400):
        log.add(f"{number} " + "x" * 9_000 + SECRET)
        log.flush()
    log.add("the end")
    text = log.text()
    assert len(text) <= MAX_LOG_LENGTH
    assert text.startswith("the beginning\n")
    assert text.endswith("the end\n")
    assert "are left out" in text
    assert SECRET not in text
    assert sum(map(len, pieces)) <= MAX_LOG_LENGTH


def test_no_nul_stays() -> None:
    log, _ = _log()
    log.add("a\0b")
    assert log.text() == "ab\n"


def test_who_goes_on_tells_the_unfinished_step_again() -> None:
    log = DeploymentLog((), until_now=begins_anew("$ plan\nx\n$ apply\ny\n", "$ apply"))
    log.add("$ apply")
    assert log.text() == "$ plan\nx\n$ apply\n"
    assert begins_anew("$ plan\nx\n", "$ apply") == "$ plan\nx\n"

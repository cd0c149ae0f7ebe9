"""Questions to the loop: one at a time, and nobody who asks can hold it up."""

import threading

import pytest

from agent.control.desk import Desk
from agent.errors import LoopSilentError


class Loop:
    """Serves when it is woken, as the loop does."""

    def __init__(self) -> None:
        self.woken = threading.Semaphore(0)
        self.desk: Desk[list[int]] = Desk(self.woken.release)
        self.subject: list[int] = [1, 2, 3]

    def serve_once(self) -> None:
        assert self.woken.acquire(timeout=20)
        self.desk.serve(self.subject)


def asked(loop: Loop, times: int) -> list[object]:
    """Answers to so many questions from threads of their own, which a loop serves round by round."""
    answers: list[object] = []

    def ask() -> None:
        answers.append(loop.desk.ask(len, time_limit_seconds=20))

    threads = [threading.Thread(target=ask) for _ in range(times)]
    for thread in threads:
        thread.start()
    while len(answers) < times:
        if loop.woken.acquire(timeout=0.01):
            loop.desk.serve(loop.subject)
    for thread in threads:
        thread.join()
    return answers


def test_everybody_gets_an_answer() -> None:
    assert asked(Loop(), 30) == [3] * 30


def test_a_question_that_fails_is_the_askers_problem() -> None:
    loop = Loop()
    server = threading.Thread(target=loop.serve_once)
    server.start()
    with pytest.raises(ZeroDivisionError):
        loop.desk.ask(lambda _: 1 // 0, time_limit_seconds=20)
    server.join()
    assert asked(loop, 1) == [3]


def test_a_question_that_nobody_waits_for_any_more_is_not_answered() -> None:
    loop = Loop()
    with pytest.raises(LoopSilentError):
        loop.desk.ask(lambda subject: subject.append(4), time_limit_seconds=0)
    loop.serve_once()
    assert loop.subject == [1, 2, 3]


def test_too_many_are_sent_away() -> None:
    loop = Loop()
    for _ in range(64):
        with pytest.raises(LoopSilentError):
            loop.desk.ask(len, time_limit_seconds=0)
    with pytest.raises(LoopSilentError, match="too many"):
        loop.desk.ask(len, time_limit_seconds=20)


def test_at_the_end_nobody_waits() -> None:
    loop = Loop()
    problems: list[str] = []

    def ask() -> None:
        try:
            loop.desk.ask(len, time_limit_seconds=60)
        except LoopSilentError as error:
            problems.append(error.reason)

    thread = threading.Thread(target=ask)
    thread.start()
    assert loop.woken.acquire(timeout=20)
    loop.desk.close()
    thread.join(20)
    assert problems == ["it ends"]

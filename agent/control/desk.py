"""Where other threads leave questions that only the loop can answer.

The loop serves one question in each of its rounds, each of them takes well under a millisecond or two, and nobody
who asks can make it wait: an answer that nobody waits for any more is dropped.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from agent.errors import LoopSilentError

Subject = TypeVar("Subject")
Answer = TypeVar("Answer")

_MOST_WAITING = 64
ANSWER_SECONDS = 5.0


class _Question:
    def __init__(self, ask: Callable[[Any], object]) -> None:
        self.ask = ask
        self.answered = threading.Event()
        self.answer: object = None
        self.error: Exception | None = None
        self.abandoned = False


class Desk(Generic[Subject]):
    """Takes questions from any thread; `serve` is for the loop's thread only."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` makes the loop look here soon."""
        self._wake = wake
        self._questions: deque[_Question] = deque()
        self._closed = False

    def ask(
        self, question: Callable[[Subject], Answer], *, time_limit_seconds: float = ANSWER_SECONDS
    ) -> Answer:
        """The answer; LoopSilentError if none comes in time, or whatever the question itself raises."""
        if self._closed or len(self._questions) >= _MOST_WAITING:
            raise LoopSilentError("it ends" if self._closed else "too many ask")
        asked = _Question(question)
        self._questions.append(asked)
        self._wake()
        if not asked.answered.wait(time_limit_seconds):
            asked.abandoned = True
            raise LoopSilentError("no answer in time")
        if asked.error is not None:
            raise asked.error
        return asked.answer  # type: ignore[return-value] # what the question returned

    def serve(self, subject: Subject) -> None:
        """Answer one question; if there are more, have the loop come back for them."""
        while self._questions:
            asked = self._questions.popleft()
            if not asked.abandoned:
                _answer(asked, subject)
                break
        if self._questions:
            self._wake()

    def close(self) -> None:
        """Nobody serves any more: whoever waits learns it now."""
        self._closed = True
        while self._questions:
            asked = self._questions.popleft()
            asked.error = LoopSilentError("it ends")
            asked.answered.set()


def _answer(asked: _Question, subject: object) -> None:
    try:
        asked.answer = asked.ask(subject)
    # Not for the loop to judge: whoever asked gets it, and tells it.
    except Exception as error:  # noqa: BLE001
        asked.error = error
    asked.answered.set()

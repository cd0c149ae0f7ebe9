"""What a launcher says to its agent, several messages at once; for `launcher.py` alone.

The imports of this module are memory of every launcher: it has few.
"""

import contextlib
import socket

from agent.running import wire
from agent.running.started import Run

NEVER_NS = 2**63
# A message is said with the next ones, and this much later at the latest.
_PATIENCE_NS = 20_000_000
# A message has at most about a kilobyte.
_MOST_MESSAGES = 32


class Outbox:
    """The messages that were not said yet; what can wait is made when they are."""

    def __init__(self, agent: socket.socket) -> None:
        self._agent = agent
        self._messages: list[bytes] = []
        self._ended: list[Run] = []
        # When it is to be said at the latest.
        self.say_at_ns = NEVER_NS

    def put(self, message: bytes, now_ns: int) -> None:
        """Say this soon."""
        self._messages.append(message)
        self._note(now_ns)

    def put_end(self, run: Run, now_ns: int) -> None:
        """Say soon that a run is over."""
        self._ended.append(run)
        self._note(now_ns)

    def say(self) -> None:
        """Say all of it now."""
        # What was said about a run before its end comes before that.
        packet = wire.packet_of([*self._messages, *(run.end_message() for run in self._ended)])
        self._messages, self._ended, self.say_at_ns = [], [], NEVER_NS
        # A dead agent is noticed by the next read.
        with contextlib.suppress(OSError):
            self._agent.send(packet)

    def _note(self, now_ns: int) -> None:
        if self.say_at_ns == NEVER_NS:
            self.say_at_ns = now_ns + _PATIENCE_NS
        elif len(self._messages) + len(self._ended) >= _MOST_MESSAGES:
            self.say()

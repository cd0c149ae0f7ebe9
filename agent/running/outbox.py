"""What a launcher says to its agent, several messages at once; for `launcher.py` alone.

The imports of this module are memory of every launcher: it has few.
"""

import contextlib
import os
import resource
import socket
from typing import NamedTuple

from agent.running import wire

# A message is said with the next ones, and this much later at the latest.
PATIENCE_NS = 20_000_000
# A message has at most about a kilobyte.
_MOST_MESSAGES = 32


class Ended(NamedTuple):
    """A run whose process was waited for."""

    number: int
    status: int
    usage: resource.struct_rusage
    breach: str
    took_ns: int
    late_ns: int
    signalled: bool


class Outbox:
    """The messages that were not said yet; what can wait is made when they are."""

    def __init__(self, agent: socket.socket) -> None:
        self._agent = agent
        self._messages: list[bytes] = []
        self._ends: list[Ended] = []
        self.say_at_ns: int | None = None  # None: there are none

    def put(self, message: bytes, now_ns: int) -> None:
        """Say this soon."""
        self._messages.append(message)
        self._note(now_ns)

    def put_end(self, end: Ended, now_ns: int) -> None:
        """Say soon that a run is over."""
        self._ends.append(end)
        self._note(now_ns)

    def say(self) -> None:
        """Say all of it now."""
        # What was said about a run before its end comes before that.
        packet = wire.packet_of([*self._messages, *map(_end_message, self._ends)])
        self._messages, self._ends, self.say_at_ns = [], [], None
        # A dead agent is noticed by the next read.
        with contextlib.suppress(OSError):
            self._agent.send(packet)

    def _note(self, now_ns: int) -> None:
        if self.say_at_ns is None:
            self.say_at_ns = now_ns + PATIENCE_NS
        elif len(self._messages) + len(self._ends) >= _MOST_MESSAGES:
            self.say()


def _end_message(end: Ended) -> bytes:
    usage = end.usage
    figures = round(usage.ru_utime * 1e6), round(usage.ru_stime * 1e6), usage.ru_maxrss * 1024
    said = wire.RunEnd(
        end.number, os.waitstatus_to_exitcode(end.status), end.breach, figures,
        elapsed_us=end.took_ns // 1000, signalled=end.signalled,
    )  # fmt: skip
    said.late_us = end.late_ns // 1000
    return wire.end_message(said)

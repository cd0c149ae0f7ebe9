"""Signals and failing threads: when the loop stops, and how the process exits."""

import logging
import signal
import threading
from dataclasses import dataclass

from agent.mailboxes import Waker

log = logging.getLogger(__name__)


@dataclass
class End:
    """Tells the loop when to stop, and the process how to exit."""

    waker: Waker
    nudged: threading.Event
    asked: bool = False
    exit_code: int = 0
    _hung_up: bool = False

    def listen(self) -> None:
        """End at SIGTERM and SIGINT, and when a thread fails: an agent that lacks a part must not look healthy."""
        signal.set_wakeup_fd(self.waker.write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ask())
        signal.signal(signal.SIGHUP, lambda *_: self._hang_up())
        threading.excepthook = self._thread_failed

    def is_asked(self) -> bool:
        """Asked by the loop in each round; here and not in the handler, which must not take the event's lock."""
        if self._hung_up:
            self._hung_up = False
            log.info("the configuration is read now, as SIGHUP asks")
            self.nudged.set()
        return self.asked

    def _hang_up(self) -> None:
        self._hung_up = True
        self.waker.wake()

    def _ask(self) -> None:
        self.asked = True
        self.waker.wake()

    def _thread_failed(self, arguments: threading.ExceptHookArgs) -> None:
        name = arguments.thread.name if arguments.thread else "?"
        log.critical("thread %s failed, the agent ends", name, exc_info=arguments.exc_value)
        self.exit_code = 1
        self._ask()

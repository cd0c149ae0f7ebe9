"""How threads hand values to each other: the newest value wins, nobody ever waits to put one in."""

import contextlib
import os
import threading
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Mailbox(Generic[Value]):
    """Holds at most one value."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._value: Value | None = None
        self._closed = False

    def put(self, value: Value) -> None:
        """Replace whatever is in it."""
        with self._changed:
            self._value = value
            self._changed.notify_all()

    def take(self, *, wait_seconds: float = 0.0) -> Value | None:
        """Empty it; None if nothing came in time, or at once after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._value is not None, wait_seconds)
            value, self._value = self._value, None
            return value

    @property
    def closed(self) -> bool:
        """Whether nothing more is expected; what is in it may still be taken."""
        return self._closed

    def close(self) -> None:
        """Wake whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Waker:
    """Ends the loop's wait from another thread or from a signal."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(self) -> None:
        """End the wait now, or the next one."""
        with contextlib.suppress(BlockingIOError):  # it is full of wake-ups already
            os.write(self.write_end, b"\0")

    def clear(self) -> None:
        """Forget the wake-ups so far."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.read_end, 4096):
                pass

"""Act: the keys that a person presses while a live table is shown."""

import os
import select
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

_QUIT = frozenset({b"q", b"Q"})


@contextmanager
def quit_key(keyboard: IO[str]) -> Iterator[Callable[[float], bool]]:
    """A function that waits so many seconds, or until `q` is pressed, and says whether it was.

    Keys are read one by one and not shown meanwhile; Ctrl-C stays what it is. At the end the terminal is as it was.
    Without a terminal there is nobody to press a key.
    """
    if not keyboard.isatty():
        yield _slept
        return
    descriptor = keyboard.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield lambda seconds: _pressed(descriptor, seconds)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _pressed(descriptor: int, seconds: float) -> bool:
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            key = os.read(descriptor, 1)
            if key in _QUIT or not key:
                return True
    return False


def _slept(seconds: float) -> bool:
    time.sleep(seconds)
    return False

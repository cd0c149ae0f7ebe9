"""A terminal of a stated size with a program in it, as a person sees and uses it."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import processes

ROOT = Path(__file__).parents[3]
_PATIENCE_SECONDS = 90


class Terminal:
    """What the program printed so far is `seen`, as text with its escapes."""

    def __init__(self, process: processes.Process, window: int, terminal: int) -> None:
        self.process = process
        self.seen = ""
        self._window = window
        self._terminal = terminal

    @property
    def modes(self) -> list[Any]:
        """How the terminal treats keys; what a program leaves behind is the next one's trouble."""
        return termios.tcgetattr(self._terminal)

    def type(self, keys: str) -> None:
        """Press these keys; `\\x03` is Ctrl-C."""
        os.write(self._window, keys.encode())

    def wait_for(self, text: str, *, times: int = 1, after: int = 0) -> None:
        """Until the text was printed so often, counted from a place in `seen`."""
        ends_at = time.monotonic() + _PATIENCE_SECONDS
        while self.seen.count(text, after) < times:
            assert time.monotonic() < ends_at, f"no {text!r} in {self.seen!r}"
            self._read()

    def end(self) -> int:
        """The exit code of the program, once it has ended."""
        ends_at = time.monotonic() + _PATIENCE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < ends_at, f"it goes on: {self.seen!r}"
            self._read()
        while self._read():
            pass
        return int(self.process.returncode)

    def _read(self) -> bool:
        if not select.select([self._window], [], [], 0.1)[0]:
            return False
        self.seen += os.read(self._window, 65536).decode(errors="replace")
        return True


@contextmanager
def terminal(
    command: Sequence[str], *, environment: Mapping[str, str], columns: int = 120, cwd: Path = ROOT
) -> Iterator[Terminal]:
    """The program in a terminal of its own, which is closed at the end, and the program with it."""
    window, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with os.fdopen(inner, "r+b", buffering=0) as file:
        process = processes.start(
            ["setsid", "--ctty", "--wait", *command],
            environment={
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "PYTHONPATH": str(ROOT), "TERM": "xterm", "LANG": "C.UTF-8", **environment,
            },
            cwd=cwd, stdin=file, stdout=file, stderr=file,
        )  # fmt: skip
        try:
            yield Terminal(process, window, inner)
        finally:
            os.close(window)  # whatever is still in it gets SIGHUP
            if process.poll() is None:
                process.terminate()
            process.wait(30)

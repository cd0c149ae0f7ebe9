"""Where the demo talks to: a terminal or pipe that may go away before the demo has taken everything down."""

import io
import os
from typing import BinaryIO


class LastingOutput(io.TextIOWrapper):
    """Text output that nobody needs to read: a closed terminal or an ended `| tee` never stops who writes.

    Without it, closing the terminal's window would end the demo and leave its machines running.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, encoding="utf-8", errors="replace")
        self._failed = False
        self._was_terminal = self.isatty()

    @property
    def is_gone(self) -> bool:
        """Whether nobody can read on; a terminal that was closed is one no longer."""
        return self._failed or (self._was_terminal and not self.isatty())

    def write(self, text: str) -> int:
        """Write, or say nothing from now on."""
        try:
            return super().write(text)
        except OSError:
            self._fall_silent()
            return len(text)

    def flush(self) -> None:
        """Flush, or say nothing from now on."""
        try:
            super().flush()
        except OSError:
            self._fall_silent()

    def _fall_silent(self) -> None:
        self._failed = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)

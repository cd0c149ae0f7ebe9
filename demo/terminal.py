"""Where the demo talks to: a terminal or pipe that may go away before the demo has taken everything down."""

import io
import os


class LastingOutput(io.TextIOWrapper):
    """Text output that nobody needs to read: a closed terminal or an ended `| tee` never stops who writes.

    Without it, closing the terminal's window would end the demo and leave its machines running.
    """

    is_gone = False

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
        self.is_gone = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
